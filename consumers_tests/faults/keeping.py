"""Clients whose notes outlive their process, as on a phone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from .members import Member, Surroundings
from .verdict import Segment

__all__ = ["Keeping"]

# The lines of a file: where a segment starts, a publication, one of another history.
_START, _GOT, _STRANGE = "start", "got", "strange"


class Keeping(Member):
    """A member that writes each note to a file, and begins with those that are there.

    What is in the file is what it has got: a process that is killed in between has
    not, and is sent it again.
    """

    def __init__(self, around: Surroundings, path: str, first: int, file: Path) -> None:
        super().__init__(around, path, first)
        self.segments = read(file.read_text() if file.exists() else "")
        self.told = max(0, len(self.segments) - 1)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        self._file = os.open(file, flags, 0o600)

    def hear(self, payload: bytes) -> None:
        """Take a message, and write it down."""
        before = self._seen()
        super().hear(payload)
        segment = self.segments[-1]
        segments, got, strange = self._seen()
        if segments > before[0]:
            self._note(_START, segment.start, segment.epoch)
        elif got > before[1]:
            self._note(_GOT, segment.offsets[-1], segment.numbers[-1])
        elif strange > before[2]:
            self._note(_STRANGE)

    def _seen(self) -> tuple[int, int, int]:
        if not self.segments:
            return 0, 0, 0
        segment = self.segments[-1]
        return len(self.segments), len(segment.offsets), segment.strangers

    def _note(self, *what: object) -> None:
        os.write(self._file, f"{' '.join(map(str, what))}\n".encode())


def read(text: str) -> list[Segment]:
    """Return the notes in a file."""
    segments: list[Segment] = []
    for line in text.splitlines():
        _add(segments, line.split())
    return segments


def _add(segments: list[Segment], words: Sequence[str]) -> None:
    match words:
        case [kind, offset, epoch] if kind == _START:
            segments.append(Segment(epoch, int(offset)))
        case [kind, offset, number] if kind == _GOT:
            segments[-1].offsets.append(int(offset))
            segments[-1].numbers.append(int(number))
        case _:
            segments[-1].strangers += 1
