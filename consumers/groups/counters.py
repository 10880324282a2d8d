"""Counters: what has happened to the publications of one `Groups`."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from consumers.queues.policies import Loss

__all__ = ["Counters"]


@dataclass(slots=True)
class Counters:
    """Counts since the start, over all groups and event loops of this process."""

    doubles: int = 0
    """Publications that came twice from the layer, and were delivered once."""
    gaps: int = 0
    """How often publications were missing and had to be fetched from a history."""
    recovered: int = 0
    """Publications that were fetched so."""
    lost_continuity: int = 0
    """How often they could not be had any more, so that members were told."""
    recoveries: int = 0
    """Returns to a group that got everything they had missed."""
    recoveries_failed: int = 0
    """Returns to a group whose position did not serve any more."""
    unreadable: int = 0
    """What came from the layer and was no publication."""

    coalesced: int = 0
    """Publications that a later one with the same key replaced before their delivery,
    since the group's policy delivers only every so often."""
    superseded: int = 0
    """The same in the outbox of a connection that reads too slowly: each counts once
    for each such connection, here and in what follows."""
    dropped_oldest: int = 0
    """Publications that `DropOldest` dropped to make room for newer ones."""
    dropped_newest: int = 0
    """Publications that `DropNewest` or `DropOldest` had no room for."""
    overflowed: int = 0
    """Those for which there was no room either, so that a connection was closed with
    1013."""
    given_up: int = 0
    """Those that waited when the server closed their connection, with whatever code."""

    def count(self, loss: Loss, times: int) -> None:
        """Count publications that a connection will not get."""
        setattr(self, loss, getattr(self, loss) + times)

    def as_dict(self) -> dict[str, int]:
        """Return ``{name: count}``."""
        return asdict(self)
