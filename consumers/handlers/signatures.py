"""Reads the signature of a hook or view: its message, parameters and providers.

Done once per class. What a call needs beside the URL's parameters is made by
:meth:`Signature.fill`.
"""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import HTTPConnection

from consumers.errors import ConfigurationError

from .params import Parameter
from .providers import (
    Factory,
    Provide,
    Provider,
    is_connection,
    misplaced,
    provider_of,
    resolve,
)

if TYPE_CHECKING:
    from .depends import Dependencies
    from .providers import Scope

__all__ = [
    "NOTHING",
    "Signature",
    "all_providers",
    "callers_locals",
    "is_named",
    "read_hints",
    "read_signature",
]

_HINTS: Final = "__consumers_hints__"
_FRAMEWORK: Final = __name__.partition(".")[0]


@dataclass(frozen=True)
class Signature:
    """What a hook asks for."""

    owner: str
    """The hook's name, for errors: ``Chat.on_connect``."""

    given: Mapping[str, Any]
    """``{name: annotation}`` of the leading arguments, which the runtime passes."""

    parameters: tuple[Parameter, ...]
    """What comes from the URL."""

    providers: Mapping[str, Provider]
    """``{argument: provider}``."""

    dependencies: Dependencies | None
    """FastAPI's ``Depends``, if there are any."""

    @property
    def is_plain(self) -> bool:
        """Whether a call needs nothing but the URL's parameters."""
        return not self.providers and self.dependencies is None

    async def fill(
        self,
        connection: HTTPConnection[Any],
        stack: AsyncExitStack,
        wider: Mapping[Scope, Mapping[Factory, Any]],
    ) -> dict[str, Any]:
        """Return ``{argument: value}`` for one call; ``stack`` gets the teardown."""
        made: dict[Factory, Any] = {}
        values = {
            name: await resolve(
                provider, stack=stack, made=made, wider=wider, connection=connection
            )
            for name, provider in self.providers.items()
        }
        if self.dependencies is not None:
            values |= await self.dependencies.solve(connection, stack)
        return values


NOTHING: Final = Signature("", {}, (), {}, None)
"""What asks for nothing."""


def read_signature(
    function: Callable[..., Any],
    owner: str,
    *,
    given: tuple[str, ...] = (),
    from_url: bool = False,
    namespace: Mapping[str, Any] | None = None,
) -> Signature:
    """Read what ``function`` asks for.

    Args:
        function: A hook without its ``self``, or a view.
        owner: Its name, for errors.
        given: What the runtime passes first, by position: ``("message",)``.
        from_url: Whether the remaining parameters may come from the URL.
        namespace: Local names that annotations may use.

    Raises:
        ConfigurationError: A parameter can't be filled.
        NameError: An annotation names what is not defined yet.
    """
    hints = read_hints(function, namespace)
    arguments = list(inspect.signature(function).parameters.values())
    if len(arguments) < len(given):
        raise ConfigurationError(
            f"{owner} must take {_listed(given)}, got {len(arguments)} parameters; "
            f"write async def {function.__name__}({', '.join(given)})"
        )
    if given[:1] == ("self",):
        for argument in arguments[1 : len(given)]:
            if _is_the_connection(argument, hints.get(argument.name)):
                raise _no_connection(owner, argument)
    parameters: list[Parameter] = []
    providers: dict[str, Provider] = {}
    depends: list[inspect.Parameter] = []
    for argument in arguments[len(given) :]:
        annotation = hints.get(argument.name, argument.annotation)
        marker = provider_of(annotation)
        if not is_named(argument):
            raise ConfigurationError(
                f"{owner}: parameters are filled by name, got {argument}; name each one"
            )
        if marker is not None:
            providers[argument.name] = Provider.of(marker, namespace)
        elif isinstance(argument.default, Provide):
            raise misplaced(owner, argument)
        elif _is_the_connection(argument, annotation):
            raise _no_connection(owner, argument)
        elif _is_depends(annotation, argument.default):
            depends.append(argument.replace(annotation=annotation))
        elif from_url:
            parameters.append(Parameter.of(owner, argument, annotation))
        elif argument.default is inspect.Parameter.empty:
            raise ConfigurationError(
                f"{owner}: {argument.name!r} must be a provider, got {argument}; "
                f"the URL's parameters go to on_connect, and a value of another kind "
                f"is written {argument.name}: Annotated[T, Provide(factory)]"
            )
    return Signature(
        owner,
        {
            name: hints.get(argument.name, inspect.Parameter.empty)
            for name, argument in zip(given, arguments, strict=False)
        },
        tuple(parameters),
        providers,
        _dependencies(depends),
    )


