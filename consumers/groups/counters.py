"""Counters: what has happened to the publications of one `Groups`."""

from __future__ import annotations

from dataclasses import asdict, dataclass

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
    unreadable: int = 0
    """What came from the layer and was no publication."""

    def as_dict(self) -> dict[str, int]:
        """Return ``{name: count}``."""
        return asdict(self)
