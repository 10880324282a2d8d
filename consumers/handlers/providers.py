"""Providers: what a hook asks for beside the URL's parameters and its message.

``Annotated[T, Provide(factory)]`` in a hook's signature calls ``factory`` and passes
what it returns or yields. A generator is resumed when its scope ends, whatever
happened. Graphs of factories are checked when the class is made.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from contextlib import (
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args, get_origin

from starlette.requests import HTTPConnection

from consumers.errors import ConfigurationError, StateError

__all__ = [
    "Factory",
    "Provide",
    "Provider",
    "in_scope",
    "is_connection",
    "misplaced",
    "overrides",
    "provider_of",
    "resolve",
]

Factory: TypeAlias = "Callable[..., Any]"
Scope: TypeAlias = Literal["call", "connection", "app"]

_WIDTH: Final[dict[str, int]] = {"call": 0, "connection": 1, "app": 2}

overrides: Final[ContextVar[Mapping[Factory, Factory]]] = ContextVar(
    "overrides",
    default={},  # noqa: B039  a Mapping: replaced as a whole, never changed
)
"""``{factory: what is called instead}`` in the current context. Set by tests."""


@dataclass(frozen=True, slots=True)
class Provide:
    """Marks a parameter as filled by ``factory``.

    ``factory`` is a function, ``async def`` function or generator of either kind. Its
    own parameters are providers, or annotated with a connection's class to get the
    connection, or have defaults.

    Synchronous factories run on the event loop: they must not block.
    """

    factory: Factory
    """What makes the value. A generator may not swallow what a hook raises: it gets the
    exception to clean up after it, and then the exception goes on."""

    scope: Scope = "call"
    """How long one value serves: ``"call"``: that call of the hook (for a function
    view: its connection); ``"connection"``; ``"app"``: from start-up to shutdown."""

    def __post_init__(self) -> None:
        if not callable(self.factory):
            raise ConfigurationError(
                f"a provider must be a function, got {self.factory!r}; "
                "write Provide(factory), without calling it"
            )
        if self.scope not in _WIDTH:
            raise ConfigurationError(
                "a provider's scope must be 'call', 'connection' or 'app', "
                f"got {self.scope!r}"
            )


def provider_of(annotation: Any) -> Provide | None:
    """Return the ``Provide`` of an ``Annotated`` annotation, if it has one."""
    if get_origin(annotation) is Annotated:
        for extra in get_args(annotation)[1:]:
            if isinstance(extra, Provide):
                return extra
    return None


class _ConnectionItself:
    """Marks a factory's parameter that gets the connection."""


@dataclass(frozen=True, eq=False)
class Provider:
    """A factory whose signature was read, with the providers that it needs itself."""

    factory: Factory
    """What makes the value, as it was written: tests may replace it."""
    scope: Scope
    """How long one value serves, as in `Provide`."""
    needs: Mapping[str, Provider | type[_ConnectionItself]] = field(repr=False)
    """``{parameter: what fills it}``."""

    @classmethod
    def of(
        cls,
        marker: Provide,
        namespace: Mapping[str, Any] | None = None,
        *,
        _above: tuple[Factory, ...] = (),
    ) -> Provider:
        """Read a factory's signature, and those of all that it needs.

        Args:
            marker: Which factory.
            namespace: Local names that annotations may use.

        Raises:
            ConfigurationError: The factories need each other in a circle, a parameter
                can't be filled, or a value would outlive one that it needs.
            NameError: An annotation names what is not defined yet.
        """
        factory = marker.factory
        name = _name(factory)
        if factory in _above:
            circle = " → ".join(map(_name, (*_above[_above.index(factory) :], factory)))
            raise ConfigurationError(
                f"providers must not need themselves, got {circle}"
            )
        needs: dict[str, Provider | type[_ConnectionItself]] = {}
        for parameter in _signature(factory, namespace).parameters.values():
            inner = provider_of(parameter.annotation)
            if inner is not None:
                need = cls.of(inner, namespace, _above=(*_above, factory))
                if _WIDTH[need.scope] < _WIDTH[marker.scope]:
                    raise ConfigurationError(
                        f"provider {name} must not outlive what it needs, got scope "
                        f"{marker.scope!r} above {_name(need.factory)}'s "
                        f"{need.scope!r}; give it scope={need.scope!r}"
                    )
                needs[parameter.name] = need
            elif isinstance(parameter.default, Provide):
                raise misplaced(f"provider {name}", parameter)
            elif is_connection(parameter.annotation):
                if marker.scope == "app":
                    raise ConfigurationError(
                        f"provider {name} has scope 'app' and can't know a connection, "
                        f"got the parameter {parameter.name!r}; "
                        "give it scope='connection'"
                    )
                needs[parameter.name] = _ConnectionItself
            elif (
                parameter.default is inspect.Parameter.empty
                and parameter.kind
                not in (
                    inspect.Parameter.VAR_POSITIONAL,
                    inspect.Parameter.VAR_KEYWORD,
                )
            ):
                raise ConfigurationError(
                    f"provider {name}: parameter {parameter.name!r} must be a "
                    "provider, a connection or have a default, got "
                    f"{_annotation_text(parameter)}; write {parameter.name}: "
                    "Annotated[T, Provide(factory)], or ws: WebSocket and take it from "
                    "there"
                )
        return cls(factory, marker.scope, needs)

    @property
    def is_generator(self) -> bool:
        """Whether it, or what it is replaced by, has a teardown."""
        function = _function(overrides.get().get(self.factory, self.factory))
        return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(
            function
        )

    def replaced(self) -> Provider:
        """Return what is called for it in the current context."""
        replacement = overrides.get().get(self.factory)
        if replacement is None:
            return self
        return Provider.of(Provide(replacement, self.scope))

    def with_needs(self) -> Iterable[Provider]:
        """Yield all that it needs, in the order of their making, and itself."""
        for need in self.needs.values():
            if isinstance(need, Provider):
                yield from need.with_needs()
        yield self