def is_named(argument: inspect.Parameter) -> bool:
    """Tell whether one argument can be passed to a parameter by its name."""
    return argument.kind in (
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.KEYWORD_ONLY,
    )


def all_providers(signatures: list[Signature]) -> tuple[Provider, ...]:
    """Return what the signatures need, each factory once, what is needed first first.

    Raises:
        ConfigurationError: One factory is asked for in two scopes.
    """
    found: dict[Any, Provider] = {}
    for signature in signatures:
        for provider in signature.providers.values():
            for each in provider.with_needs():
                known = found.setdefault(each.factory, each)
                if known.scope != each.scope:
                    name = getattr(each.factory, "__qualname__", each.factory)
                    raise ConfigurationError(
                        f"{signature.owner}: provider {name} must have one scope in "
                        f"all hooks, got {known.scope!r} and {each.scope!r}; share one "
                        "Provide(...) between them"
                    )
    return tuple(found.values())


def callers_locals() -> dict[str, Any]:
    """Return the local names where the application makes a class or a route.

    For annotations that are text and name what only a function knows.
    """
    frame = sys._getframe(1)  # noqa: SLF001  public, for all that
    while frame.f_back is not None and (
        frame.f_globals.get("__name__", "").partition(".")[0] == _FRAMEWORK
        # Of a metaclass, or of a base class of the application's own.
        or frame.f_code.co_name in ("__new__", "__init_subclass__")
    ):
        frame = frame.f_back
    return dict(frame.f_locals)


def _is_the_connection(argument: inspect.Parameter, annotation: Any) -> bool:
    """Tell whether it is what other frameworks' hooks get first, by type or by name."""
    if argument.annotation is inspect.Parameter.empty:
        return argument.name in ("ws", "websocket")
    return is_connection(annotation)


def _no_connection(owner: str, argument: inspect.Parameter) -> ConfigurationError:
    return ConfigurationError(
        f"{owner}: a consumer is the connection itself, got {argument}; leave "
        f"{argument.name!r} out and use self"
    )


def _listed(names: tuple[str, ...]) -> str:
    return " and ".join(repr(name) for name in names)


def read_hints(
    function: Callable[..., Any], namespace: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return what a function's annotations say, read once.

    Without that of what it returns, where that names what is not there: only some have
    to know it. A subclass made elsewhere does not see the local names that its base's
    hooks use.
    """
    function = getattr(function, "__func__", function)  # a method takes no attributes
    known: dict[str, Any] | None = getattr(function, _HINTS, None)
    if known is None:
        known = _read_hints(function, namespace)
        if len(known) == len(inspect.get_annotations(function)):
            setattr(function, _HINTS, known)
    return known


def _read_hints(
    function: Callable[..., Any], namespace: Mapping[str, Any] | None
) -> dict[str, Any]:
    try:
        return typing.get_type_hints(
            function, localns=dict(namespace or {}), include_extras=True
        )
    except NameError:
        # Only the annotations of what is passed have to be known: a return type that
        # is imported for type checkers alone is nobody's mistake.
        annotations = {
            name: hint
            for name, hint in inspect.get_annotations(function).items()
            if name != "return"
        }
        bare = type("bare", (), {"__annotations__": annotations})
        return typing.get_type_hints(
            bare,
            globalns=getattr(function, "__globals__", {}),
            localns=dict(namespace or {}),
            include_extras=True,
        )


def _is_depends(annotation: Any, default: Any) -> bool:
    """Tell whether FastAPI fills it, without importing FastAPI for those who don't."""
    fastapi = sys.modules.get("fastapi.params")
    if fastapi is None:
        return False
    extras = getattr(annotation, "__metadata__", ())
    markers = (fastapi.Depends, fastapi.Param)  # Param: Path, Query, Header, Cookie
    return any(isinstance(extra, markers) for extra in (default, *extras))


def _dependencies(arguments: list[inspect.Parameter]) -> Dependencies | None:
    if not arguments:
        return None
    from .depends import Dependencies

    return Dependencies(arguments)
