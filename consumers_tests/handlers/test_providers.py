"""Providers: what a factory may be, and their graphs, checked with the class."""

import functools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Annotated, Any

import anyio
import pytest

from consumers import (
    ConfigurationError,
    Provide,
    WebSocket,
    WebSocketConsumer,
)
from consumers.handlers.providers import (
    Provider,
    in_scope,
    overrides,
    provider_of,
    resolve,
)
from consumers_tests.provided import DOWN, UP, async_generator, generator, log


@pytest.fixture(autouse=True)
def _empty_log() -> None:
    log.clear()


def one() -> int:
    """Give a value."""
    return 1


async def two(first: Annotated[int, Provide(one)]) -> int:
    """Need another, and wait."""
    await anyio.lowlevel.checkpoint()
    return first + 1


class Three:
    """An object that can be called."""

    def __call__(self, second: Annotated[int, Provide(two)]) -> int:
        return second + 1


class Opened:
    """An object whose call is a generator."""

    async def __call__(self) -> AsyncIterator[str]:
        log.append("opened")
        yield "it"
        log.append("closed")


async def made(provide: Provide) -> Any:
    """Return a provider's value; its teardown runs before this returns."""
    async with AsyncExitStack() as stack:
        return await resolve(Provider.of(provide), stack=stack, made={}, wider={})


# -- factories ------------------------------------------------------------------------


async def test_factories_of_all_kinds() -> None:
    """Functions, coroutines, objects, classes, partials and generators are called."""
    assert await made(Provide(one)) == 1
    assert await made(Provide(two)) == 2
    assert await made(Provide(Three())) == 3
    assert isinstance(await made(Provide(Three)), Three)
    assert await made(Provide(functools.partial(two, 6))) == 7
    assert await made(Provide(functools.partial(generator))) == "sync"
    assert await made(Provide(async_generator)) == "async on sync"
    assert await made(Provide(Opened())) == "it"
    assert log == ["sync up", "sync down", *UP, *DOWN, "opened", "closed"]


async def test_a_value_is_made_once_in_its_scope() -> None:
    """Two that need the same factory get the same value."""

    def left(shared: Annotated[object, Provide(object)]) -> object:
        return shared

    def both(
        first: Annotated[object, Provide(left)],
        shared: Annotated[object, Provide(object)],
    ) -> bool:
        return first is shared

    assert await made(Provide(both))


async def test_a_factory_s_own_default_stays() -> None:
    """A parameter that is not a provider and has a default is left alone."""

    def factory(size: int = 3, *args: int, **kwargs: int) -> int:
        return size

    assert await made(Provide(factory)) == 3


def test_which_annotation_is_a_provider() -> None:
    """The marker may stand anywhere behind the type."""
    marker = Provide(one)

    assert provider_of(Annotated[int, "a remark", marker]) is marker
    assert provider_of(Annotated[int, "a remark"]) is None
    assert provider_of(int) is None


# -- mistakes -------------------------------------------------------------------------


def test_mistakes_of_a_marker() -> None:
    """A value instead of a function, and an unknown scope, are refused at once."""
    with pytest.raises(ConfigurationError) as caught:
        Provide(one())  # type: ignore[arg-type]
    assert str(caught.value) == (
        "a provider must be a function, got 1; write Provide(factory), without "
        "calling it"
    )

    with pytest.raises(ConfigurationError) as caught:
        Provide(one, scope="request")  # type: ignore[arg-type]
    assert str(caught.value) == (
        "a provider's scope must be 'call', 'connection' or 'app', got 'request'"
    )


def asking_for(marker: Provide) -> type[WebSocketConsumer]:
    """Make a class whose hook asks for a provider."""

    class Asking(WebSocketConsumer):
        async def on_connect(self, value: Annotated[Any, marker]) -> None: ...

    return Asking


def first(value: "Annotated[int, Provide(second)]") -> int:
    """Need the one that needs this."""
    return value


def second(value: Annotated[int, Provide(first)]) -> int:
    """Need the one that needs this."""
    return value


def itself(value: "Annotated[int, Provide(itself)]") -> int:
    """Need itself."""
    return value


def unknown(value: int) -> int:
    """Ask for what nobody gives."""
    return value


