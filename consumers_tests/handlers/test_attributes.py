"""What users' classes define."""

from consumers.handlers.attributes import attributes_beside


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
