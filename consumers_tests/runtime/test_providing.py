"""Providers of a connection's scope, and the task that holds them."""

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from consumers import Provide, WebSocketConsumer
from consumers.handlers.providers import Provider
from consumers.runtime.providing import Providing
from consumers_tests.doubles import PATIENCE, Journal


async def nothing(*_: Any) -> Any:
    """Receive and send nothing."""


def providing(factory: Any, journal: Journal, timeout: float = 5) -> Providing:
    """Return what holds the values of one provider."""
    consumer = WebSocketConsumer({"type": "websocket", "path": "/"}, nothing, nothing)
    provider = Provider.of(Provide(factory, scope="connection"))
    return Providing(consumer, (provider,), {}, timeout=timeout, failed=journal.add)


async def test_a_value_is_made_once_and_torn_down_after_the_block() -> None:
    """Several who ask at once get one value; its teardown comes when all has ended."""
    journal = Journal()

    async def resource() -> AsyncIterator[object]:
        await checkpoint()
        journal.add("made")
        yield object()
        await checkpoint()
        journal.add("torn down")

    values: list[Any] = []

    async def ask() -> None:
        got = await held.values()
        values.extend(got["connection"].values())

    held = providing(resource, journal)
    with anyio.fail_after(PATIENCE):
        async with held.held():
            async with anyio.create_task_group() as group:
                group.start_soon(ask)
                group.start_soon(ask)
            assert journal == ["made"]

    assert values[0] is values[1]
    assert journal == ["made", "torn down"]


async def test_a_value_that_was_just_made_outlives_who_asked() -> None:
    """Cancelled in the step in which the value was made, nobody waits for its end."""
    journal = Journal()
    scope = anyio.CancelScope()

    async def resource() -> AsyncIterator[str]:
        await checkpoint()
        yield "resource"
        await checkpoint()
        journal.add("torn down")

    async def ask() -> None:
        with scope:
            await held.values()

    held = providing(resource, journal)
    with anyio.fail_after(PATIENCE):
        async with held.held(), anyio.create_task_group() as group:
            group.start_soon(ask)
            while held._made is None:
                await checkpoint()
            scope.cancel()
        again = await held.values()

    assert list(again["connection"].values()) == ["resource"]
    assert journal == ["torn down"]


async def test_cancelling_who_asks_cancels_the_making() -> None:
    """A factory that takes for ever does not hold its connection up."""
    journal = Journal()

    async def resource() -> AsyncIterator[str]:
        try:
            await anyio.sleep_forever()
        finally:
            journal.add("cancelled")
        yield "never"

    held = providing(resource, journal)
    with anyio.fail_after(PATIENCE):
        async with held.held():
            with anyio.move_on_after(0.01):
                await held.values()

    assert journal == ["cancelled"]


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
async def test_what_a_factory_raises_goes_to_who_asked(
    kind: type[BaseException],
) -> None:
    """And not to the group that holds the task; the next who asks tries again."""
    journal = Journal()

    async def resource() -> AsyncIterator[str]:
        await checkpoint()
        raise kind
        yield "never"

    held = providing(resource, journal)
    raised: list[type[BaseException]] = []
    with anyio.fail_after(PATIENCE):
        async with held.held():
            for _ in range(2):
                try:
                    await held.values()
                except BaseException as error:
                    raised.append(type(error))

    assert raised == [kind, kind]
    assert journal == []


async def test_what_a_teardown_raises_is_told() -> None:
    """It goes to who judges failures; the block ends without it."""
    journal = Journal()
    bug = ValueError("a bug")

    async def resource() -> AsyncIterator[str]:
        yield "resource"
        raise bug

    held = providing(resource, journal)
    with anyio.fail_after(PATIENCE):
        async with held.held():
            await held.values()

    assert journal == [bug]


async def test_a_teardown_has_a_deadline_and_no_other_cancellation() -> None:
    """A cancellation around it does not reach it; its own timeout does."""
    journal = Journal()

    async def resource() -> AsyncIterator[str]:
        try:
            yield "resource"
        finally:
            await checkpoint()
            journal.add("went on")
            try:
                await anyio.sleep_forever()
            finally:
                journal.add("cut")

    held = providing(resource, journal, timeout=0.01)
    with anyio.fail_after(PATIENCE):
        with anyio.CancelScope() as scope:
            async with held.held():
                await held.values()
                scope.cancel()
                await checkpoint()

    assert journal == ["went on", "cut"]
