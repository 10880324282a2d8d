"""Both ends of one connection: what is on its way, and the application's call."""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import NoReturn

import anyio
from anyio.lowlevel import checkpoint

from consumers.errors import shorten

from .calls import Call
from .outcomes import Closed
from .settling import deadline, settle
from .transport import Event, Transport

__all__ = ["Link", "note_error", "show"]

_SHOWN = 10


class Link:
    """A connection from its handshake to the end of the application's call.

    Args:
        transport: Where the application's events go to and come from.
        call: The application's call for this connection.
        seconds: Returns how long a wait may take, in real time.
        hint: Returns what to add to the text of a ``TimeoutError``.
        raise_server_exceptions: Whether what the application raises is raised here.
    """

    def __init__(
        self,
        transport: Transport,
        call: Call,
        *,
        seconds: Callable[[], float],
        hint: Callable[[], str],
        raise_server_exceptions: bool,
    ) -> None:
        self.transport = transport
        self._call = call
        self._seconds = seconds
        self._hint = hint
        self._raise_server_exceptions = raise_server_exceptions
        self._seen: deque[Event] = deque(maxlen=_SHOWN)

    async def handshake(self) -> None:
        """Wait for the answer to the handshake.

        Raises:
            Refused: It was refused, and the application has returned.
        """
        with self.within("an answer to the handshake"):
            while self.transport.accepted is None and self.transport.refusal is None:
                await self.transport.client_signal.wait()
        if self.transport.refusal is not None:
            await self._end_of_call("after it refused the handshake")
            raise self.transport.refusal

    async def leave(self) -> None:
        """End the connection as a client that is done with it, and wait for the end."""
        if self.transport.end is None:
            self.transport.client_closes(1000, "")
        self.transport.resume()
        await self._end_of_call("after the connection had ended")

    async def _end_of_call(self, when: str) -> None:
        with self.within(f"the application to return {when}"):
            await self._call.ended.wait()
        if (error := self._take_error()) is not None:
            raise error

    async def abandon(self, error: BaseException) -> None:
        """End the connection because the test has failed, with ``error``.

        An error of the application's is added to it: where the test waited under a time
        limit of its own, it is the reason.
        """
        if self.transport.end is None:
            self.transport.client_drops()
        self.transport.resume()
        if not await self._call.stop(self._seconds()):
            error.add_note(
                "The application did not end although it was cancelled: "
                + self._call.where()
            )
        theirs = self._call.error
        if theirs is None or not self._raise_server_exceptions:
            return
        if isinstance(error, anyio.get_cancelled_exc_class()):
            self._take_error()
            raise theirs
        # It stays in the call: if `error` is caught, the client's exit raises it.
        note_error(error, theirs)

    def within(self, expected: str) -> AbstractContextManager[None]:
        """Bound a wait for what is ``expected``, with a ``TimeoutError`` that tells."""

        def explain() -> str:
            return (
                f"expected {expected} within {self._seconds()} s; {self._came()}; "
                f"{self._call.where()}{self._hint()}"
            )

        return deadline(self._seconds(), explain)

    def check_reading(self) -> None:
        """Refuse to read for a client that does not.

        Raises:
            RuntimeError: The client is stalled; the test's fault.
        """
        if self.transport.stalled:
            raise RuntimeError(
                "expected a client that reads, got a stalled one; resume() it first"
            )

    async def next(self, expected: str) -> Event:
        """Wait for the next message.

        Raises:
            Closed: The connection has ended, and all that came was received.
            TimeoutError: None came in time.
            RuntimeError: The client is stalled.
        """
        self.check_reading()
        await checkpoint()
        transport = self.transport
        with self.within(expected):
            while not transport.unread and transport.end is None:
                await transport.client_signal.wait()
        if not transport.unread:
            await self.raise_end(expected)
        event = transport.unread.popleft()
        self._seen.append(event)
        return event

    async def raise_end(self, expected: str) -> NoReturn:
        """Raise what the connection ended by: the application's exception, or a close.

        Raises:
            Closed: The application has raised nothing that was not raised here before.
        """
        # A close by the server is often followed by the exception that it was for.
        with anyio.move_on_after(self._seconds()):
            await settle()
        if (error := self._take_error()) is not None:
            raise error
        assert self.transport.end is not None
        raise Closed(self.transport.end, expected, self._came())

    def _take_error(self) -> BaseException | None:
        error = self._call.take_error()
        return error if self._raise_server_exceptions else None

    def _came(self) -> str:
        parts = []
        if self._seen:
            parts.append(f"the last that came: {show(self._seen)}")
        if self.transport.unread:
            parts.append(f"not received yet: {show(self.transport.unread)}")
        return "; ".join(parts) or "nothing came"


def note_error(error: BaseException, theirs: BaseException) -> None:
    """Add what the application raised to the error that a test fails by, once."""
    text = "".join(traceback.format_exception(theirs))
    note = f"The application had raised:\n{text}"
    if note not in getattr(error, "__notes__", ()):
        error.add_note(note)


def show(events: Iterable[Event]) -> str:
    """Return messages for an error's text: ``'hello', b'world'``."""
    messages = [
        event["bytes"] if event.get("text") is None else event["text"]
        for event in events
    ]
    shown = [shorten(message, 200) for message in messages[:_SHOWN]]
    if len(messages) > _SHOWN:
        shown.append(f"and {len(messages) - _SHOWN} more")
    return ", ".join(shown)
