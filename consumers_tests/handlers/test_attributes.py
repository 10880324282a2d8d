"""What users' classes define, and may define."""

import pytest

from consumers import ConfigurationError
from consumers.handlers.attributes import (
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
