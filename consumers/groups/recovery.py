"""Recovery: what somebody who comes back, or comes late, has missed."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from consumers.errors import ConfigurationError
from consumers.history import Position, Recovery

from .publication import Publication

if TYPE_CHECKING:
    from consumers.layers import Kept, Replay

    from .counters import Counters
    from .declaration import GroupName
    from .local import Local

__all__ = [
    "Excerpt",
    "Past",
    "no_history",
    "past_of",
    "publication_of",
    "publications_of",
]

log = logging.getLogger("consumers")


@dataclass(frozen=True, slots=True)
class Past:
    """What a new member gets before what comes from now on."""

    recovery: Recovery
    publications: tuple[Publication, ...] = ()
    """In order; they end at ``recovery.position``."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A part of a group's history."""

    publications: tuple[Publication, ...]
    """In order."""
    position: Position
    """Where the history stands now: after its latest publication."""
    recovered: bool
    """Whether ``publications`` begin right after the position that was asked for.

    ``False`` also where none was asked for."""


def no_history(name: GroupName) -> ConfigurationError:
    """Return what says that a group keeps nothing."""
    return ConfigurationError(
        f"group {name.name!r} must be declared with a history to keep publications; "
        f"write Groups(url, [Group({name.group.pattern!r}, history=History())])"
    )


def publication_of(
    kept: Kept, name: GroupName, counters: Counters
) -> Publication | None:
    """Return the publication that a history has kept.

    ``None``, counted and logged: it is none, or one of a later release.
    """
    carried = kept.carried
    if isinstance(carried, bytes):
        try:
            wire = Publication.open(carried)
            carried = Publication.read(name.name, wire, name.group)
        except (msgspec.MsgspecError, ValueError) as error:
            counters.unreadable += 1
            log.error("what group %s has kept is no publication: %s", name, error)
            return None
    assert isinstance(carried, Publication)
    carried.position = kept.position
    return carried


def publications_of(
    replay: Replay, name: GroupName, counters: Counters
) -> tuple[Publication, ...]:
    """Return those of a history's part; what is none is left out."""
    found = (publication_of(kept, name, counters) for kept in replay.kept)
    return tuple(publication for publication in found if publication is not None)


async def past_of(
    local: Local, name: GroupName, since: Position | None, last: int | None
) -> Past:
    """Return what a member that was just added has missed.

    From before it was added nothing else will come, and after it everything will.

    Args:
        local: Where it was added.
        name: To which group.
        since: Its position.
        last: How many it wants of the latest, where its position does not serve.

    Raises:
        ConfigurationError: The group has no history.
        LayerUnavailable: The layer can't be reached.
    """
    history = name.group.history
    if history is None:
        if since is not None or last is not None:
            raise no_history(name)
        return Past(Recovery(False))
    if since is None and last is None:
        return Past(Recovery(False, 0, local.position(name)))
    if since is not None:
        replay = await local.layer.history(name.name, history, since=since)
        if replay.complete:
            found = publications_of(replay, name, local.counters)
            local.counters.recoveries += 1
            return Past(Recovery(True, len(found), replay.position), found)
        local.counters.recoveries_failed += 1
        if last is None:
            return Past(Recovery(False, 0, replay.position))
    replay = await local.layer.history(name.name, history, limit=last)
    found = publications_of(replay, name, local.counters)
    return Past(Recovery(False, len(found), replay.position), found)