def in_scope(providers: Iterable[Provider], scope: str) -> tuple[Provider, ...]:
    """Return all of one scope that ``providers`` need, overrides included.

    What is needed first comes first.
    """
    found = {
        each.factory: each
        for provider in providers
        for each in _with_needs_replaced(provider)
        if each.scope == scope
    }
    return tuple(found.values())


def _with_needs_replaced(provider: Provider) -> Iterable[Provider]:
    for need in provider.replaced().needs.values():
        if isinstance(need, Provider):
            yield from _with_needs_replaced(need)
    yield provider


def _function(factory: Factory) -> Factory:
    """Return what tells a factory's kind: its method, if it is a callable object."""
    if inspect.isroutine(factory) or isinstance(factory, type | partial):
        return factory
    return factory.__call__  # type: ignore[no-any-return,operator]


def _name(factory: Factory) -> str:
    return getattr(factory, "__qualname__", repr(factory))


def _annotation_text(parameter: inspect.Parameter) -> str:
    if parameter.annotation is inspect.Parameter.empty:
        return "no annotation"
    return f"{parameter.annotation!r}"


def _signature(
    factory: Factory, namespace: Mapping[str, Any] | None
) -> inspect.Signature:
    try:
        return inspect.signature(factory, locals=namespace, eval_str=True)
    except NameError as error:
        raise NameError(f"{error} in provider {_name(factory)}") from error
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"provider {_name(factory)} must have a signature that can be read; {error}"
        ) from error


def misplaced(owner: str, parameter: inspect.Parameter) -> ConfigurationError:
    """Return what says that a marker stands where a default does."""
    return ConfigurationError(
        f"{owner}: a provider goes into the annotation, got {parameter}; write "
        f"{parameter.name}: Annotated[T, Provide(factory)]"
    )


def is_connection(annotation: Any) -> bool:
    """Tell whether an annotation is a connection's class."""
    annotation = get_origin(annotation) or annotation
    return isinstance(annotation, type) and issubclass(annotation, HTTPConnection)


async def resolve(
    provider: Provider,
    *,
    stack: AsyncExitStack,
    made: dict[Factory, Any],
    wider: Mapping[Scope, Mapping[Factory, Any]],
    connection: HTTPConnection[Any] | None = None,
) -> Any:
    """Return the provider's value, making it and what it needs where not made before.

    Args:
        provider: What is asked for.
        stack: Where the teardown of what is made here goes.
        made: ``{factory: value}`` of the scope being filled; extended.
        wider: ``{scope: {factory: value}}`` of the scopes that last longer.
        connection: Whose it is; ``None`` in the application's scope.

    Cancelling stops the factory that is running; what was made before it is torn down
    with ``stack``.
    """
    values = wider.get(provider.scope, made)
    if provider.factory in values:
        return values[provider.factory]
    if values is not made:
        raise StateError(
            f"provider {_name(provider.factory)} has scope {provider.scope!r}, and no "
            "application has started it; run the App itself, or pass "
            "lifespan=app.lifespan to the application that it is mounted in"
        )
    making = provider.replaced()
    arguments = {
        name: connection
        if need is _ConnectionItself
        else await resolve(
            need,  # type: ignore[arg-type]
            stack=stack,
            made=made,
            wider=wider,
            connection=connection,
        )
        for name, need in making.needs.items()
    }
    value = await _call(making.factory, arguments, stack)
    made[provider.factory] = value
    return value


async def _call(
    factory: Factory, arguments: dict[str, Any], stack: AsyncExitStack
) -> Any:
    function = _function(factory)
    if inspect.isasyncgenfunction(function):
        manager = asynccontextmanager(function)(**arguments)
        value = await manager.__aenter__()

        async def leave(kind: Any, error: Any, traceback: Any) -> bool:
            swallowed = await manager.__aexit__(kind, error, traceback)
            return bool(swallowed) and _may_swallow(error)

        stack.push_async_exit(leave)
        return value
    if inspect.isgeneratorfunction(function):
        with_teardown = contextmanager(function)(**arguments)
        value = with_teardown.__enter__()
        stack.push(
            lambda kind, error, traceback: (
                bool(with_teardown.__exit__(kind, error, traceback))
                and _may_swallow(error)
            )
        )
        return value
    value = factory(**arguments)
    # Not all that can be awaited: a connection can be, and so can some pools.
    return await value if inspect.iscoroutine(value) else value


def _may_swallow(error: BaseException) -> bool:
    """Tell whether a generator may keep an exception of the hook to itself.

    A hook that raised has not done its work: a refusal that a rollback has swallowed
    would let the client in. Cancellation is another matter, since it may come from a
    cancel scope of the generator's own.
    """
    return not isinstance(error, Exception)
