"""Receivers: signatures that are messages, and keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from consumers import Provide, receives

if TYPE_CHECKING:
    pass
from consumers_tests.typed import Ask, Say, provided, read, told

# -- methods that take the fields ------------------------------------------------------

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_signature_is_a_message() -> None:
    """Its fields are the parameters, with their defaults and their constraints."""

    @receives("rename")
    async def rename(
        self: Any,
        name: Annotated[str, Meta(max_length=5)],
        loud: bool = False,
        *,
        tags: list[str] = ["new"],  # noqa: B006
        db: Annotated[str, Provide(provided)],
    ) -> None:
        """Give oneself another name."""

    found = read(rename)["rename"]
    kind: Any = found.types[0]

    assert found.fields == ("name", "loud", "tags")
    assert list(found.signature.providers) == ["db"]
    assert kind.__name__ == "rename"
    assert kind.__doc__ == "Give oneself another name."
    one, two = (
        msgspec.json.decode('{"type": "rename", "name": "Ann"}', type=kind)
        for _ in range(2)
    )
    assert (one.name, one.loud, one.tags) == ("Ann", False, ["new"])
    assert one.tags is not two.tags
    with pytest.raises(msgspec.ValidationError, match="length <= 5"):
        msgspec.json.decode('{"type": "rename", "name": "Annabel"}', type=kind)
    with pytest.raises(msgspec.ValidationError, match="missing required field `name`"):
        msgspec.json.decode('{"type": "rename"}', type=kind)


def test_a_signature_without_fields() -> None:
    """A message may be nothing but its tag."""

    @receives("leave")
    async def go(self: Any) -> None: ...

    found = read(go)["leave"]

    assert found.fields == ()
    assert found.types[0].__struct_fields__ == ()


async def has_many(self: Any, *names: str) -> None:
    """Take any number of fields."""


async def has_any(self: Any, **names: str) -> None:
    """Take any fields."""


async def has_no_name(self: Any, name: str, /) -> None:
    """Take a field that can't be passed by its name."""


async def has_the_tag(self: Any, type: str) -> None:  # noqa: A002
    """Take the field that tells messages apart."""


async def has_a_late_field(
    self: Any, db: Annotated[str, Provide(provided)], name: str
) -> None:
    """Take a field after a provider."""


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (has_many, ": a message's fields are passed by name, got *names: "),
        (has_any, ": a message's fields are passed by name, got **names: "),
        (has_no_name, ": a message's fields are passed by name, got name: "),
        (has_the_tag, ": the parameters must make a message, got ['type']; "),
        (has_a_late_field, ": 'name' must be a provider, got name: "),
    ],
)
def test_signatures_that_make_no_message(
    method: Callable[..., Any], expected: str
) -> None:
    """Fields are passed by name, come before providers, and are not the tag's."""
    text = told(receives("rename")(method))

    assert text.startswith(f"Chat.{method.__name__}{expected}")


# -- keys ------------------------------------------------------------------------------


def test_a_key_names_a_field_of_each_type() -> None:
    """A function of the message may be anything."""

    @receives(concurrency=2, key="room")
    async def either(self: Any, message: Say | Ask) -> None: ...

    assert told(either) == (
        "Chat.either: key must name a field of Say, got 'room'; its fields are text"
    )

    @receives("leave", concurrency=2, key="room")
    async def go(self: Any) -> None: ...

    assert told(go) == (
        "Chat.go: key must name a field of go, got 'room'; its fields are none"
    )

    @receives(concurrency=2, key=lambda message: message.text)
    async def called(self: Any, message: Say | Ask) -> None: ...

    assert set(read(called)) == {"say", "ask"}
