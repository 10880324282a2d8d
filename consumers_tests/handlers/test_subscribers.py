"""Methods that clients subscribe by: what can't work is told with the class."""

from __future__ import annotations

from typing import Any

import pytest

from consumers import ConfigurationError, WebSocketConsumer, subscribes
from consumers_tests.readers import LOG


def mistaken(**methods: Any) -> str:
    """Return what is said about a class with these attributes."""
    with pytest.raises(ConfigurationError) as caught:
        type("Wrong", (WebSocketConsumer,), methods)
    return str(caught.value)


def test_mistakes_of_subscribes_are_told_when_the_class_is_made() -> None:
    """Names that are no parameters or not its own, plain functions, two for a group."""

    @subscribes(LOG)
    async def one(self: Any, name: str) -> None:
        """Take the group's parameter."""

    @subscribes(LOG)
    async def two(self: Any) -> None:
        """Take none, which is allowed."""

    @subscribes(LOG)
    async def other(self: Any, room: str) -> None:
        """Take one that the group does not have."""

    @subscribes(LOG)
    def plain(self: Any) -> None:
        """Not async."""

    assert "must have one method per group, got 'one' and 'two'" in mistaken(
        one=one, two=two
    )
    assert "'log.{name}' by their names, or 'recovered', got ['room']" in mistaken(
        other=other
    )
    assert "must be 'async def'" in mistaken(plain=plain)
    assert "must not be named like one of the framework's own, got 'join'" in (
        mistaken(join=one)
    )
    with pytest.raises(ConfigurationError, match="goes with a declared Group"):
        subscribes("log")
    assert "positions are sent as JSON or MessagePack, got send_type 'text'" in (
        mistaken(positions=True)
    )
