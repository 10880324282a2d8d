"""The forms of receiving and sending that name a codec, whatever types are set."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeAlias

from .codecs import CODECS, Event

__all__ = ["Forms", "Sending"]

Sending: TypeAlias = "Coroutine[Any, Any, None]"


class Forms:
    """What a connection has beside ``receive`` and ``send``."""

    if TYPE_CHECKING:

        async def _next_message(self) -> Event: ...
        async def _transmit(self, event: Event) -> None: ...

    async def receive_text(self) -> str:
        """Receive a text message. Otherwise as ``receive``."""
        text: str = CODECS["text"].decode(await self._next_message())
        return text

    async def receive_bytes(self) -> bytes:
        """Receive a binary message. Otherwise as ``receive``."""
        data: bytes = CODECS["bytes"].decode(await self._next_message())
        return data

    async def receive_json(self) -> Any:
        """Receive JSON from a text message. Otherwise as ``receive``."""
        return CODECS["json"].decode(await self._next_message())

    async def receive_msgpack(self) -> Any:
        """Receive MessagePack from a binary message. Otherwise as ``receive``."""
        return CODECS["msgpack"].decode(await self._next_message())

    # Plain functions that return a coroutine: one frame less on a message's way.

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
