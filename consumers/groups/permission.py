"""Permission: the rules that say who may join the groups of a pattern."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from consumers.errors import ConfigurationError, NotAllowed
from consumers.handlers.params import Parameter
from consumers.handlers.signatures import callers_locals, read_signature
from consumers.handshake.allow import Rule, ask, rules_of

if TYPE_CHECKING:
    from .declaration import Group, GroupName

__all__ = ["Permission", "permissions"]


@dataclass(frozen=True, slots=True)
class Permission:
    """One rule, and what it asks of a group's name."""

    rule: Rule
    """``rule(connection, channel)``, with those of the parameters that it names."""
    parameters: tuple[Parameter, ...]
    """How it takes them."""

    async def check(self, connection: Any, name: GroupName) -> None:
        """Ask whether a connection may join one group.

        Raises:
            NotAllowed: It may not, or the name holds what the rule can't take.
        """
        texts = name.group.values_of(name.name) or {}
        try:
            values = {
                each.name: each.convert(texts[each.name]) for each in self.parameters
            }
        except msgspec.ValidationError as error:
            raise NotAllowed(f"group {name.name!r}: {error}") from error
        if not await ask(self.rule, connection, **values):
            raise NotAllowed(f"group {name.name!r} is not open to this connection")


def permissions(group: Group, allow: object) -> tuple[Permission, ...]:
    """Read the rules of a group.

    Raises:
        ConfigurationError: One can't be asked.
    """
    return tuple(_read(group, rule) for rule in rules_of(allow))


def _read(group: Group, rule: Any) -> Permission:
    owner = getattr(rule, "__qualname__", repr(rule))
    if not callable(rule) or isinstance(rule, type):
        raise ConfigurationError(
            f"what group {group.pattern!r} allows must be a function of a connection, "
            f"or a tuple of some, got {rule!r}; write allow=authenticated"
        )
    function = rule if inspect.isroutine(rule) else rule.__call__
    try:
        signature = read_signature(
            function,
            owner,
            given=("connection",),
            from_url=True,
            namespace=callers_locals(),
        )
    except NameError as error:
        raise ConfigurationError(
            f"the annotations of {owner} must be defined before it, got {error}"
        ) from error
    unknown = [
        each.name
        for each in signature.parameters
        if each.name not in group.parameters or not each.is_textual
    ]
    if unknown or not signature.is_plain:
        raise ConfigurationError(
            f"{owner} must take the connection, and parameters of group "
            f"{group.pattern!r} by their names, as types that a text converts to, got "
            f"{list(inspect.signature(function).parameters)}; write "
            f"def {owner}({', '.join(('connection', *group.parameters))})"
        )
    return Permission(rule, signature.parameters)
