"""Asking: requests of the server's, answered by a client of `consumers.v1`."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import anyio
import msgspec

from consumers.codecs import codec_for
from consumers.errors import MessageError
from consumers.protocol.frames import Cancel, Error, Reply, Request
from consumers.shape import ANYTHING

if TYPE_CHECKING:
    from .session import Session

__all__ = ["Asking"]


class _Asked:
    """A request that is not answered yet."""

    __slots__ = ("answer", "came")

    def __init__(self) -> None:
        self.came = anyio.Event()
        self.answer: Reply[msgspec.Raw] | Error | None = None


class Asking:
    """What the server has asked one client, and what it answers."""

    __slots__ = ("_asked", "_codec", "_ids", "_session")

    def __init__(self, session: Session, codec: str) -> None:
        """Ask by a session whose frames have this codec."""
        self._session = session
        self._codec = codec
        self._ids = count(1)
        self._asked: dict[int, _Asked] = {}

    def __len__(self) -> int:
        """Return how many requests wait for their answers."""
        return len(self._asked)

    async def ask(self, message: Any, returns: Any) -> Any:
        """Send a request, and return its answer; see ``WebSocketConsumer.request``."""
        name, asked = next(self._ids), _Asked()
        self._asked[name] = asked
        session = self._session
        try:
            await session.send(Request(name, message))
            session.read_ahead()  # else a hook would wait for what nobody reads
            await asked.came.wait()
        except anyio.get_cancelled_exc_class():
            session.post(session.answers.encode(Cancel(name)))
            raise
        finally:
            del self._asked[name]
        answer = asked.answer
        if answer is None:
            await session.raise_gone()
        if isinstance(answer, Error):
            detail = None if answer.detail is msgspec.UNSET else answer.detail
            raise MessageError(answer.code, detail)
        return self._converted(bytes(answer.message), returns)

    def take(self, frame: Reply[msgspec.Raw] | Error) -> None:
        """Take the client's answer; the first one counts."""
        name = frame.id
        asked = None if name is msgspec.UNSET else self._asked.get(name)
        if asked is not None and asked.answer is None:
            asked.answer = frame
            asked.came.set()

    def gone(self) -> None:
        """Wake those who wait: no answer will be read any more."""
        for asked in self._asked.values():
            asked.came.set()

    def _converted(self, raw: bytes, returns: Any) -> Any:
        kind = "text" if self._codec == "json" else "bytes"
        data: Any = raw.decode() if kind == "text" else raw
        return codec_for(self._codec, returns).decoder(ANYTHING)({kind: data})
