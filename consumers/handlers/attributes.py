"""Attributes: what users' classes define, as it is written there."""

from __future__ import annotations

from typing import Any

__all__ = ["attributes_beside"]


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
