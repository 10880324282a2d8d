"""Frames as a client reads them: whole ones out of a stream of bytes."""

from __future__ import annotations

__all__ = ["CLOSE", "PING", "PONG", "TEXT", "Frames"]

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class Frames:
    """Cuts what a server sends into frames; none of them is fragmented or masked."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Return ``(opcode, payload)`` of each frame that these bytes complete.

        Raises:
            ValueError: A frame is a fragment.
        """
        if self._rest:
            data = self._rest + data
        found: list[tuple[int, bytes]] = []
        at, size = 0, len(data)
        while size - at >= 2:
            head, length = data[at], data[at + 1]
            body = at + 2
            if length == 126:
                if size - at < 4:
                    break
                length, body = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            elif length == 127:
                if size - at < 10:
                    break
                length, body = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
            if size - body < length:
                break
            if head & 0xF0 != 0x80:
                raise ValueError(f"expected whole frames, got a head of {head:#x}")
            at = body + length
            found.append((head & 0x0F, data[body:at]))
        self._rest = data[at:] if at else data
        return found
