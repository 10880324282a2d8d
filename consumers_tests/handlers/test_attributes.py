"""What users' classes define, and may define."""

import re
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import pytest
from starlette.authentication import SimpleUser

import consumers_tests
from consumers import ConfigurationError, WebSocketConsumer
from consumers.groups.hub import Member
from consumers.handlers.attributes import (
    CALLED,
    attributes_beside,
    check_is_async,
    check_is_own,
)


class Base:
    """Stands for the framework's own class."""

    def hook(self) -> None:
        """Stand for a hook."""


class Mixin:
    """A user's class beside it."""

    value = 1

    def method(self) -> None:
        """Stand for a method."""


class Own(Mixin, Base):
    """A user's class upon it."""

    value = 2


def own(cls: type) -> dict[str, object]:
    """Return what is found beside what each class has."""
    found = attributes_beside(Base, cls)
    return {name: found[name] for name in found if not name.startswith("__")}


def test_of_mixins_too() -> None:
    """What other bases define is found, overridden as Python has it."""
    assert own(Own) == {"method": Mixin.__dict__["method"], "value": 2}


def test_nothing_of_the_framework() -> None:
    """What the framework's class has by itself is left out."""
    assert own(Base) == {}


def test_what_is_overridden_is_found() -> None:
    """A method of the framework's that a class overrides is the class's."""

    class Overriding(Base):
        def hook(self) -> None: ...

    assert own(Overriding) == {"hook": Overriding.__dict__["hook"]}


def test_in_order_of_the_names() -> None:
    """The order of the names does not depend on where they are defined."""
    assert [*attributes_beside(Base, Own)] == sorted(attributes_beside(Base, Own))


def test_a_name_of_the_framework_is_told() -> None:
    """Of its own class, and of those below it; any other name is free."""
    check_is_own("Own.method", "method", Base)
    for name in ("hook", "__repr__"):
        with pytest.raises(ConfigurationError, match=f"got '{name}'; rename it"):
            check_is_own(f"Own.{name}", name, Base)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("groups", ["news"]),
        ("groups", lambda self: ["news"]),
        ("user", "anna"),
        ("state", {}),
        ("join", "#lobby"),
        ("deliver", lambda self, order: None),
        ("close_event", None),
        ("_write", lambda self, text: None),
        ("_inbox", []),
        ("_url", "https://shop.example"),
    ],
)
def test_what_the_framework_needs_is_not_replaced(name: str, value: object) -> None:
    """By a class or by a mixin: nothing else would say that it is missed."""
    attributes = {name: value}
    mixin = type("Mixin", (), attributes)
    for bases, own in (
        ((WebSocketConsumer,), attributes),
        ((mixin, WebSocketConsumer), {}),
    ):
        with pytest.raises(ConfigurationError) as caught:
            type("Chat", bases, own)
        assert str(caught.value).startswith(
            f"Chat.{name} must not be named like one of the framework's own, got "
            f"{name!r}; rename it"
        )


def test_the_groups_of_channels_are_told_what_to_write() -> None:
    """As a list of the class they would hide all that `self.groups` can do."""
    with pytest.raises(ConfigurationError, match="join them in on_connect"):
        type("Chat", (WebSocketConsumer,), {"groups": ["news"]})


def test_what_is_for_everybody_may_be_overridden() -> None:
    """By something of its kind; what Starlette's mapping has, is nobody's."""

    class Chat(WebSocketConsumer):
        items: ClassVar[list[str]] = []  # type: ignore[assignment]
        user = cached_property(lambda self: SimpleUser("anna"))
        join = staticmethod(len)  # type: ignore[assignment]
        value_type = "json"
        _own = 1
        _user = _session = _auth = None  # Starlette keeps these in the scope

        @property
        def session(self) -> dict[str, Any]:
            return {}

        async def send(self, message: Any) -> None:
            await super().send(message)

    assert Chat.prepare().owner.endswith("Chat")
    type("Louder", (Chat,), {"_own": 2})


def test_the_reference_lists_the_names_that_are_taken() -> None:
    """Those without an underscore, which nobody could tell from others."""
    page = Path(consumers_tests.__file__).parents[1] / "docs/reference/consumer.md"
    listed = page.read_text().partition("names with an underscore, and ")[2]

    assert set(re.findall(r"`(\w+)`", listed.partition(".")[0])) == CALLED


def test_what_groups_call_is_the_framework_s_own() -> None:
    """All that they ask of a member, but for who it is."""
    asked = {name for name in vars(Member) if not name.startswith("_")}

    assert asked - {"id", "user"} <= CALLED


def test_what_is_awaited_has_to_be_asynchronous() -> None:
    """A plain function is told, with what to write."""

    async def awaited() -> None: ...

    check_is_async("Own.awaited", awaited, "")
    with pytest.raises(ConfigurationError) as caught:
        check_is_async("Own.method", Mixin.method, "async def method(self)")
    assert str(caught.value) == (
        "Own.method must be 'async def', got a plain function; "
        "write 'async def method(self)'"
    )
