"""What becomes of publications to slow clients: how it is declared."""

import logging
from dataclasses import FrozenInstanceError, dataclass
from typing import Any

import pytest

from consumers.errors import ConfigurationError
from consumers.queues.policies import (
    DEFAULT_POLICY,
    CloseWhenFull,
    Coalesce,
    DropNewest,
    DropOldest,
    Policy,
)

ALL = [CloseWhenFull, DropOldest, DropNewest, Coalesce]


@dataclass
class Moved:
    user: Any


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("name", ["messages", "bytes"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "10"])
def test_bounds_are_checked(kind: Any, name: str, value: object) -> None:
    """A bound is a positive whole number or None, and all else is told when made."""
    with pytest.raises(ConfigurationError) as caught:
        kind(**{name: value})

    assert str(caught.value) == (
        f"{name} of {kind.__name__} must be a positive whole number, got {value!r}; "
        "None leaves it to the connection's limits"
    )


@pytest.mark.parametrize("kind", ALL)
def test_policies_are_values(kind: Any) -> None:
    """They compare and hash by what they say, and can't be changed."""
    policy: Policy = kind(messages=5)

    assert policy == kind(messages=5)
    assert policy != kind(bytes=5)
    assert len({policy, kind(messages=5)}) == 1
    assert isinstance(policy, Policy)
    with pytest.raises(FrozenInstanceError):
        policy.messages = 6  # type: ignore[misc]


def test_only_those_that_drop_are_lossy() -> None:
    """Closing tells the client, and coalescing keeps the last per key."""
    assert [kind.lossy for kind in ALL] == [False, True, True, False]


def test_only_the_default_leaves_all_to_the_limits() -> None:
    """What a group without a policy does needs no book-keeping of its own."""
    assert CloseWhenFull() == DEFAULT_POLICY
    assert DEFAULT_POLICY.is_plain
    others = [CloseWhenFull(bytes=9), DropOldest(), DropNewest(), Coalesce()]
    assert not any(each.is_plain for each in others)


# -- coalescing ------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["", 1, b"user", ("a", "b")])
def test_a_key_is_a_name_or_a_function(key: Any) -> None:
    """Anything else is told when the policy is made."""
    with pytest.raises(ConfigurationError, match=r"must be an attribute's name or"):
        Coalesce(key)


@pytest.mark.parametrize("every", [-1, float("inf"), float("nan"), "1", None, True])
def test_times_are_checked(every: Any) -> None:
    """An interval is a number of seconds."""
    with pytest.raises(ConfigurationError, match="must be a number of seconds, got"):
        Coalesce(every=every)


def test_a_batch_needs_an_interval() -> None:
    """Without one there is never more than one in it."""
    with pytest.raises(ConfigurationError, match="write every=1 / 30"):
        Coalesce("user", batch=True)


@pytest.mark.parametrize(
    ("key", "message", "expected"),
    [
        ("user", Moved("ada"), "ada"),
        ("user", {"user": "ada"}, "ada"),
        ("user", Moved(None), None),
        ("user", {"other": 1}, None),
        ("user", "text", None),
        ("user", Moved(["unhashable"]), None),
        (None, Moved("ada"), ""),
        (None, "text", ""),
        (lambda message: message.user * 2, Moved("ab"), "abab"),
        (lambda _: None, Moved("ada"), None),
    ],
)
def test_what_the_key_of_a_message_is(
    key: Any, message: object, expected: object
) -> None:
    """An attribute, an item or what a function returns; None: it replaces nothing."""
    assert Coalesce(key).key_of(message) == expected


def test_a_function_that_fails_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its message has no key, and publishing goes on."""
    policy = Coalesce(lambda message: message.user)
    with caplog.at_level(logging.ERROR, "consumers"):
        assert [policy.key_of("text"), policy.key_of("text")] == [None, None]

    assert caplog.text.count("no key to coalesce by") == 1
