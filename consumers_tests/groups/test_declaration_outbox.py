"""A group's outbox policy: declared once, and checked against its history."""

from typing import Any

import pytest

from consumers import (
    CloseWhenFull,
    Coalesce,
    ConfigurationError,
    DropNewest,
    DropOldest,
    Group,
    History,
)
from consumers.groups import Publication
from consumers.groups.publication import Kind


def test_without_one_a_full_outbox_closes() -> None:
    """The default loses nothing silently."""
    assert Group("room").outbox == CloseWhenFull()
    assert Publication("room", 1).policy == CloseWhenFull()


def test_its_messages_go_by_it() -> None:
    """What tells who is there, and of gaps, is never dropped by a lossy policy."""
    room = Group("room", outbox=DropOldest())

    assert Publication("room", 1, declared=room).policy is room.outbox
    presence = Publication("room", 1, declared=room, kind=Kind.PRESENCE)
    assert presence.policy == CloseWhenFull()


@pytest.mark.parametrize("policy", [DropOldest, "drop", 5, Coalesce])
def test_something_else_is_an_error(policy: Any) -> None:
    """A class in the place of its instance too."""
    with pytest.raises(ConfigurationError, match=r"must be CloseWhenFull\(\), Drop"):
        Group("room", outbox=policy)


@pytest.mark.parametrize("policy", [DropOldest(), DropNewest(messages=5)])
def test_a_history_refuses_a_policy_that_loses(policy: Any) -> None:
    """Its promise is that nobody misses anything without being told."""
    with pytest.raises(ConfigurationError) as caught:
        Group("room", history=History(), outbox=policy)

    assert str(caught.value) == (
        "the outbox of group 'room' must not lose what its history promises, got "
        f"{policy!r}; write CloseWhenFull(), so that a slow client comes back and gets "
        "what it missed, or Coalesce(), which keeps the last per key"
    )


@pytest.mark.parametrize("policy", [CloseWhenFull(messages=5), Coalesce("key"), None])
def test_a_history_goes_with_the_others(policy: Any) -> None:
    """One closes, so that the client is told; the last one per key is not lost."""
    Group("room", history=History(), outbox=policy)
