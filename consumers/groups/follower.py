"""A follower: what one group with history has published, each once and in order.

There is one for each such group that has members on this event loop. It trusts no
layer to deliver everything: what is missing shows by its offset, or when positions are
compared, and is fetched from the history.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio

from consumers.clock import sleep
from consumers.errors import LayerUnavailable
from consumers.history import History, Position, Recovery

from .publication import Kind, Publication

if TYPE_CHECKING:
    from consumers.layers import Kept, Layer, Replay

    from .counters import Counters

__all__ = ["Follower"]

log = logging.getLogger("consumers")

_RETRY_AFTER = (0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds between attempts to fetch what is missing; the last one from then on."""


class Follower:
    """Follows one group's history on one event loop."""

    __slots__ = (
        "_counters",
        "_deliver",
        "_ended",
        "_layer",
        "_moved",
        "_pending",
        "_read",
        "asked_at",
        "group",
        "history",
        "position",
        "recovering",
    )

    def __init__(
        self,
        group: str,
        history: History,
        layer: Layer,
        *,
        read: Callable[[Kept], Publication | None],
        deliver: Callable[[Publication], None],
        counters: Counters,
    ) -> None:
        """Prepare to follow ``group``.

        Args:
            group: Its name.
            history: What it keeps.
            layer: Where that is.
            read: Makes a publication of what is kept; ``None``: it is none.
            deliver: Takes each publication, when it is its turn.
            counters: Where to count doubles and gaps.
        """
        self.group = group
        """The group's name."""
        self.history = history
        """What it keeps."""
        self.position: Position | None = None
        """After the latest publication that was delivered; ``None``: not known yet."""
        self.recovering = False
        """Whether something is missing that is not fetched yet."""
        self.asked_at = 0.0
        """When the layer was asked last to remember the position."""
        self._layer = layer
        self._read = read
        self._deliver = deliver
        self._counters = counters
        # What came while something before it was missing, in the order of coming.
        self._pending: list[tuple[Publication, Position]] = []
        self._moved: anyio.Event | None = None  # somebody waits for a position
        self._ended = False

    def begin(self, position: Position) -> bool:
        """Begin after ``position``; what has come since then is delivered.

        Tells whether some are missing. Then :meth:`recover` is due.
        """
        self.position = position
        self._take_pending()
        return self.recovering

    async def reached(self, position: Position) -> None:
        """Wait until what has this position was delivered. Cancelling is safe."""
        while (
            not self._ended
            and self.position is not None
            and self.position.epoch == position.epoch
            and self.position.offset < position.offset
        ):
            if self._moved is None:
                self._moved = anyio.Event()
            await self._moved.wait()

    def take(self, publication: Publication, position: Position) -> bool:
        """Take a publication that the layer delivers; tell whether some are missing.

        Then :meth:`recover` is due, unless it runs.

        Raises:
            MessageNotEncodable: A member's codec can't send it. All others have got it.
        """
        last = self.position
        if last is None or self.recovering:
            self._keep_pending(publication, position)
            return False
        if position.epoch == last.epoch:
            if position.offset == last.offset + 1:
                self.position = position
                try:
                    self._deliver(publication)
                finally:
                    if self._moved is not None:
                        self._tell_moved()
                return False
            if position.offset <= last.offset:
                self._counters.doubles += 1
                return False
        self.recovering = True
        self._keep_pending(publication, position)
        return True

    def check(self, asked_at: Position | None, position: Position | None) -> bool:
        """Compare with where the history stands; tell whether some are missing.

        Then :meth:`recover` is due.

        Args:
            asked_at: Our own position when the layer was asked.
            position: What it answered.
        """
        last = self.position
        if last is None or asked_at is None or self.recovering or self._ended:
            return False
        if position is None or position.epoch != last.epoch:
            self.recovering = asked_at.epoch == last.epoch
        else:
            # One that went back, as a replica's may that took over, has lost some.
            went_back = position.offset < asked_at.offset
            self.recovering = went_back or position.offset > last.offset
        return self.recovering

    async def recover(self) -> None:
        """Fetch and deliver what is missing, until nothing is.

        What can't be had any more is told to the members as a gap. Cancelling leaves
        the follower where it was.
        """
        attempts = 0
        while self.recovering:
            try:
                replay = await self._layer.history(
                    self.group, self.history, since=self.position
                )
            except LayerUnavailable:
                await sleep(_RETRY_AFTER[min(attempts, len(_RETRY_AFTER) - 1)])
                attempts += 1
            else:
                if not self._ended:
                    self._replay(replay)

    def end(self) -> None:
        """Follow no longer: the layer does not deliver the group any more."""
        self._ended, self.recovering = True, False
        self._tell_moved()

    def _replay(self, replay: Replay) -> None:
        self.recovering = False
        self._counters.gaps += 1
        if not replay.complete:
            self._counters.lost_continuity += 1
            log.warning(
                "group %s: publications after %s are lost, its history stands at %s",
                self.group,
                self.position,
                replay.position,
            )
            self.position = replay.position
            gap = Publication(
                self.group, Recovery(False, 0, replay.position), kind=Kind.GAP
            )
            self._deliver_safely(gap)
        else:
            for kept in replay.kept:
                self.position = kept.position
                self._counters.recovered += 1
                self._deliver_safely(self._read(kept))
        self._take_pending()
        self._tell_moved()

    def _tell_moved(self) -> None:
        if self._moved is not None:
            self._moved.set()
            self._moved = None

    def _take_pending(self) -> None:
        pending, self._pending = self._pending, []
        if self._ended:  # a member that was told of a gap may have been the last one
            return
        for number, (publication, position) in enumerate(pending):
            before = self.position
            assert before is not None
            if position.epoch != before.epoch or position.offset > before.offset + 1:
                self.recovering = True
                self._pending = pending[number:]
                return
            if position.offset == before.offset + 1:
                self.position = position
                self._deliver_safely(publication)

    def _keep_pending(self, publication: Publication, position: Position) -> None:
        # Beyond the history's size the oldest are in the history, or are lost to it.
        self._pending.append((publication, position))
        if len(self._pending) > self.history.size:
            del self._pending[0]

    def _deliver_safely(self, publication: Publication | None) -> None:
        if publication is None:
            return
        try:
            self._deliver(publication)
        except Exception:
            log.exception("a publication to %s is dropped", self.group)
