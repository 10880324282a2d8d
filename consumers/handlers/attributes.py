"""Attributes: what users' classes define, as it is written there, and may define."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from consumers.errors import ConfigurationError

from .spelling import HOOKS

__all__ = [
    "CALLED",
    "attributes_beside",
    "check_is_async",
    "check_is_own",
    "check_names",
]

CALLED: Final = frozenset(
    {"backlog", "close_event", "deliver", "dropped", "end", "hold", "prepare"}
    | {"framed", "put_off", "straight", "takes_batches"}
)
"""What has no underscore, and is the framework's all the same: groups call it."""

_ANYBODY_S: Final = frozenset({*HOOKS, "_abc_impl"})


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


def check_names(cls: type, base: type) -> None:
    """Check that nothing which a class defines takes the place of the framework's own.

    Of what is for everybody, a method may be overridden by what can be called, and a
    property by one.

    Args:
        cls: The class, whose consumer classes above it were checked by themselves.
        base: The framework's own class.

    Raises:
        ConfigurationError: Something does, and what it replaces would be missed.
    """
    theirs = _names_of(base)
    for kind in cls.__mro__:
        if kind in base.__mro__ or (kind is not cls and issubclass(kind, base)):
            continue
        for name in vars(kind).keys() & theirs.keys():
            value, replaced = vars(kind)[name], theirs[name]
            if name.startswith("_") or name in CALLED:
                is_free = False
            elif isinstance(replaced, property):
                is_free = hasattr(value, "__get__") and not inspect.isfunction(value)
            else:
                is_free = not inspect.isfunction(replaced) or (
                    callable(value) or hasattr(value, "__get__")
                )
            if not is_free:
                raise _taken(f"{cls.__qualname__}.{name}", name)


@cache
def _names_of(base: type) -> Mapping[str, Any]:
    """Return what the framework's class has, and Starlette's below it, by name."""
    found: dict[str, Any] = {}
    for kind in reversed(base.__mro__):
        package = kind.__module__.partition(".")[0]
        if package in ("consumers", "starlette"):
            found |= dict.fromkeys(inspect.get_annotations(kind)) | vars(kind)
        if package == "starlette":  # keeps `url` in `_url`, and looks for it there
            for getter in (getattr(each, "fget", None) for each in vars(kind).values()):
                names = getter.__code__.co_names if getter is not None else ()
                found |= dict.fromkeys(name for name in names if name[0] == "_")
    return {
        name: value
        for name, value in found.items()
        if name not in _ANYBODY_S and not name.startswith("__")
    }


def check_is_own(owner: str, name: str, base: type) -> None:
    """Check that a method which a decorator marks overrides nothing of the framework's.

    Raises:
        ConfigurationError: It does, and what it overrides would be missed.
    """
    if hasattr(base, name):
        raise _taken(owner, name)


def _taken(owner: str, name: str) -> ConfigurationError:
    hint = ", or join them in on_connect" if name == "groups" else ""
    return ConfigurationError(
        f"{owner} must not be named like one of the framework's own, "
        f"got {name!r}; rename it{hint}"
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
