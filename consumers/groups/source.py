"""What a group's source is: a function of the application's, and when it runs.

It makes what is published to the group, as long as the group has members. Hooks for the
first member and the last are a source that publishes nothing.
"""

from __future__ import annotations

import inspect
import logging
import math
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, TypeAlias

import msgspec
from anyio import sleep_forever

from consumers.clock import move_on_after
from consumers.errors import ConfigurationError, InvalidParameters
from consumers.handlers.params import Parameter
from consumers.handlers.signatures import callers_locals, read_signature

from .declaration import GroupName

if TYPE_CHECKING:
    from .declaration import Group
    from .publication import Publication

__all__ = ["CLEAN_UP", "Called", "Generated", "Hooks", "Per", "Source", "seconds"]

log = logging.getLogger("consumers")

CLEAN_UP: Final = 10.0
"""Seconds that the clean-up of a source, or a last member's hook, may take."""

Per: TypeAlias = Literal["process", "cluster"]
Publish: TypeAlias = "Callable[[Sequence[Publication]], Awaitable[object]]"


@dataclass(frozen=True, slots=True)
class Called:
    """A function of the application's that takes the parameters of a group."""

    owner: str
    """Its name, for logs and errors."""
    function: Callable[..., Any]
    """Itself."""
    parameters: tuple[Parameter, ...]
    """How it takes them."""

    @classmethod
    def of(cls, function: Callable[..., Any], group: Group) -> Called:
        """Read what a function takes.

        Raises:
            ConfigurationError: That is not what the group's pattern has.
        """
        owner = getattr(function, "__qualname__", repr(function))
        try:
            signature = read_signature(
                function, owner, from_url=True, namespace=callers_locals()
            )
        except NameError as error:
            raise ConfigurationError(
                f"the annotations of {owner} must be defined before it, got {error}"
            ) from error
        names = sorted(each.name for each in signature.parameters)
        if not signature.is_plain or names != sorted(group.parameters):
            raise ConfigurationError(
                f"{owner} must take the parameters of group {group.pattern!r} and "
                f"nothing else, got {list(inspect.signature(function).parameters)}; "
                f"write async def {owner}({', '.join(group.parameters)})"
            )
        for each in signature.parameters:
            if not each.is_textual:
                raise ConfigurationError(
                    f"{owner}: parameter {each.name!r} must have a type that a text "
                    f"converts to, got {each.annotation!r}; take a str"
                )
        return cls(owner, function, signature.parameters)

    def values(self, name: GroupName) -> dict[str, Any]:
        """Return what to call it with for one group.

        Raises:
            InvalidParameters: The name's texts are not what it takes: the fault of who
                made the name, often from what a client sent.
        """
        texts = name.group.values_of(name.name) or {}
        values: dict[str, Any] = {}
        errors: dict[str, str] = {}
        for each in self.parameters:
            try:
                values[each.name] = each.convert(texts[each.name])
            except msgspec.ValidationError as error:
                errors[each.name] = str(error)
        if errors:
            raise InvalidParameters(errors)
        return values


def seconds(what: str, value: object, *, zero: bool = False) -> float:
    """Return a time of a declaration.

    Raises:
        ConfigurationError: It is no number of seconds.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value < math.inf or not (value or zero):  # type: ignore[operator]
        least = "a number" if zero else "a positive number"
        raise ConfigurationError(f"{what} must be {least} of seconds, got {value!r}")
    return value  # type: ignore[return-value]


@dataclass(kw_only=True, eq=False)
class Source(ABC):
    """What runs while a group has members. One object per declaration."""

    publish: Publish
    """Publishes to all members, in all processes."""
    per: Per
    """Whether each process, or only one of all, runs it."""
    linger: float = 0.0
    """Seconds that it goes on without members."""
    lease: float = 15.0
    """Seconds after which another process goes on, at the latest, when one was killed.

    That is when the last renewal has run out, and the other one has looked again."""

    prefix: ClassVar[str]
    """What the names of its leases begin with."""

    @property
    def term(self) -> float:
        """Seconds for which the lease is taken, and renewed at each third of it."""
        return self.lease * 3 / 4

    @property
    @abstractmethod
    def owner(self) -> str:
        """What it is called in logs."""

    @abstractmethod
    def check(self, name: GroupName) -> None:
        """Check that it can begin.

        Raises:
            InvalidParameters: It can't take what the group's name holds.
        """

    @abstractmethod
    def begin(self, name: GroupName) -> AsyncGenerator[Any]:
        """Return what yields the publications to one group."""


@dataclass(kw_only=True, eq=False)
class Generated(Source):
    """An async generator function, whose values are published."""

    called: Called
    """The function."""

    prefix = "@source."

    @property
    def owner(self) -> str:
        """What it is called in logs."""
        return self.called.owner

    def check(self, name: GroupName) -> None:
        """Check that it can begin."""
        self.called.values(name)

    def begin(self, name: GroupName) -> AsyncGenerator[Any]:
        """Return what yields the publications to one group."""
        made: AsyncGenerator[Any] = self.called.function(**self.called.values(name))
        return made


@dataclass(kw_only=True, eq=False)
class Hooks(Source):
    """What is called for a group's first member, and for its last."""

    first: list[Called] = field(default_factory=list)
    """Called when the first one has come, in this order."""
    last: list[Called] = field(default_factory=list)
    """Called when the last one has left."""

    @property
    def owner(self) -> str:
        """What it is called in logs."""
        return "hooks of " + ", ".join(each.owner for each in (*self.first, *self.last))

    prefix = "@hooks."

    def check(self, name: GroupName) -> None:
        """Check that all can be called."""
        for each in (*self.first, *self.last):
            each.values(name)

    async def begin(self, name: GroupName) -> AsyncGenerator[Any]:
        """Call the first ones, and when it is closed the last ones. Yields nothing."""
        try:
            for each in self.first:
                await _call(each, name)
            await sleep_forever()
            yield
        finally:
            with move_on_after(CLEAN_UP) as scope:
                scope.shield = True
                for each in self.last:
                    await _call(each, name)


async def _call(hook: Called, name: GroupName) -> None:
    try:
        await hook.function(**hook.values(name))
    except Exception:
        log.exception("%s failed, for group %s", hook.owner, name)
