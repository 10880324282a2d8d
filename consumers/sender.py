"""`Sender`: how what a connection sends gets to its client, or has to wait.

A send waits and is never dropped, a publication never waits for anybody: it goes to the
outbox, if it can't go out at once. While something is in the outbox, all that is sent
goes behind it.

Source of the events: ASGI WebSocket, spec version 2.5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn

from anyio.lowlevel import checkpoint

from .clock import move_on_after
from .codecs import CODECS, Codec, Event
from .forms import Sending
from .queues.backlog import Ledger, Published
from .queues.outbox import SERVER_IS_DONE, EventSend, Outbox, can_step, step
from .queues.policies import Loss
from .state import OPEN, Action

if TYPE_CHECKING:
    from .limits import Limits
    from .queues.direct import Direct
    from .queues.inbox import Inbox
    from .state import State

__all__ = ["Sender"]


# A loop of ready sends must let others run. Servers of ours see to it, for all of their
# connections together. On others, a checkpoint at every send costs microseconds, and a
# look at the message a tenth of one. So there is a look at every 7th, with a checkpoint
# if that is long, and one at every 63rd. The number is odd, so that what goes with each
# message, a header perhaps, is not all that is looked at.
_LOOK: Final = 7
_LOOKS: Final = 9
_LONG: Final = 2048  # bytes, or characters
# How long a failed send looks for the disconnect event that tells the client's code, in
# seconds. Servers queue it before they let `send` fail.
_CODE_WAIT: Final = 1.0


class Sender:
    """The half of a connection that sends. Users subclass ``WebSocketConsumer``."""

    _send_codec: ClassVar[Codec] = CODECS["text"]

    _stage: State
    _inbox: Inbox
    _bounds: Limits
    _asgi_send: EventSend
    _direct: Direct | None
    _outbox: Outbox | None  # there only while something waits
    _sends: int  # since the last look at a message's length
    _looks = 0  # since a checkpoint
    _encode: Callable[[Any], Event] | None = None  # before accept
    _ledger_or_none: Ledger | None = None  # of what waits for it
    _steps_or_none: bool | None = None  # whether the server's `send` can be stepped

    if TYPE_CHECKING:

        async def _do(self, action: Action) -> None: ...
        async def _raise_gone(self, cause: BaseException | None = None) -> NoReturn: ...

    # -- messages -------------------------------------------------------------------

    # A plain function that returns a coroutine: one frame less on a message's way.

    def send(self, message: Any) -> Sending:
        """Send a message as ``send_type`` says.

        Waits while the client's and the server's buffers are full, behind the
        publications that wait for this client, and where much is sent at once by all
        connections together, until it is its turn. Never drops.

        Cancelling takes the message back, unless it is on its way already.

        Raises:
            ConnectionClosed: The client is gone. Uncaught in a hook of this connection
                it ends the hook silently.
            MessageNotEncodable: The value does not fit the type.
            StateError: The connection is not open.
            TypeError: The class's ``sends`` does not have the message's type. The
                fault of the code that sends.
        """
        encode = self._encode
        if encode is None:
            encode = self._send_codec.encode
        return self._transmit(encode(message))

    async def _transmit(self, event: Event) -> None:
        direct = self._direct
        if direct is None:
            self._sends += 1
            if self._sends == _LOOK:
                self._sends = 0
                self._looks += 1
                content = event.get("text") or event.get("bytes") or ""
                if self._looks == _LOOKS or len(content) > _LONG:
                    self._looks = 0
                    await checkpoint()
        if self._stage is not OPEN:
            await self._do(Action.SEND)
        if self._outbox is not None and not self._outbox.is_mine():
            if not await self._outbox.put_and_wait(event):
                await self._raise_gone()
            return
        if direct is not None and direct.write(event):
            return
        send = self._asgi_send
        try:
            await send(event)
        except SERVER_IS_DONE as error:
            await self._send_failed(error)

    def _send_now(self, data: bytes, is_text: bool) -> bool:
        """Send a message that is encoded, if it need not wait; tell whether it did."""
        return (
            self._direct is not None
            and self._outbox is None
            and self._stage is OPEN
            and self._direct.write_data(data, is_text)
        )

    async def _hand_over(self, event: Event) -> None:
        try:
            await self._asgi_send(event)
        except SERVER_IS_DONE as error:
            await self._send_failed(error)

    async def _send_failed(self, error: BaseException) -> NoReturn:
        """Read on to the disconnect, which knows the client's code, and raise it.

        Only where nobody else is reading. Messages on the way go to the inbox: they
        came before the client left, and are still due to be handled.
        """
        if not self._inbox.is_idle():
            with move_on_after(_CODE_WAIT):
                await self._inbox.read_ahead()
        await self._raise_gone(error)

    # -- publications ---------------------------------------------------------------

    def _post(self, event: Event, size: int, publication: Published) -> None:
        """Send a publication without waiting; ``size`` is in bytes.

        Where the client does not read fast enough it waits in the outbox, and where
        that is full its group's policy decides.
        """
        if self._outbox is None and self._steps:
            try:
                rest = step(self._asgi_send(event))  # type: ignore[arg-type]
            except SERVER_IS_DONE:
                return  # whoever reads will learn that the client left
            if rest is not None:
                self._open_outbox().put_suspended(rest, size, publication)
        elif not self._open_outbox().put(event, size, publication, self._bounds):
            self._overflowed(publication)

    def _open_outbox(self) -> Outbox:
        """Return an outbox, with a writer."""
        if self._outbox is None:
            self._outbox = Outbox(self._ledger, self._encoded, self._lost)
            self._start_writing()
        return self._outbox

    def _give_up(self) -> None:
        """Send nothing more of what waits."""
        if self._outbox is not None:
            self._outbox.give_up()

    async def _write(self) -> None:
        """Empty the outbox: what the writer does."""
        outbox = self._outbox
        assert outbox is not None
        try:
            await outbox.run(self._asgi_send)
        finally:
            # In the same step as the last entry's end: no direct send may overtake.
            self._outbox = None

    # Not by `cached_property`: it asks for `__dict__`, and then the connection has a
    # dictionary of its own, where each look for any of its attributes takes longer.
    @property
    def _ledger(self) -> Ledger:
        if self._ledger_or_none is None:
            self._ledger_or_none = Ledger()
        return self._ledger_or_none

    @property
    def _steps(self) -> bool:
        if self._steps_or_none is None:
            self._steps_or_none = can_step(self._asgi_send)
        return self._steps_or_none

    # -- what the runtime does at these points --------------------------------------

    def _start_writing(self) -> None:
        """Something waits in the outbox: start a task with :meth:`_write`."""

    def _encoded(self, publication: Any) -> tuple[Event, int]:
        """Return what is sent of a publication, and its size in bytes."""
        encoded: tuple[Event, int] = publication.encoded(self._send_codec)
        return encoded

    def _lost(self, loss: Loss, count: int) -> None:
        """So many publications will not be sent."""
        self._ledger.note(loss, count)

    def _overflowed(self, publication: Published) -> None:
        """There is no room for a publication, and no other may go instead."""
