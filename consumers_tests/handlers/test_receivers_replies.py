"""Receivers: what methods answer, and what a class sends."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pydantic
import pytest

from consumers import (
    ConfigurationError,
    receives,
)
from consumers.handlers.receivers import check_encodable

if TYPE_CHECKING:
    pass
from consumers_tests.typed import Ask, Receipt, Say, making, read, told


@dataclass
class Data:
    number: int


class Model(pydantic.BaseModel):
    number: int


class Opaque:
    """Has no form in JSON."""


# -- answers ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (None, None),
        (type(None), None),
        (Receipt, Receipt),
        (Receipt | None, Receipt | None),
        (list[Data], list[Data]),
        (Model, Model),
        (Any, Any),
        (dict[str, Receipt | int], dict[str, Receipt | int]),
        (Decimal, Decimal),
    ],
)
def test_what_a_method_replies(reply: Any, expected: Any) -> None:
    """Its annotation says it; without one it may be anything."""

    async def say(self: Any, message: Say) -> None: ...

    say.__annotations__["return"] = reply

    assert read(receives(say))["say"].reply == expected


def test_a_reply_that_is_not_said() -> None:
    """A method without a return annotation may answer anything."""

    @receives
    async def say(self: Any, message: Say):  # type: ignore[no-untyped-def]  # noqa: ANN202
        return 1

    assert read(say)["say"].reply is Any


@pytest.mark.parametrize(
    ("annotation", "item"),
    [
        (AsyncIterator[Receipt], Receipt),
        (AsyncIterator, Any),
        (inspect.Parameter.empty, Any),
        (Any, Any),
    ],
)
def test_what_a_stream_yields(annotation: Any, item: Any) -> None:
    """The items' type is what the iterator is of."""

    async def say(self: Any, message: Say) -> AsyncIterator[Receipt]:
        yield Receipt(1)

    if annotation is inspect.Parameter.empty:
        del say.__annotations__["return"]
    else:
        say.__annotations__["return"] = annotation
    found = read(receives(say))["say"]

    assert (found.streams, found.reply) == (True, item)
    assert not found.is_plain


def test_a_stream_yields_and_says_so() -> None:
    """One that returns an iterator, or yields something else, is a mistake."""

    @receives
    async def say(self: Any, message: Say) -> AsyncIterator[Receipt]:
        raise NotImplementedError

    assert told(say) == (
        "Chat.say must be an async generator to answer with a stream, got 'async def' "
        f"that returns {AsyncIterator[Receipt]!r}; yield the items in it"
    )

    @receives
    async def ask(self: Any, message: Ask) -> Receipt:  # type: ignore[misc]
        yield Receipt(1)

    assert told(ask) == (
        "Chat.ask yields, so it must be annotated with what it yields, got "
        f"{Receipt!r}; write -> AsyncIterator[Receipt]"
    )


@pytest.mark.parametrize("reply", [Opaque, list[Opaque], dict[str, Opaque]])
def test_a_reply_has_a_form_in_json(reply: Any) -> None:
    """What can't be sent is told with the class."""

    async def say(self: Any, message: Say) -> None: ...

    say.__annotations__["return"] = reply

    assert told(receives(say)) == (
        "Chat.say: its reply must be of a type that can be encoded, got Opaque in "
        f"{reply!r}; use a msgspec.Struct, a dataclass or builtins"
    )


def test_what_is_no_type_at_all() -> None:
    """An annotation that says nothing is told too."""
    with pytest.raises(ConfigurationError, match=r"^Chat: x must be of a type that"):
        check_encodable("Chat", 3, "x")


def test_what_a_class_sends_has_a_form_in_json() -> None:
    """`sends` names classes, of which values can be sent."""

    @receives
    async def say(self: Any, message: Say) -> None: ...

    assert making(say, sends=Receipt | Ask).prepare().sends == (Receipt, Ask)
    assert told(say, sends=Opaque).startswith("Chat: what it sends must be of a type")
    assert told(say, sends="Receipt") == (
        "Chat: sends must be a class, or a union of classes, got 'Receipt'; write "
        "sends = Said | Joined"
    )
