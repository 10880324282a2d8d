"""`WebSocketConsumer`: a connection with hooks. The base class of what users write."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NoReturn

from .errors import ConfigurationError
from .handlers.attributes import check_names
from .handlers.call import current_call
from .handlers.plan import Plan, make_plan
from .handlers.settings import SETTINGS, check_settings
from .handlers.signatures import callers_locals
from .handshake.origins import Origins
from .member import GroupMember
from .protocol import PROTOCOLS, spoken
from .protocol.writing import FRAMED
from .state import ENDED, OPEN, Action

if TYPE_CHECKING:
    from anyio import TaskHandle

    from .close import CloseEvent
    from .codecs import Event
    from .groups import GroupName, PresenceDiff
    from .handlers.signatures import Signature
    from .history import Position, Recovery
    from .queues.backlog import Published
    from .runtime.runtime import Runtime

__all__ = ["WebSocketConsumer"]


class _Misrouted:
    """Stands in the signature of a consumer, for whoever takes it for a function."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> NoReturn:
        """Tell it where the route is made: by the way in which FastAPI reads a view."""
        raise ConfigurationError(
            "a consumer class is routed by WebSocketRoute, got one in the place of a "
            "function of FastAPI's; write app.router.routes.append(WebSocketRoute("
            "path, Consumer))"
        )


