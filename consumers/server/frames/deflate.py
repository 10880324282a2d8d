"""permessage-deflate (RFC 7692): agreed in the handshake, done message by message.

What is agreed is left to the ``websockets`` package; compressing and inflating are done
here, so that both begin at the first message which needs them, and so that a message is
inflated while it comes, never by more than it may have.
"""

from __future__ import annotations

import zlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from websockets.exceptions import InvalidHandshake, NegotiationError
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.headers import build_extension, parse_extension

from consumers.server.frames.outgoing import frame

__all__ = ["Corrupt", "Deflate", "DeflateSettings", "negotiate"]

_TAIL: Final = b"\x00\x00\xff\xff"
"""Ends what a sync flush makes; not sent, and added again before inflating."""

_AFTER_FINAL: Final = (b"", b"\x00", _TAIL, b"\x00" + _TAIL)
"""What may follow a block that says it is the last one (RFC 7692 7.2.3.5)."""

_COMPRESSED: Final = 0x40
"""RSV1: the message is compressed."""

_CACHED_OFFERS: Final = 512
"""Longer offers are not remembered: they come from nobody who comes often."""


class Corrupt(Exception):
    """The client's compressed data is not what RFC 1951 describes. Its fault."""


@dataclass(frozen=True, slots=True)
class DeflateSettings:
    """How to compress, if the client offers to.

    Raises:
        ValueError: A value is out of its range. The fault of whoever set it.
    """

    server_no_context_takeover: bool = False
    """Compress each message by itself: less memory, larger frames, and a frame may be
    shared by all connections that agreed on this."""

    client_no_context_takeover: bool = False
    """Have the client compress each message by itself: less memory here."""

    server_max_window_bits: int = 12
    """The window of what is sent has 2 to this power bytes: 9-15."""

    client_max_window_bits: int = 12
    """The same of what is received, where the client lets it be chosen: 8-15."""

    memory_level: int = 5
    """What zlib uses to compress beside the window: 1-9; 2 to this power + 9 bytes."""

    level: int = -1
    """Effort: 0-9, or -1 for zlib's own choice."""

    threshold: int = 256
    """Messages of fewer bytes are sent uncompressed."""

    def __post_init__(self) -> None:
        for name, lowest, highest in (
            ("server_max_window_bits", 9, 15),
            ("client_max_window_bits", 8, 15),
            ("memory_level", 1, 9),
            ("level", -1, 9),
        ):
            if not lowest <= getattr(self, name) <= highest:
                raise ValueError(
                    f"{name} must be {lowest} to {highest}, got {getattr(self, name)!r}"
                )


@dataclass(frozen=True, slots=True)
class _Agreement:
    """What server and client agreed on, from the server's point of view."""

    settings: DeflateSettings
    sends_alone: bool
    receives_alone: bool
    send_bits: int
    receive_bits: int


class Deflate:
    """The compression of one connection. ``negotiate`` makes it.

    An idle one holds nothing of zlib's: what inflates is made at the first compressed
    message of the client, what compresses at the first that is sent, and both are given
    back after each message where there is no context takeover.
    """

    __slots__ = ("_agreement", "_compressor", "_inflater", "shared", "threshold")

    threshold: int
    """Messages of fewer bytes are sent uncompressed."""

    shared: Hashable | None
    """Connections for which this is equal may be sent one and the same compressed
    frame. ``None``: what was sent before is part of the context, so nothing can be
    shared."""

    def __init__(self, agreement: _Agreement) -> None:
        settings = agreement.settings
        self._agreement = agreement
        self._compressor: Any = None  # zlib has no public name for these two types
        self._inflater: Any = None
        self.threshold = settings.threshold
        self.shared = (
            (agreement.send_bits, settings.memory_level, settings.level, self.threshold)
            if agreement.sends_alone
            else None
        )

    def compressed_frame(self, first: int, payload: bytes) -> bytes:
        """Return a message as a compressed frame, however small it is.

        With context takeover it has to be sent, and before what is compressed later.
        """
        compressor = self._compressor
        if compressor is None:
            agreement = self._agreement
            compressor = zlib.compressobj(
                agreement.settings.level,
                wbits=-agreement.send_bits,
                memLevel=agreement.settings.memory_level,
            )
            if not agreement.sends_alone:
                self._compressor = compressor
        data = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
        return frame(first | _COMPRESSED, data[: -len(_TAIL)])

    def inflate(self, data: bytes, room: int) -> bytes:
        """Inflate the next part of a message.

        Returns more than ``room`` bytes, by one, if there are more; the connection has
        to be failed then.

        Raises:
            Corrupt: The data can't be inflated.
        """
        inflater = self._inflater
        if inflater is None:
            bits = self._agreement.receive_bits
            self._inflater = inflater = zlib.decompressobj(wbits=-bits)
        try:
            # One byte more than there is room for tells "just as many" from "too many",
            # and leaves nothing inside that a later call would bring out.
            inflated: bytes = inflater.decompress(data, room + 1)
        except zlib.error as error:
            raise Corrupt from error
        if inflater.unused_data not in _AFTER_FINAL:
            raise Corrupt
        return inflated

    def finish(self, room: int) -> bytes:
        """Inflate what is held back at the end of a message; the rest as `inflate`."""
        inflated = self.inflate(_TAIL, room)
        if self._agreement.receives_alone or self._inflater.eof:
            self._inflater = None
        return inflated


def negotiate(
    offers: Sequence[str], settings: DeflateSettings
) -> tuple[Deflate, str] | None:
    """Choose among what the client offers.

    Args:
        offers: The values of ``Sec-WebSocket-Extensions``, as `Handshake` has them.
        settings: What the server would like.

    Returns:
        The connection's compression and the header's value for the answer, or ``None``
        if nothing fits.

    Source: RFC 7692 5.1, 7.1.
    """
    if not offers:
        return None
    choose = _chosen if sum(map(len, offers)) <= _CACHED_OFFERS else _choose
    chosen = choose(tuple(offers), settings)
    return None if chosen is None else (Deflate(chosen[0]), chosen[1])


def _choose(
    offers: tuple[str, ...], settings: DeflateSettings
) -> tuple[_Agreement, str] | None:
    factory = ServerPerMessageDeflateFactory(
        settings.server_no_context_takeover,
        settings.client_no_context_takeover,
        settings.server_max_window_bits,
        settings.client_max_window_bits,
    )
    for offer in offers:
        try:
            extensions = parse_extension(offer)
        except InvalidHandshake:
            return None
        for name, parameters in extensions:
            if name != factory.name:
                continue
            try:
                answer, agreed = factory.process_request_params(parameters, [])
            except NegotiationError:
                continue
            agreement = _Agreement(
                settings,
                agreed.local_no_context_takeover,
                agreed.remote_no_context_takeover,
                agreed.local_max_window_bits,
                agreed.remote_max_window_bits,
            )
            return agreement, build_extension([(name, answer)])
    return None


_chosen = lru_cache(maxsize=64)(_choose)
