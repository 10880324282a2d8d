"""The dashboard: one source for all who look, in one process and in several."""

import json
import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from dashboard import machine
from dashboard.app import FIGURES, KEPT, Value, app
from websockets.sync.client import ClientConnection

from consumers.testing import TestClient
from consumers_tests.server.live import PATIENCE, Process, Server
from consumers_tests.valkey import Valkey

LINGER = 5

linux = pytest.mark.skipif(
    not Path("/proc/stat").exists(), reason="only on Linux there is a /proc"
)
pytestmark = linux


@pytest.fixture
async def client() -> AsyncIterator[TestClient]:
    async with TestClient(app) as client:
        yield client
        await client.advance(LINGER + 2)


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Note what the sources say when they begin and end."""
    caplog.set_level(logging.INFO, "dashboard")
    return caplog


def begun_and_ended(told: pytest.LogCaptureFixture) -> tuple[int, int]:
    messages = [record.getMessage() for record in told.records]
    ended = sum(message.endswith("no longer") for message in messages)
    return len(messages) - ended, ended


# -- one process ---------------------------------------------------------------------


async def test_each_figure_is_measured_once_however_many_look(
    client: TestClient, told: pytest.LogCaptureFixture
) -> None:
    """Ten pages get the same values, from one source for each figure."""
    async with AsyncExitStack() as stack:
        pages = [
            await stack.enter_async_context(client.connect("/figures"))
            for _ in range(10)
        ]
        await client.advance(3)

        count = 3 * len(FIGURES)
        seen = [[await page.receive(Value) for _ in range(count)] for page in pages]

        assert begun_and_ended(told) == (len(FIGURES), 0)
        assert all(values == seen[0] for values in seen)
        assert {value.figure for value in seen[0]} == set(FIGURES)
        assert {value.by for value in seen[0]} == {os.getpid()}


async def test_measuring_ends_some_seconds_after_the_last_page(
    client: TestClient, told: pytest.LogCaptureFixture
) -> None:
    """It goes on while somebody may come back, and begins again when somebody does."""
    async with client.connect("/figures"):
        await client.advance(1)
    await client.advance(LINGER - 1)
    assert begun_and_ended(told) == (len(FIGURES), 0)

    async with client.connect("/figures"):
        await client.advance(2 * LINGER)
    assert begun_and_ended(told) == (len(FIGURES), 0)

    await client.advance(LINGER + 1)
    assert begun_and_ended(told) == (len(FIGURES), len(FIGURES))

    async with client.connect("/figures"):
        await client.advance(1)
        assert begun_and_ended(told) == (2 * len(FIGURES), len(FIGURES))


async def test_a_new_page_gets_the_values_before(client: TestClient) -> None:
    """Two minutes at most, and then what comes."""
    async with client.connect("/figures") as first:
        await client.advance(KEPT + 30)
        values = [await first.receive(Value) for _ in range((KEPT + 30) * len(FIGURES))]
        loads = [value for value in values if value.figure == "load"]

        async with client.connect("/figures") as second:
            count = KEPT * len(FIGURES)
            before = [await second.receive(Value) for _ in range(count)]
            assert [v for v in before if v.figure == "load"] == loads[-KEPT:]
            await second.receive_nothing()


async def test_the_page_is_served(client: TestClient) -> None:
    """It has all that it needs in it."""
    response = await client.request("GET", "/")
    assert response.status == 200
    assert b"https://" not in response.body


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_is_a_number(figure: str) -> None:
    """Each meter tells what it measures, again and again; per cent are such."""
    measure = machine.meter(figure)
    values = [measure() for _ in range(3)]

    assert min(values) >= 0
    if figure in ("processors", "memory"):
        assert max(values) <= 100


# -- several -------------------------------------------------------------------------


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Process]]:
    """Start two servers over one Valkey."""
    with Valkey() as valkey:
        monkeypatch.setenv("GROUPS_URL", valkey.url)
        arguments = ("--app-dir", "docs/examples", "--port", "0", "dashboard.app:app")
        with Process(*arguments) as first, Process(*arguments) as second:
            yield [first, second]


def measured_by(page: ClientConnection) -> int:
    """Return which process has measured the next value."""
    value = json.loads(page.recv(PATIENCE))
    assert isinstance(value["by"], int)
    return int(value["by"])


def looking(server: Server) -> ClientConnection:
    return server.connect("/figures")


@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_one_process_measures_for_all_and_another_goes_on(
    processes: list[Process], end: str
) -> None:
    """Pages of both servers get one's values; when that one is gone, the other's."""
    one, other = (process.popen.pid for process in processes)
    servers = [process.server() for process in processes]
    with looking(servers[0]) as first:
        assert {measured_by(first) for _ in FIGURES} == {one}
        with looking(servers[1]) as second:
            # Those before, which it gets at once, and those of a second more.
            assert {measured_by(second) for _ in range(2 * len(FIGURES))} == {one}

            getattr(processes[0].popen, end)()

            later = (measured_by(second) for _ in range(4 * len(FIGURES)))
            assert any(by == other for by in later)
