"""The forms of receiving and sending that name a codec, whatever types are set."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from .codecs import CODECS, Codec, Event
from .errors import InvalidMessage
from .limits import DEFAULT_SHAPE
from .over_limit import note_misfit
from .state import OPEN, Action

if TYPE_CHECKING:
    from .decoding import Decode
    from .metering import Meter
    from .queues.inbox import Inbox
    from .rates import Bucket
    from .shape import Shape
    from .state import State

__all__ = ["Forms", "Sending"]

Sending: TypeAlias = "Coroutine[Any, Any, None]"


class Forms:
    """What a connection has beside ``receive`` and ``send``."""

    _stage: State
    _inbox: Inbox
    _shape: Shape = DEFAULT_SHAPE  # what a message may be
    _meter: Meter | None = None  # counts messages, if anybody asked for it

    if TYPE_CHECKING:

        @property
        def id(self) -> str:
            """What names this connection."""
            ...

        async def _transmit(self, event: Event) -> None: ...
        async def _do(self, action: Action) -> None: ...
        async def _raise_gone(self) -> NoReturn: ...
        def _following(self) -> Awaitable[Event]: ...

    async def _received(self, decode: Decode) -> Any:
        """Return the next message: what each ``receive`` is, in one frame."""
        if self._stage is not OPEN:
            await self._do(Action.RECEIVE)
        event = self._inbox.took(await self._following())
        if event["type"] == "websocket.disconnect":
            await self._raise_gone()
        if self._meter is not None:
            self._meter.count(event)
        try:
            return decode(event)
        except InvalidMessage as error:
            note_misfit(self, error)  # a view may catch it, and go on
            raise

    def _by(self, codec: Codec) -> Decode:
        """Return what decodes this connection's messages by a codec."""
        if self._shape is DEFAULT_SHAPE:
            return codec.decode
        return codec.decoder(self._shape)

    def _counting(self, decode: Decode) -> Decode:
        """Return what counts a message before it is decoded, where it is counted."""
        return decode if self._meter is None else self._meter.around(decode)

    def _metered(self, decode: Decode) -> tuple[Bucket | None, Decode]:
        """Return what has one token less for each message, and what decodes it.

        For loops over messages, where a call less for each counts. Where that leaves
        less than none, :meth:`_exhausted` is due. ``None``: the decoder counts, or
        nobody does.
        """
        if self._meter is None or self._meter.tokens is None:
            return None, self._counting(decode)
        return self._meter.tokens, decode

    def _exhausted(self) -> None:
        assert self._meter is not None
        self._meter.exhausted()

    # Plain functions that return a coroutine: one frame less on a message's way.

    def receive_text(self) -> Coroutine[Any, Any, str]:
        """Receive a text message. Otherwise as ``receive``."""
        return self._received(self._by(CODECS["text"]))

    def receive_bytes(self) -> Coroutine[Any, Any, bytes]:
        """Receive a binary message. Otherwise as ``receive``."""
        return self._received(self._by(CODECS["bytes"]))

    def receive_json(self) -> Coroutine[Any, Any, Any]:
        """Receive JSON from a text message. Otherwise as ``receive``."""
        return self._received(self._by(CODECS["json"]))

    def receive_msgpack(self) -> Coroutine[Any, Any, Any]:
        """Receive MessagePack from a binary message. Otherwise as ``receive``."""
        return self._received(self._by(CODECS["msgpack"]))

    def send_text(self, message: str) -> Sending:
        """Send a text message. Otherwise as ``send``."""
        return self._transmit(CODECS["text"].encode(message))

    def send_bytes(self, message: bytes) -> Sending:
        """Send a binary message. Otherwise as ``send``."""
        return self._transmit(CODECS["bytes"].encode(message))

    def send_json(self, message: Any) -> Sending:
        """Send a value as JSON in a text message. Otherwise as ``send``."""
        return self._transmit(CODECS["json"].encode(message))

    def send_msgpack(self, message: Any) -> Sending:
        """Send a value as MessagePack in a binary message. Otherwise as ``send``."""
        return self._transmit(CODECS["msgpack"].encode(message))
