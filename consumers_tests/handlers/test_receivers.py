"""Receivers: what `@receives` methods take, and how they are called."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import pytest

from consumers import (
    ConfigurationError,
    Provide,
    receives,
)
from consumers.handlers.messages import Receiving

if TYPE_CHECKING:
    pass
from consumers_tests.typed import Ask, Receipt, Say, provided, read, told


class Untagged(msgspec.Struct):
    text: str


# -- the decorator ---------------------------------------------------------------------


def test_options_are_kept() -> None:
    """What the decorator is told is how the method is called."""

    @receives(concurrency=4, key="room", timeout=5)
    async def ask(self: Any, message: Ask) -> None: ...

    @receives("rename", thread=True)
    def rename(self: Any, name: str) -> None: ...

    found = read(ask, rename)

    assert found["ask"].receiving == Receiving(concurrency=4, key="room", timeout=5)
    assert found["rename"].receiving == Receiving(tag="rename", thread=True)
    assert not found["ask"].is_plain
    assert not found["rename"].is_plain


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"concurrency": 0},
            "concurrency must be a positive whole number, got 0",
        ),
        (
            {"concurrency": True},
            "concurrency must be a positive whole number, got True",
        ),
        (
            {"concurrency": 1.5},
            "concurrency must be a positive whole number, got 1.5",
        ),
        (
            {"key": "room"},
            (
                "a key is for messages that are handled at once, got 'room' alone; "
                "pass concurrency=8 with it"
            ),
        ),
        ({"timeout": 0}, "timeout must be a positive number of seconds, got 0"),
        ({"timeout": -1.5}, "timeout must be a positive number of seconds, got -1.5"),
        ({"timeout": True}, "timeout must be a positive number of seconds, got True"),
        ({"timeout": "5"}, "timeout must be a positive number of seconds, got '5'"),
    ],
)
def test_options_that_can_t_work(options: dict[str, Any], expected: str) -> None:
    """They are told where the decorator stands."""

    async def ask(self: Any, message: Ask) -> None: ...

    with pytest.raises(ConfigurationError) as caught:
        receives(**options)(ask)

    assert str(caught.value) == f"@receives on ask: {expected}"


def test_a_method_is_of_the_kind_that_it_is_called_as() -> None:
    """A thread is for `def`; generators that are not asynchronous are for nobody."""

    def plain(self: Any, message: Say) -> None: ...

    async def waits(self: Any, message: Say) -> None: ...

    async def yields(self: Any, message: Say) -> AsyncIterator[int]:
        yield 1

    def blocks(self: Any, message: Say) -> Any:
        yield 1

    for method in (plain, blocks):
        with pytest.raises(ConfigurationError, match="pass thread=True"):
            receives(method)
    for method in (waits, yields):
        with pytest.raises(ConfigurationError, match="leave thread out"):
            receives(thread=True)(method)
    with pytest.raises(ConfigurationError) as caught:
        receives(thread=True)(blocks)
    assert str(caught.value) == (
        "@receives(thread=True) goes on a 'def' that returns its answer, got the "
        "generator 'blocks'; write 'async def' and leave thread out to answer with a "
        "stream"
    )


def test_on_receive_takes_no_other_option() -> None:
    """It takes all messages, and how many at once is a setting of the class."""

    @receives(concurrency=2)
    async def on_receive(self: Any, message: str) -> None: ...

    assert told(on_receive) == (
        "Chat.on_receive takes all messages, so that @receives sets nothing but "
        "'thread' on it; give each type of message a method of its own, or set the "
        "class's 'concurrency'"
    )


# -- methods that take the message -----------------------------------------------------


def test_a_method_for_a_type() -> None:
    """What it takes, what it answers and what it says of itself is read once."""

    @receives
    async def say(self: Any, message: Say) -> Receipt:
        """Say something."""
        raise NotImplementedError

    found = read(say)["say"]

    assert (found.name, found.types, found.fields) == ("say", (Say,), None)
    assert (found.reply, found.streams, found.doc) == (Receipt, False, "Say something.")
    assert found.is_plain


def test_a_method_for_a_union() -> None:
    """It is found by each of its types."""

    @receives
    async def either(self: Any, message: Say | Ask) -> None: ...

    found = read(either)

    assert found["say"] is found["ask"]
    assert found["say"].types == (Say, Ask)
    assert found["say"].reply is None


def test_a_method_with_providers() -> None:
    """What comes after the message is made for the call."""

    @receives
    async def say(
        self: Any, message: Say, db: Annotated[str, Provide(provided)]
    ) -> None: ...

    found = read(say)["say"]

    assert list(found.signature.providers) == ["db"]
    assert not found.is_plain


async def says_nothing(self: Any, message) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Say not what it takes."""


async def takes_a_text(self: Any, message: str) -> None:
    """Take what is no struct."""


async def takes_a_list(self: Any, message: list[Say]) -> None:
    """Take several at once."""


async def takes_none_too(self: Any, message: Say | None) -> None:
    """Take what is no message."""


async def takes_untagged(self: Any, message: Untagged) -> None:
    """Take what can't be told from others."""


async def takes_nothing(self: Any) -> None:
    """Take nothing."""


async def takes_more(self: Any, message: Say, more: int) -> None:
    """Take what nobody has."""


WAY_OUT = (
    "; write class Say(msgspec.Struct, tag='say'), or @receives('say') and the "
    "message's fields as parameters"
)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (
            says_nothing,
            (
                "must say by a msgspec.Struct, or a union of them, which messages it "
                f"takes, got none{WAY_OUT}"
            ),
        ),
        (
            takes_a_text,
            (
                "must say by a msgspec.Struct, or a union of them, which messages it "
                f"takes, got {str!r}{WAY_OUT}"
            ),
        ),
        (
            takes_a_list,
            (
                "must say by a msgspec.Struct, or a union of them, which messages it "
                f"takes, got {list[Say]!r}{WAY_OUT}"
            ),
        ),
        (
            takes_none_too,
            (
                "must say by a msgspec.Struct, or a union of them, which messages it "
                f"takes, got {Say | None!r}{WAY_OUT}"
            ),
        ),
        (
            takes_nothing,
            (
                "must take 'self' and 'message', got 1 parameters; write async def "
                "takes_nothing(self, message)"
            ),
        ),
    ],
)
def test_what_a_method_takes(method: Callable[..., Any], expected: str) -> None:
    """It says by tagged structs what messages it is for."""
    receives(method)

    assert told(method) == f"Chat.{method.__name__} {expected}"


def test_what_else_a_method_takes() -> None:
    """A type has a tag, and other parameters are providers."""
    assert told(receives(takes_untagged)) == (
        "Chat.takes_untagged: a message's type must have a tag that tells it from "
        "others, got Untagged; write class Untagged(msgspec.Struct, tag='untagged')"
    )
    assert told(receives(takes_more)).startswith(
        "Chat.takes_more: 'more' must be a provider, got more: "
    )


def test_a_name_of_the_framework_s_own() -> None:
    """A method would stand in for what the framework calls."""

    @receives
    async def send(self: Any, message: Say) -> None: ...

    assert told(send) == (
        "Chat.send must not be named like one of the framework's own, got 'send'; "
        "rename it"
    )
