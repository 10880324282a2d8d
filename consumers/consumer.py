"""`WebSocketConsumer`: a connection with hooks. The base class of what users write."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final

from .errors import ConfigurationError
from .groups import Groups, Membership, Publication, Target, name_of
from .plan import SETTINGS, Plan, check_settings, make_plan
from .signatures import callers_locals
from .state import OPEN, Action, State
from .websocket import WebSocket

if TYPE_CHECKING:
    from anyio import TaskHandle

    from .codecs import Event
    from .runtime import Runtime

__all__ = ["WebSocketConsumer"]


class WebSocketConsumer(WebSocket):
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

    finish_timeout: ClassVar[float] = 5.0
    """Seconds that messages which came before the client left may still take."""

    refusals: ClassVar[Any] = "http"
    """``"http"``: a refused handshake is answered with its status. ``"close"``: it is
    accepted and closed with 4000 + status, which a browser's script can read."""

    limits: ClassVar[Any] = None
    """Bounds of its own; ``None``: the application's."""

    _plan: ClassVar[Plan]
    # A function view, for the classes that routing makes of functions.
    _view: ClassVar[Callable[..., Awaitable[None]] | None] = None
    _namespace: ClassVar[dict[str, Any]] = {}
    # Set by `runtime`, which stands above this module.
    _serve: ClassVar[Callable[[WebSocketConsumer], Awaitable[None]]]
    _runtime: Runtime
    _groups: Groups

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Read and check the class.

        Raises:
            ConfigurationError: Something about it can't work.
        """
        super().__init_subclass__(**keywords)
        own = vars(cls)
        check_settings(
            cls.__qualname__, {name: own[name] for name in SETTINGS if name in own}
        )
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
        if self._stage is State.ENDED:
            raise self._mistake("start_soon")
        return self._runtime.start(function, *args, name=name)

    # -- groups ---------------------------------------------------------------------

    async def join(self, *groups: Target, presence: Any = None) -> None:
        """Become a member: get what is published to ``groups`` from now on.

        The membership ends with the connection. Joining again changes ``presence``.

        Args:
            groups: Which.
            presence: What ``groups.presence`` tells of this connection.

        Raises:
            StateError: The connection is not open.
            ConnectionClosed: The client is gone.

        Cancelling leaves it open which groups were joined.
        """
        for group in groups:
            await self._join(group, presence)

    async def leave(self, *groups: Target) -> None:
        """Stop being a member. Does nothing where it is none. Cancelling is safe."""
        for group in groups:
            self._runtime.memberships.pop(name_of(group).name, None)
            await self._groups.remove(group, self)

    @asynccontextmanager
    async def joining(self, group: Target, presence: Any = None) -> AsyncIterator[None]:
        """Join, and hold the group's publications back until the block ends.

        ::

            async with self.joining(room):
                await self.send(await snapshot())

        The client gets the snapshot and then every later change, without a gap. An
        exception or a cancellation in the block leaves the group again.

        Raises:
            StateError: The connection is not open.
            ConnectionClosed: The client is gone.
        """
        membership = await self._join(group, presence, hold=True)
        try:
            yield
        except BaseException:
            membership.held = None
            self._runtime.memberships.pop(name_of(group).name, None)
            self._groups.leave_all([name_of(group).name], self)
            raise
        self._groups.release(membership, self)

    async def publish(
        self, group: Target, message: Any, *, exclude_self: bool = False
    ) -> None:
        """Send ``message`` to every member of ``group``, as ``Groups.publish`` does.

        Works in ``on_disconnect`` too.
        """
        await self._groups.publish(
            group, message, exclude=self if exclude_self else None
        )

    @property
    def groups(self) -> Groups:
        """The groups of the application."""
        return self._groups

    async def _join(
        self, group: Target, presence: Any, hold: bool = False
    ) -> Membership:
        if self._stage is not State.OPEN:
            await self._do(Action.JOIN)
        name = name_of(group)
        self._runtime.memberships[name.name] = None
        membership = await self._groups.add(name, self)
        if self._stage is not State.OPEN:  # it ended while the layer was asked
            await self._groups.remove(name, self)
            await self._do(Action.JOIN)
        membership.metadata = presence
        if hold:
            membership.held = []
        return membership

    def deliver(self, publication: Publication) -> None:
        """Take a publication. For the hub."""
        if self._stage is not OPEN:
            return
        interceptors = self._plan.interceptors
        if interceptors:
            method = self._interceptor_of(type(publication.message))
            if method is not None:
                self._intercept(method, publication)
                return
        if not publication.internal:
            event, size = publication.encoded(self._send_codec)
            self._post(event, size)

    def hold(self, membership: Membership, publication: Publication) -> None:
        """Keep a publication back while :meth:`joining` sends its snapshot."""
        assert membership.held is not None
        if len(membership.held) < self._bounds.outbox_messages:
            membership.held.append(publication)
        else:
            self._overflowed()

    def _interceptor_of(self, kind: type) -> str | None:
        for base in kind.__mro__:
            if base in self._plan.interceptors:
                return self._plan.interceptors[base]
        return None

    def _intercept(self, method: str, publication: Publication) -> None:
        async def late() -> Event | None:
            message = await getattr(self, method)(publication.message)
            if message is None:
                return None
            if message is publication.message and not publication.internal:
                return publication.encoded(self._send_codec)[0]
            return self._send_codec.encode(message)

        size = _INTERCEPTED_SIZE
        if self._outbox is not None and not self._outbox.fits(size, self._bounds):
            self._overflowed()
        else:
            self._open_outbox().put_late(late, size)

    def end(self, code: int, reason: str = "") -> None:
        """Begin to close from outside, without waiting. For ``groups.disconnect``."""
        self._runtime.end(code, reason)

    # -- what the runtime does at these points --------------------------------------

    async def _accepted(self) -> None:
        await self._runtime.accepted()

    def _following(self) -> Awaitable[Event]:
        return self._runtime.following()()

    def _closing(self) -> None:
        self._runtime.closing()

    def _closed_elsewhere(self) -> bool:
        return self._runtime.closed_elsewhere()

    def _gone(self) -> None:
        self._runtime.gone()

    def _start_writing(self) -> None:
        self._runtime.spawn(self._write)

    def _overflowed(self) -> None:
        self._runtime.overflowed()


# A publication that is yet to be intercepted has no size; it counts as this many bytes.
_INTERCEPTED_SIZE: Final = 256

WebSocketConsumer._plan = make_plan(WebSocketConsumer, WebSocketConsumer, {})
