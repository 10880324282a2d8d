"""Recovery: what somebody who comes back, or comes late, has missed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from consumers.errors import ConfigurationError
from consumers.history import Position, Recovery

if TYPE_CHECKING:
    from .declaration import GroupName
    from .local import Local
    from .publication import Publication

__all__ = ["Past", "no_history", "past_of"]


@dataclass(frozen=True, slots=True)
class Past:
    """What a new member gets before what comes from now on."""

    recovery: Recovery
    publications: tuple[Publication, ...] = ()
    """In order; they end at ``recovery.position``."""


def no_history(name: GroupName) -> ConfigurationError:
    """Return what says that a group keeps nothing."""
    return ConfigurationError(
        f"group {name.name!r} must be declared with a history to keep publications; "
        f"write Groups(url, [Group({name.group.pattern!r}, history=History())])"
    )


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
            found = tuple(local.read(kept, name) for kept in replay.kept)
            local.counters.recoveries += 1
            return Past(Recovery(True, len(found), replay.position), found)
        local.counters.recoveries_failed += 1
        if last is None:
            return Past(Recovery(False, 0, replay.position))
    replay = await local.layer.history(name.name, history, limit=last)
    found = tuple(local.read(kept, name) for kept in replay.kept)
    return Past(Recovery(False, len(found), replay.position), found)
