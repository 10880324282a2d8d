"""One look at all connections and groups, beside what else is going on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from typing import Any, TypeAlias

import anyio
import pytest
from anyio.lowlevel import checkpoint

from consumers import App
from consumers.inspector import Inspector, survey
from consumers.inspector.survey import Survey, find_connection
from consumers.testing import ClientConnection, TestClient
from consumers_tests.inspector.lobby import is_staff, lobby, looking, room

CROWD = 20
PATIENCE = 20.0

Look: TypeAlias = Callable[[], Survey]
Meanwhile: TypeAlias = Callable[[Callable[[], Awaitable[object]]], None]


@pytest.fixture
def inspector() -> Inspector:
    return Inspector("/inspector", allow=is_staff)


@pytest.fixture
def app(inspector: Inspector) -> App:
    return lobby(inspector=inspector)


@pytest.fixture
def look(app: App, inspector: Inspector) -> Look:
    return lambda: Survey(inspector.record, app.groups)


@pytest.fixture
def client(app: App) -> TestClient:
    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Iterator[Meanwhile]:
    """Have something done at the first pause of a look, which then pauses often."""
    seconds = count()
    monkeypatch.setattr(survey, "perf_counter", lambda: float(next(seconds)))
    due: list[Callable[[], Awaitable[object]]] = []

    async def pause() -> None:
        while due:
            await due.pop()()
        await checkpoint()

    monkeypatch.setattr(survey, "checkpoint", pause)
    yield due.append
    assert due == []


@asynccontextmanager
async def crowd(client: TestClient) -> AsyncIterator[list[ClientConnection]]:
    """Yield connections that have said something, and were answered."""
    async with client, AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(client.connect("/echo"))
            for _ in range(CROWD)
        ]
        for each in clients:
            await talk(each)
        yield clients


async def talk(client: ClientConnection) -> None:
    await client.send("hello")
    await client.receive()


@pytest.mark.parametrize("slices", [True, False], ids=["", "without slices"])
async def test_others_run_meanwhile(
    client: TestClient, look: Look, slices: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When its milliseconds are over a look waits for what others have to do."""
    # Each reading of the clock is two slices later; or no later.
    times = count()
    step = 2 * survey._SLICE if slices else 0.0
    monkeypatch.setattr(survey, "perf_counter", lambda: next(times) * step)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await checkpoint()

    async with crowd(client), anyio.create_task_group() as group:
        group.start_soon(others)
        with anyio.fail_after(PATIENCE):
            found = look()
            await found.take("")
        group.cancel_scope.cancel()

    assert found.connections == len(found.rows) == CROWD
    # Each is looked at, and told.
    assert turns >= 2 * CROWD if slices else turns <= 3


async def test_who_goes_meanwhile_is_counted_once(
    client: TestClient, look: Look, meanwhile: Meanwhile
) -> None:
    """What is told is of the moment when the look began; the next knows the rest."""
    async with crowd(client) as clients, AsyncExitStack() as stack:

        async def go_and_come() -> None:
            for each in clients[: CROWD // 2]:
                await each.close()
            new = await stack.enter_async_context(client.connect("/room/red"))
            await new.send("hello")
            await client.settle()

        meanwhile(go_and_come)
        with anyio.fail_after(PATIENCE):
            before = look()
            await before.take("")
            after = look()
            await after.take("")

    assert (before.opened, before.connections) == (CROWD, CROWD)
    assert (before.received, before.sent) == (CROWD, CROWD)
    assert len(before.rows) == CROWD
    assert (after.opened, after.connections) == (CROWD + 1, CROWD // 2 + 1)
    assert (after.received, after.sent) == (CROWD + 1, CROWD + 2)
    assert (before.groups, after.groups) == (1, 1)  # its members are counted later


async def test_a_group_that_ends_meanwhile(
    client: TestClient, look: Look, meanwhile: Meanwhile
) -> None:
    """A group whose last member goes in the middle of a look is not told."""
    async with (
        client,
        client.connect("/room/red") as red,
        client.connect("/room/blue"),
    ):

        async def go() -> None:
            await red.close()
            await client.settle()

        found = look()
        found._lives = []  # so that the first pause is among the groups
        meanwhile(go)
        await found.take("")

    assert [each.name for each in found.group_rows] == ["room.blue"]
    assert found.groups == 1


@pytest.mark.parametrize("goes", [True, False])
async def test_who_goes_meanwhile_is_not_found(
    client: TestClient, look: Look, meanwhile: Meanwhile, goes: bool
) -> None:
    """Nobody gets hold of a connection that has ended while it was looked for."""
    async with client, client.connect("/echo") as echo:
        found = look()
        await found.take("")
        (row,) = found.rows
        if goes:

            async def go() -> None:
                await echo.close()
                await client.settle()

            meanwhile(go)
        named = await find_connection(found._record, row.id)

    assert (named is None) == goes


async def test_looks_do_not_overtake_each_other(
    client: TestClient, meanwhile: Meanwhile
) -> None:
    """What the page asks for comes after the look that had been begun before."""
    begun, go_on = anyio.Event(), anyio.Event()

    async def wait() -> None:
        begun.set()
        await go_on.wait()

    async with client, client.connect("/echo"), looking(client) as page:
        meanwhile(wait)
        await client.advance(1.0)
        with anyio.fail_after(PATIENCE):
            await begun.wait()
            await page.socket.send({"type": "find", "text": "nobody", "id": 1})
            await anyio.wait_all_tasks_blocked()
            go_on.set()
            first = await page.socket.receive_json()
            second = await page.socket.receive_json()

    assert (first["found"], second["reply"]["found"]) == (1, 0)


async def test_the_most_remarkable_are_told(
    app: App, client: TestClient, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many connections those are told for whom most waits, then the latest."""
    monkeypatch.setattr(survey, "_ROWS", 2)
    async with client, AsyncExitStack() as stack:
        rooms: list[Any] = [
            await stack.enter_async_context(client.connect(f"/room/{name}"))
            for name in ("red", "green", "blue", "pink")
        ]
        for name in ("green", "red"):
            await stack.enter_async_context(client.connect(f"/room/{name}"))
        await rooms[2].stall(buffer=0)
        for _ in range(3):
            await app.groups.publish(room("blue"), "x" * 100)
        found = look()
        await found.take("")
        await rooms[2].resume()

    assert (found.connections, found.groups) == (6, 4)
    assert [each.path for each in found.rows] == ["/room/blue", "/room/red"]
    assert found.rows[0].waiting >= 2
    assert [each.name for each in found.group_rows] == ["room.red", "room.green"]
