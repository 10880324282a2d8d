"""Subscribers: the methods of a class that `@subscribes` marks, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consumers.errors import ConfigurationError

from .attributes import attributes_beside, check_is_async, check_is_own
from .messages import subscribed_by
from .signatures import Signature, read_signature

__all__ = ["Subscriber", "read_subscribers"]


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A method by which clients subscribe to the groups of one declaration."""

    signature: Signature
    """The group's parameters and providers that it asks for."""
    name: str
    """The method's."""
    last: int | None
    """How many of the latest publications are sent where nothing is recovered."""


def read_subscribers(
    cls: type, base: type, namespace: Mapping[str, Any]
) -> dict[Any, Subscriber]:
    """Return ``{declared group: what subscribes to it}``.

    Args:
        cls: The consumer class.
        base: The framework's own.
        namespace: Local names that annotations may use.

    Raises:
        ConfigurationError: A method can't work, or two are for one group.
        NameError: An annotation names what is not defined yet.
    """
    found: dict[Any, Subscriber] = {}
    for name, method in attributes_beside(base, cls).items():
        marked = subscribed_by(method)
        if marked is None:
            continue
        group, owner = marked.group, f"{cls.__qualname__}.{name}"
        check_is_own(owner, name, base)
        check_is_async(owner, method, f"async def {name}(self, ...)")
        signature = read_signature(
            method, owner, given=("self",), from_url=True, namespace=namespace
        )
        known = {*group.parameters, "recovered"}
        unknown = [each.name for each in signature.parameters if each.name not in known]
        if unknown:
            raise ConfigurationError(
                f"{owner} must take parameters of {group.pattern!r} by their names, "
                f"or 'recovered', got {unknown!r}"
            )
        subscriber = Subscriber(signature, name, marked.last)
        if found.setdefault(group, subscriber).name != name:
            raise ConfigurationError(
                f"{cls.__qualname__} must have one method per group, got "
                f"{found[group].name!r} and {name!r} for {group.pattern!r}"
            )
    return found
