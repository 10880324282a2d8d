"""Judges what one client has got. Pure: it compares lists of numbers.

Publication ``n`` of publisher ``p`` carries the number ``p * PUBLISHER + n``; a client
notes each with its offset. From being told ``recovered=False`` on, notes begin anew, in
a new segment: for what lies before it the client has been given no promise, but nothing
may come twice even then.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import msgspec

__all__ = ["PUBLISHER", "Kept", "Segment", "Verdict", "judge"]

PUBLISHER = 1_000_000
"""Larger than the count of any publisher's publications."""

LEAP = 1_000_000
"""What a broker that was restarted leaves out in its counting."""


@dataclass
class Segment:
    """What a client got from one start on, until it was told that it missed something.

    A group without history has neither epoch nor offsets.
    """

    epoch: str = ""
    start: int = 0
    """The offset that it was told to stand at."""
    offsets: array[int] = field(default_factory=lambda: array("q"))
    numbers: array[int] = field(default_factory=lambda: array("q"))
    strangers: int = 0
    """Publications of another epoch than the one it was told of."""


class Kept(msgspec.Struct, frozen=True):
    """A group's history in the end, all of it."""

    epoch: str
    offsets: list[int]


class Verdict(msgspec.Struct):
    """How many publications went wrong, and how."""

    lost: int = 0
    """Not got, though nobody said so."""
    twice: int = 0
    """Got again."""
    disordered: int = 0
    """Got after a later one."""
    strangers: int = 0
    """Got from another history, without having been told that the old one is gone."""
    stuck: int = 0
    """Clients that still wait in a history that is gone."""

    def __add__(self, other: Verdict) -> Verdict:
        return Verdict(
            *(getattr(self, n) + getattr(other, n) for n in self.__struct_fields__)
        )

    def __bool__(self) -> bool:
        """Tell whether anything went wrong."""
        return any(getattr(self, name) for name in self.__struct_fields__)


def _steps(numbers: Sequence[int]) -> tuple[set[int], int, int]:
    """Return which numbers there are, how many repetitions, and how many steps back."""
    seen: set[int] = set()
    back, highest = 0, -1
    for number in numbers:
        if number in seen:
            continue
        seen.add(number)
        if number < highest:
            back += 1
        else:
            highest = number
    return seen, len(numbers) - len(seen), back


def _by_publisher(numbers: Iterable[int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for number in numbers:
        publisher, n = divmod(number, PUBLISHER)
        found.setdefault(publisher, []).append(n)
    return found


def judge(
    segments: Sequence[Segment], sent: Mapping[int, int], history: Kept | None
) -> Verdict:
    """Compare what one client has got with what was published to its group.

    Args:
        segments: Its notes.
        sent: ``{publisher: count}``; each has published 1 to count.
        history: What the group has kept; ``None``: it keeps nothing.
    """
    verdict = Verdict(strangers=sum(segment.strangers for segment in segments))
    if not segments:
        verdict.lost = sum(sent.values())
        return verdict
    last = segments[-1]
    for segment in segments if history is not None else ():
        seen, twice, back = _steps(segment.offsets)
        verdict.twice += twice
        verdict.disordered += back
        if segment is last and history is not None and segment.epoch == history.epoch:
            due = {offset for offset in history.offsets if offset > segment.start}
            verdict.lost += len(due - seen)
            verdict.strangers += len(seen - due)
        else:
            known = sorted({segment.start, *seen})
            verdict.lost += sum(b - a - 1 for a, b in pairwise(known) if b - a < LEAP)
    if history is not None and last.epoch != history.epoch:
        verdict.stuck = 1
    numbers = [number for segment in segments for number in segment.numbers]
    lost = twice = disordered = 0
    got = _by_publisher(numbers)
    for publisher, values in got.items():
        seen, again, back = _steps(values)
        twice += again
        disordered += back
        verdict.strangers += len(seen - {*range(1, sent.get(publisher, 0) + 1)})
    for publisher, count in sent.items():
        lost += len({*range(1, count + 1)}.difference(got.get(publisher, ())))
    if len(segments) == 1:
        verdict.lost = max(verdict.lost, lost)
    verdict.twice = max(verdict.twice, twice)
    verdict.disordered = max(verdict.disordered, disordered)
    return verdict
