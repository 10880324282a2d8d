"""Attributes: what users' classes define, as it is written there, and may define."""

from __future__ import annotations

import inspect
from typing import Any

from consumers.errors import ConfigurationError

__all__ = ["attributes_beside", "check_is_async", "check_is_own"]


def attributes_beside(base: type, cls: type) -> dict[str, Any]:
    """Return what a class and its other bases define, unbound, sorted by name.

    Read from the classes' own dictionaries: to ask `inspect` for each of the names that
    the framework has would take most of the time in which a class is made.

    Args:
        base: The framework's own class, which is left out with all below it.
        cls: The class.
    """
    skipped = set(base.__mro__)
    found: dict[str, Any] = {}
    for kind in reversed(cls.__mro__):
        if kind not in skipped:
            found |= vars(kind)
    return dict(sorted(found.items()))


def check_is_own(owner: str, name: str, base: type) -> None:
    """Check that a method which a decorator marks overrides nothing of the framework's.

    Raises:
        ConfigurationError: It does, and what it overrides would be missed.
    """
    if hasattr(base, name):
        raise ConfigurationError(
            f"{owner} must not be named like one of the framework's own, "
            f"got {name!r}; rename it"
        )


def check_is_async(owner: str, method: Any, written: str) -> None:
    """Check that a method is ``async def``; ``written``: how its first line looks then.

    Raises:
        ConfigurationError: It is a plain function.
    """
    if not inspect.iscoroutinefunction(method):
        raise ConfigurationError(
            f"{owner} must be 'async def', got a plain function; write '{written}'"
        )
