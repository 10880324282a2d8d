"""What can be taken out of the framework, so that a control has to fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from consumers.groups.follower import Follower
from consumers.groups.publication import Publication
from consumers.history import Position

__all__ = ["GUARDS", "take_out"]


def following() -> None:
    """Trust the layer to deliver everything, once and in order."""

    def take(self: Follower, publication: Publication, position: Position) -> bool:
        self.position = position
        self._deliver(publication)
        self._tell_moved()
        return False

    def check(self: Follower, *positions: Position | None) -> bool:
        return False

    _replace(Follower, "take", take)
    _replace(Follower, "check", check)


def telling() -> None:
    """Go on in a new history without a word."""
    safely = Follower._deliver_safely

    def deliver(self: Follower, publication: Publication) -> None:
        if publication.kind.name != "GAP":
            safely(self, publication)

    _replace(Follower, "_deliver_safely", deliver)


def unsubscribing() -> None:
    """Have the broker send for ever what nobody here wants any more."""
    from consumers.layers.redis import RedisLayer

    async def unsubscribe(self: RedisLayer, *groups: str) -> None:
        pass

    _replace(RedisLayer, "unsubscribe", unsubscribe)


def _replace(owner: type, name: str, function: Callable[..., Any]) -> None:
    setattr(owner, name, function)


GUARDS: dict[str, Callable[[], None]] = {
    "following": following,
    "telling": telling,
    "unsubscribing": unsubscribing,
}
"""``{name: takes it out of this process}``. The other controls are settings."""


def take_out(name: str) -> None:
    """Take a guard out, if there is one of this name."""
    if name in GUARDS:
        GUARDS[name]()
