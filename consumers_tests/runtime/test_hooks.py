"""Hooks are called with what they ask for, and with what is passed in any case."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest

from consumers import Provide, WebSocketConsumer
from consumers.handlers.signatures import Signature
from consumers.runtime.application import APP_KEY
from consumers.runtime.hooks import Hooks

made: list[str] = []


async def resource() -> AsyncIterator[str]:
    made.append("made")
    yield "resource"
    made.append("torn down")


async def lasting() -> AsyncIterator[str]:
    made.append("made")
    yield "resource"
    made.append("torn down")


class Asking(WebSocketConsumer):
    async def on_connect(
        self, name: str, value: Annotated[str, Provide(resource)]
    ) -> None: ...

    async def on_disconnect(self, code: int) -> None: ...


class Keeping(WebSocketConsumer):
    async def on_handshake(
        self, kept: Annotated[str, Provide(lasting, scope="connection")]
    ) -> None: ...


def hooks(kind: type[WebSocketConsumer], failures: list[BaseException]) -> Hooks:
    scope: dict[str, Any] = {
        "type": "websocket",
        "path": "/",
        "headers": [],
        APP_KEY: None,
    }
    consumer = kind(scope, None, None)  # type: ignore[arg-type]
    return Hooks(consumer, None, failures.append)


def signature(kind: type[WebSocketConsumer], name: str) -> Signature:
    found: Signature | None = getattr(kind.prepare(), name)
    assert found is not None
    return found


async def echo(*given: Any, **named: Any) -> Any:
    return given, named, list(made)


@pytest.fixture(autouse=True)
def nothing_made() -> None:
    made.clear()


async def test_what_is_given_comes_first() -> None:
    """A hook that asks for nothing gets what is passed, and no more."""
    calls = hooks(Asking, [])

    assert await calls.call(
        signature(Asking, "on_disconnect"), echo, {"name": "x"}, 1000
    ) == (
        (1000,),
        {},
        [],
    )


async def test_parameters_and_providers_come_by_name() -> None:
    """A provider is made for the call, and torn down after it."""
    calls = hooks(Asking, [])

    given, named, during = await calls.call(
        signature(Asking, "on_connect"), echo, {"name": "ann", "other": 1}
    )

    assert (given, named) == ((), {"name": "ann", "value": "resource"})
    assert during == ["made"]
    assert made == ["made", "torn down"]


async def test_what_lasts_as_long_as_the_connection_is_made_once() -> None:
    """For all calls, and torn down where `held` ends."""
    failures: list[BaseException] = []
    calls = hooks(Keeping, failures)

    async with calls.held():
        for _ in range(2):
            _, named, during = await calls.call(
                signature(Keeping, "on_handshake"), echo, {}
            )
            assert named == {"kept": "resource"}
            assert during == ["made"]

    assert made == ["made", "torn down"]
    assert failures == []
