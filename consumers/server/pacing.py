"""Pacing: how much is sent on one event loop before everybody else has a turn.

A `send` that need not wait lets nobody run. Many loops of such, each of which yields
now and then, hold the event loop for as long as all of them together take until then.
So there is one measure for all connections of a loop. What is beyond it waits, first
come first served, and takes turns with whatever else there is to do.

Publications are not measured, since a publisher waits for no member. Nor are replies
that need not wait: they are as many as messages are read.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

__all__ = ["LONG", "MOST", "SLICE", "SPARE", "WAITED", "Pace", "Paced"]

_UNIT: Final = 11
"""What a message costs: one, and one more for each 2 to this power of its bytes."""

LONG: Final = 1 << _UNIT
"""Bytes up to which a message costs one."""

SPARE: Final = 8
"""What a connection takes at least, to have it for the next messages. So most of them
need not ask, and who begins to send after a silence adds little to a turn."""

WAITED: Final = 32
"""The same for one that had to wait: it is likely to send on, and to wait costs more
than to send."""

SLICE: Final = 64 - WAITED
"""What is sent on end while no task is known to have waited. A loop of short messages
lets others run at every 64th by that: it has waited for the first half of them."""

MOST: Final = 512
"""What may be sent in a turn of the event loop, or a little more: so many short
messages, or one of a mebibyte, which is a few milliseconds. In the first of several
such turns it is twice that: only after the first half it is known that there is
something to be counted by the turn."""

Waiter = TypeVar("Waiter")


class Pace(Generic[Waiter]):
    """What the connections of one event loop may send, turn by turn."""

    __slots__ = ("_at_next_turn", "_counts", "_left", "_room", "_waiting", "is_alone")

    def __init__(self, at_next_turn: Callable[[Callable[[], None]], object]) -> None:
        """Begin.

        Args:
            at_next_turn: Calls a function after all that can run now, and what the same
                function has set going the time before.
        """
        self.is_alone = True
        """Whether no task is known to have waited since the slice began; for those who
        wait to set."""
        self._at_next_turn = at_next_turn
        self._left = SLICE
        self._room = MOST - SLICE  # for further slices
        self._counts = False  # whether it is in the present turn that these were used
        self._waiting: deque[tuple[int, Waiter]] = deque()

    def take(self, amount: int) -> bool:
        """Take of what there is for this turn; ``False``: `wait` for another."""
        self._left = left = self._left - amount
        return left >= 0 or self._next_slice(-left)

    @abstractmethod
    async def wait(self, amount: int) -> None:
        """Take so much in a turn to come. Cancelling is safe."""

    @abstractmethod
    def _wake(self, waiter: Waiter) -> None:
        """Wake a waiter, unless it waits no more."""

    def _add(self, amount: int, waiter: Waiter) -> None:
        self._waiting.append((amount, waiter))
        if not self._counts:
            self._count()

    def _next_slice(self, excess: int) -> bool:
        """Begin a slice, if one is left; tell whether who asks for more may go on."""
        room = self._room - excess
        if self.is_alone or (room <= 0 and self._counts):
            self._left = 0  # for whoever asks again before a turn has come
            return False
        if room <= 0:
            # It may have been many turns, of a little each. From here on it is one.
            room = MOST
            self._count()
        self._left, self._room, self.is_alone = SLICE, room - SLICE, True
        return True

    def _count(self) -> None:
        self._counts = True
        self._at_next_turn(self._turn)

    def _turn(self) -> None:
        """Everybody else had a turn: let those go on who have waited the longest."""
        waiting, room = self._waiting, MOST
        while waiting and room > 0:
            amount, waiter = waiting.popleft()
            room -= amount
            self._wake(waiter)
        self._counts = False
        if room < MOST - SLICE:  # else it is as good as nothing
            self._count()
        self._left = max(0, min(SLICE, room))
        self._room = room - SLICE
        self.is_alone = True


class Paced:
    """A connection that sends at its loop's pace."""

    __slots__ = ("_lacks", "_pace", "_spare")

    def __init__(self, pace: Pace[Any]) -> None:
        """Begin with nothing to spare."""
        self._pace = pace
        self._spare = 0  # what was taken and not used yet
        self._lacks = 0  # what was asked for last

    def _takes(self, size: int) -> bool:
        """Take what a message costs, beyond the one that `_spare` is less by already.

        ``False``: wait for `_turn`, or until its client reads, and begin anew.
        """
        spare = self._spare - (size >> _UNIT)
        if spare < 0:
            self._lacks = lacks = SPARE if spare > -SPARE else -spare
            if not self._pace.take(lacks):
                self._spare += 1
                return False
            spare += lacks
        self._spare = spare
        return True

    async def _turn(self) -> None:
        """Wait for what was asked for last. Cancelling takes nothing."""
        amount = max(self._lacks, WAITED)
        await self._pace.wait(amount)
        self._spare += amount