def bare(value) -> int:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Ask for what nobody gives, without a word."""
    return int(value)


def undefined(value: "Undefined") -> int:  # type: ignore[name-defined]  # noqa: F821
    """Have an annotation that can't be read."""
    return int(value)


def longer(value: Annotated[int, Provide(one, scope="connection")]) -> int:
    """Need what lasts as long as a connection."""
    return value


def application(ws: WebSocket) -> int:
    """Need a connection."""
    return id(ws)


@pytest.mark.parametrize(
    ("marker", "text"),
    [
        (
            Provide(first),
            "providers must not need themselves, got first → second → first",
        ),
        (Provide(itself), "providers must not need themselves, got itself → itself"),
        (
            Provide(unknown),
            (
                "provider unknown: parameter 'value' must be a provider, a "
                "connection or have a default, got <class 'int'>; write value: "
                "Annotated[T, Provide(factory)], or ws: WebSocket and take it from "
                "there"
            ),
        ),
        (
            Provide(bare),
            (
                "provider bare: parameter 'value' must be a provider, a connection "
                "or have a default, got no annotation; write value: Annotated[T, "
                "Provide(factory)], or ws: WebSocket and take it from there"
            ),
        ),
        (
            Provide(dict),
            (
                "provider dict must have a signature that can be read; no signature "
                "found for builtin type <class 'dict'>"
            ),
        ),
        (
            Provide(longer, scope="app"),
            (
                "provider longer must not outlive what it needs, got scope 'app' "
                "above one's 'connection'; give it scope='connection'"
            ),
        ),
        (
            Provide(two, scope="connection"),
            (
                "provider two must not outlive what it needs, got scope 'connection' "
                "above one's 'call'; give it scope='call'"
            ),
        ),
        (
            Provide(application, scope="app"),
            (
                "provider application has scope 'app' and can't know a connection, "
                "got the parameter 'ws'; give it scope='connection'"
            ),
        ),
    ],
)
def test_mistakes_of_a_graph_are_told_when_the_class_is_made(
    marker: Provide, text: str
) -> None:
    """Circles, parameters that nobody fills, and scopes that don't fit are refused."""
    with pytest.raises(ConfigurationError) as caught:
        asking_for(marker)

    assert str(caught.value) == text


def test_what_is_never_defined_is_told_when_the_class_is_routed() -> None:
    """A factory's annotation may name what comes later, but not what never comes."""
    asking = asking_for(Provide(undefined))

    with pytest.raises(ConfigurationError) as caught:
        asking.prepare()

    assert str(caught.value) == (
        "asking_for.<locals>.Asking: every annotation of a hook must name something "
        "that is there when the class is routed; name 'Undefined' is not defined in "
        "provider undefined"
    )


def test_a_factory_has_one_scope_in_a_class() -> None:
    """Two hooks that ask for one factory in two scopes are refused."""
    with pytest.raises(ConfigurationError) as caught:

        class Asking(WebSocketConsumer):
            async def on_connect(self, value: Annotated[int, Provide(one)]) -> None: ...

            async def on_receive(
                self, message: str, value: Annotated[int, Provide(one, "connection")]
            ) -> None: ...

    assert str(caught.value) == (
        "test_a_factory_has_one_scope_in_a_class.<locals>.Asking.on_receive: provider "
        "one must have one scope in all hooks, got 'call' and 'connection'; share one "
        "Provide(...) between them"
    )


async def test_the_context_replaces_a_factory() -> None:
    """The mapping in the context is all that there is to it."""
    token = overrides.set({one: lambda: 10})
    try:
        assert await made(Provide(two)) == 11
    finally:
        overrides.reset(token)

    assert await made(Provide(two)) == 2


def test_what_a_scope_needs_comes_in_the_order_of_making() -> None:
    """What is needed comes before what needs it, each once."""
    lower = Provide(one, scope="connection")

    def upper(value: Annotated[int, lower]) -> int:
        return value

    provider = Provider.of(Provide(upper, scope="connection"))
    names = [each.factory for each in in_scope([provider, provider], "connection")]

    assert names == [one, upper]
    assert in_scope([provider], "call") == ()
