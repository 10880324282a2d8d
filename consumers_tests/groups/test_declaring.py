"""What can be declared: sources and hooks, and mistakes that are told at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import anyio
import pytest
from anyio import fail_after

from consumers import (
    ConfigurationError,
    DropOldest,
    Group,
    Groups,
    History,
    Provide,
    WebSocketConsumer,
)


async def numbers(name: str) -> AsyncIterator[int]:
    yield 1


async def texts_and_numbers(name: str, n: int) -> AsyncIterator[int]:
    yield n


async def plain(name: str) -> int:
    return 1


def provided() -> int:
    return 1


async def with_provider(
    name: str, n: Annotated[int, Provide(provided)]
) -> AsyncIterator[int]:
    yield n


async def with_connection(name: str, ws: WebSocketConsumer) -> AsyncIterator[int]:
    yield 1


async def with_object(name: dict[str, int]) -> AsyncIterator[int]:
    yield 1


async def with_unknown(name: Unknown) -> AsyncIterator[int]:  # type: ignore[name-defined]  # noqa: F821
    yield 1


async def without(other: str) -> AsyncIterator[int]:
    yield 1


async def with_rest(*names: str) -> AsyncIterator[int]:
    yield 1


def test_a_source_makes_a_group() -> None:
    """It is declared in the groups; a string that is its name is that group."""
    groups = Groups()
    group = groups.source("numbers.{name}", sends=int, presence=True)(numbers)

    assert isinstance(group, Group)
    assert groups.declared == [group]
    assert group.sends == (int,)
    assert group.presence is not None
    assert groups.resolve("numbers.a") == group("a")


@pytest.mark.parametrize(
    ("options", "per"),
    [
        ({}, "process"),
        ({"per": "process"}, "process"),
        ({"per": "cluster"}, "cluster"),
        ({"history": History()}, "cluster"),
        # In memory: with a history that event loops share.
        ({"history": History(), "per": "process"}, "cluster"),
    ],
)
def test_who_runs_it(options: dict[str, Any], per: str) -> None:
    """With a history one runs for all, since it would be kept twice otherwise."""
    group = Groups().source("numbers.{name}", **options)(numbers)
    (source,) = group.sources

    assert source.per == per


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (plain, "must be an async generator function"),
        (texts_and_numbers, r"texts_and_numbers must take the parameters"),
        (without, r"nothing else, got \['other'\]; write async def without\(name\)"),
        (with_provider, "must take the parameters"),
        (with_connection, "leave 'ws' out"),
        (with_object, "'name' must have a type that a"),
        (with_unknown, "annotations of with_unknown must be defined before it"),
        (with_rest, "filled by name"),
        ("numbers", "must be an async generator function"),
    ],
)
def test_a_function_that_can_be_no_source(function: Any, text: str) -> None:
    """It is told at once, and nothing is declared."""
    groups = Groups()
    with pytest.raises(ConfigurationError, match=text):
        groups.source("numbers.{name}")(function)
    assert groups.declared == []


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"linger": -1}, "linger= of a source must be a number of seconds, got -1"),
        ({"linger": "5"}, "linger= of a source"),
        ({"lease": 0}, "lease= of a source must be a positive number of seconds"),
        ({"lease": True}, "lease= of a source"),
        ({"per": "host"}, "per= of a source must be 'process' or 'cluster'"),
        ({"history": History(), "outbox": DropOldest()}, "must not lose"),
        ({"history": 100}, "must be a History"),
    ],
)
def test_options_that_cannot_work(options: dict[str, Any], text: str) -> None:
    """They are told at once."""
    with pytest.raises(ConfigurationError, match=text):
        Groups().source("numbers.{name}", **options)


def test_processes_that_share_a_history_share_its_source() -> None:
    """Each with its own would publish everything as often as there are processes."""
    groups = Groups("redis://127.0.0.1:1")
    with pytest.raises(ConfigurationError, match="write per='cluster'"):
        groups.source("numbers.{name}", history=History(), per="process")
    group = groups.source("numbers.{name}", history=History())(numbers)
    assert [each.per for each in group.sources] == ["cluster"]


def test_two_sources_of_one_pattern() -> None:
    """A pattern is declared once."""
    groups = Groups()
    groups.source("numbers.{name}")(numbers)
    with pytest.raises(ConfigurationError, match="declared once"):
        groups.source("numbers.{name}")(numbers)


async def test_only_a_group_with_a_source_can_be_stopped() -> None:
    """Hooks are none."""
    room = Group("room.{name}")
    groups = Groups("memory://", [room])

    @groups.on_first_join(room)
    async def first(name: str) -> None:
        raise AssertionError

    with fail_after(5):
        for group in (room("a"), "other"):
            with pytest.raises(ConfigurationError, match="a group with a source"):
                await groups.stop(group)


async def hook(name: str) -> None:
    """Do nothing."""


def test_what_can_be_no_hook() -> None:
    """It is told at once."""
    room = Group("room.{name}")
    groups = Groups("memory://", [room])

    with pytest.raises(ConfigurationError, match="a hook must be 'async def'"):
        groups.on_first_join(room)(lambda name: None)  # type: ignore[type-var]
    with pytest.raises(ConfigurationError, match="must take the parameters"):
        groups.on_last_leave(room)(anyio.aclose_forcefully)
    with pytest.raises(ConfigurationError, match=r"declared in these Groups"):
        groups.on_first_join(Group("other.{name}"))(hook)
    with pytest.raises(ConfigurationError, match="per= of a hook"):
        groups.on_first_join(room, per="host")(hook)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="linger= of a hook"):
        groups.on_last_leave(room, linger=-1)
    assert room.sources == []