class WebSocketConsumer(GroupMember):
    """A connection with hooks. Subclass it, and route a path to the class.

    ::

        class Echo(WebSocketConsumer):
            async def on_receive(self, message: str) -> None:
                await self.send(f"You said: {message}")

    One instance serves one connection. Hooks run in this order: ``on_handshake``,
    accept, ``on_connect``, ``on_receive`` for each message, ``on_disconnect``. Those
    that are not defined cost nothing. All of them may ask for providers.

    **When the client leaves**, groups are left at once and ``start_soon`` work is
    cancelled. Messages that came before are still handled, for at most
    ``finish_timeout`` seconds. A hook that is cancelled gets the cancellation at each
    further ``await``: clean-up that awaits goes into
    ``anyio.CancelScope(shield=True)``.

    **When a hook raises**, the connection is closed with 1011 and the exception goes on
    to the server, after ``on_disconnect``.

    The class is an ASGI application: Starlette's and FastAPI's routing tables take it.
    """

    # Settings that are of several types are Any here: mypy's mutable-override, where it
    # is on, refuses a subclass that narrows one by `value_type = "json"`.

    value_type: ClassVar[Any] = None
    """``"text"``, ``"bytes"``, ``"json"``, ``"msgpack"`` or ``"event"``: what is
    received and sent. ``None``: by the annotation of ``on_receive``'s message; ``str``
    is text, ``bytes`` is bytes, everything else is JSON of that type. Without one it is
    text."""

    receive_type: ClassVar[Any] = None
    """``value_type`` for receiving alone."""

    send_type: ClassVar[Any] = None
    """``value_type`` for sending alone."""

    auto_accept: ClassVar[bool] = True
    """Whether the handshake is accepted between ``on_handshake`` and ``on_connect``. If
    not, one of the two must await :meth:`accept`, or it is refused with 403."""

    caught_close_codes: ClassVar[Any] = None
    """In pull style: the client's close codes that ``async with`` silences. A tuple,
    the built-in ``all``, or ``None`` for 1000, 1001 and 1005."""

    concurrency: ClassVar[int] = 1
    """How many messages of one client are handled at once. Above 1 their order is the
    application's affair."""

    sends: ClassVar[Any] = None
    """The type, or union of types, of all that :meth:`send` sends; ``None``: anything.
    Checked, and told in the schema."""

    finish_timeout: ClassVar[float] = 5.0
    """Seconds that messages which came before the client left may still take."""

    refusals: ClassVar[Any] = "http"
    """``"http"``: a refused handshake is answered with its status. ``"close"``: it is
    accepted and closed with 4000 + status, which a browser's script can read. Clients
    of `consumers.v1` get that in any case."""

    origins: ClassVar[Any] = None
    """The origins of the pages that may connect, as in ``App(origins=...)``; ``None``:
    the application's."""

    allow: ClassVar[Any] = None
    """A rule, or a tuple of rules, that says who may connect: a function of the
    connection, plain or ``async``, asked after ``authenticate`` and before any hook.
    Who may not is refused with 401 where nobody is known, else with 403."""

    limits: ClassVar[Any] = None
    """Bounds of its own; ``None``: the application's."""

    # FastAPI's own routes would make query parameters of these, and refuse everybody.
    __signature__ = inspect.Signature(
        [
            inspect.Parameter(
                name,
                inspect.Parameter.POSITIONAL_OR_KEYWORD,
                annotation=Annotated[Any, _Misrouted()],
            )
            for name in ("scope", "receive", "send")
        ]
    )

    _plan: ClassVar[Plan]
    _origins: ClassVar[Origins | None] = None  # as they were read
    # A function view, for the classes that routing makes of functions.
    _view: ClassVar[Callable[..., Awaitable[None]] | None] = None
    _namespace: ClassVar[dict[str, Any]] = {}
    # Set by `runtime`, which stands above this module.
    _serve: ClassVar[Callable[[WebSocketConsumer], Awaitable[None]]]
    _runtime: Runtime  # until all has ended
    _protocol: str | None = None

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Read and check the class.

        Raises:
            ConfigurationError: Something about it can't work.
        """
        super().__init_subclass__(**keywords)
        own = vars(cls)
        check_names(cls, WebSocketConsumer)
        check_settings(
            cls.__qualname__, {name: own[name] for name in SETTINGS if name in own}
        )
        if "origins" in own:
            written, owner = cls.origins, cls.__qualname__
            cls._origins = None if written is None else Origins(written, owner=owner)
        # For annotations that name classes of the same function or class, or itself.
        cls._namespace = {**callers_locals(), cls.__name__: cls, **own}
        try:
            cls._prepare()
        except NameError:
            # An annotation names what the module defines further down. It is read
            # again when the class is routed, at the latest.
            if "_plan" in own:
                del cls._plan

    @classmethod
    def _prepare(cls) -> Plan:
        """Return the plan of the class, making it where that had to wait."""
        if "_plan" not in vars(cls):
            plan = make_plan(cls, WebSocketConsumer, cls._namespace)
            cls._plan = plan
            cls._namespace = {}
            cls._receive_codec, cls._send_codec = plan.receive, plan.send
            cls._publish_codec = plan.publish
        return cls._plan

    @classmethod
    def prepare(cls) -> Plan:
        """Return what the class asks for.

        Raises:
            ConfigurationError: Something about it can't work.
        """
        try:
            return cls._prepare()
        except NameError as error:
            raise ConfigurationError(
                f"{cls.__qualname__}: every annotation of a hook must name something "
                f"that is there when the class is routed; {error}"
            ) from error

    def __await__(self) -> Generator[Any, Any, None]:
        """Serve the connection: what an ASGI server does with the class."""
        return type(self)._serve(self).__await__()

    # -- hooks ----------------------------------------------------------------------

    async def on_handshake(self, *parameters: Any, **named: Any) -> None:
        """Decide about the handshake, before accept.

        Parameters are filled by name from the path and the query, and by providers. To
        refuse, ``await self.reject(status)``, or raise Starlette's ``HTTPException``.
        """

    async def on_connect(self, *parameters: Any, **named: Any) -> None:
        """Begin, after accept. Parameters as for :meth:`on_handshake`.

        Its providers are made before accept: one that raises ``HTTPException`` refuses.
        No message is handled before it returns. Cancelled at once when the client
        leaves and no message waits.
        """

    if TYPE_CHECKING:
        on_receive: Any
        """Handle one message. Its annotation says what is read: **untrusted**, but of
        that type. A message that is not closes with 1003, 1007 or 1008. A class without
        this hook is push-only: any message closes with 1003."""

    async def on_disconnect(self, code: int, *parameters: Any, **named: Any) -> None:
        """End. Runs exactly once if ``on_handshake`` or ``on_connect`` was entered.

        Groups were left and the connection's tasks have ended. Runs in a task of its
        own that no cancellation reaches, for at most ``limits.disconnect_timeout``.
        Sending, joining and ``start_soon`` raise; publishing works.

        Args:
            code: As in ``self.close_event``, which knows more.
            parameters: Providers.
            named: Providers.
        """

    if TYPE_CHECKING:

        async def on_presence(self, group: GroupName, diff: PresenceDiff) -> None:
            """Learn who came and went, in a group declared with presence.

            Called with several changes at once, between the publications that the
            client gets. Further parameters: providers. A slow one delays only its own
            connection, and an exception closes only that, with 1011.
            """

        async def on_gap(self, group: GroupName, recovery: Recovery) -> None:
            """Learn that publications are lost before the next: a new snapshot is due.

            That is when the broker has lost its data. Otherwise as :meth:`on_presence`.
            Without this hook the connection is closed with 1013, to come back.
            """

    # -- work -----------------------------------------------------------------------

    def start_soon(
        self, function: Callable[..., Awaitable[Any]], *args: Any, name: object = None
    ) -> TaskHandle[Any]:
        """Run ``function(*args)`` beside the hooks, until the connection ends.

        It starts at the next checkpoint and is cancelled when the connection ends, and
        by ``cancel()`` of the handle that is returned. An exception closes the
        connection with 1011 and cancels the rest.

        Raises:
            StateError: The connection has ended. What should outlive it goes to
                ``app.start_soon``.
        """
        if self._stage is ENDED:
            raise self._mistake("start_soon")
        return self._runtime.start(function, *args, name=name)

    @property
    def protocol(self) -> str | None:
        """The subprotocol of the framework's own that the client speaks, if it does.

        ``"consumers.v1+json"`` or ``"consumers.v1+msgpack"``.
        """
        return self._protocol

    @property
    def idempotency_key(self) -> str | None:
        """What names the message that is handled, however often it comes.

        For what is to be done once: give it to the database with what is written.
        Publications do that by themselves. ``None``: its sender has set none.
        """
        call = current_call.get()
        return None if call is None else call.key

    async def request(self, message: Any, *, returns: Any = Any) -> Any:
        """Ask the client, and return what it answers, however long that takes.

        Bound it by ``anyio.fail_after``: cancelling tells the client that the answer is
        not wanted any more.

        Args:
            message: The question.
            returns: The type that the answer is converted to. Untrusted, but of it.

        Raises:
            MessageError: The client answers with an error, or knows no answer.
            InvalidMessage: Its answer is of another type.
            StateError: It does not speak `consumers.v1`.
            ConnectionClosed: It is gone.
        """
        if self._stage is ENDED:
            await self._do(Action.SEND)
        return await self._runtime.session("request").asking.ask(message, returns)

    def end(self, code: int, reason: str = "") -> None:
        """Begin to close from outside, without waiting. For ``groups.disconnect``."""
        if self._stage is OPEN:
            self._runtime.end(code, reason)

    # -- what the runtime does at these points --------------------------------------

    async def _call_with(
        self,
        signature: Signature,
        function: Callable[..., Awaitable[Any]],
        values: dict[str, Any],
        *given: Any,
    ) -> Any:
        return await self._runtime.hooks.call(signature, function, values, *given)

    def _negotiated(self) -> str | None:
        if not self.scope.get("subprotocols") or not self._plan.speaks:
            return None
        return spoken(self.subprotocols)

    def _settled(self) -> None:
        self._runtime.settled()

    def _agreed(self, subprotocol: str | None) -> None:
        if subprotocol in PROTOCOLS and self._plan.speaks:
            name = PROTOCOLS[subprotocol]
            self._protocol = subprotocol
            self._send_codec = self._plan.framed(name)  # type: ignore[misc]
            self._publish_codec = FRAMED[name]
        super()._agreed(subprotocol)

    def _goodbye(self, event: CloseEvent) -> Event | None:
        return self._runtime.goodbye(event, self._retry)

    async def _subscribed(
        self,
        name: GroupName,
        snapshot: Any,
        recovery: Recovery,
        since: Position | None,
        asked: int | None,
    ) -> None:
        if asked is None:
            await super()._subscribed(name, snapshot, recovery, since, asked)
        else:
            session = self._runtime.session("subscribe")
            await session.subscribed(name, snapshot, recovery, since, asked)

    async def _unsubscribed(self, groups: Sequence[str]) -> None:
        if self._protocol is not None and self._stage is OPEN:
            await self._runtime.session("leave").unsubscribed(groups)

    def _accepted(self) -> Coroutine[Any, Any, None]:
        return self._runtime.accepted()

    def _following(self) -> Awaitable[Event]:
        return self._runtime.following()()

    def _closing(self) -> None:
        self._runtime.closing()

    def _closed_elsewhere(self) -> bool:
        runtime = getattr(self, "_runtime", None)  # None: all has ended
        return runtime is None or runtime.closed_elsewhere()

    def _gone(self) -> None:
        self._runtime.gone()

    def _start_writing(self) -> None:
        self._runtime.spawn(self._write)

    def _overflowed(self, publication: Published) -> None:
        if self._stage is OPEN:
            super()._overflowed(publication)
            self._runtime.overflowed()


WebSocketConsumer._plan = make_plan(WebSocketConsumer, WebSocketConsumer, {})
