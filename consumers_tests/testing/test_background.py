"""A task group that belongs to no task of the test's; fixtures of every plugin."""

import threading

import anyio
import pytest

from consumers.testing.background import Background

pytest_plugins = ["pytester"]

FIXTURES = '''
import anyio
import pytest
import pytest_asyncio

from consumers.testing import Closed, Refused, TestClient
from consumers_tests.testing.apps import echo, silent


@{mark}
async def client():
    async with TestClient(echo) as client:
        yield client


@{mark}
async def ws(client):
    async with client.connect("/") as ws:
        yield ws


{test_mark}
async def test_fixtures(client, ws):
    """The client and a connection come from fixtures."""
    await ws.send("hello")
    assert await ws.receive() == "hello"
    await ws.receive_nothing()
    async with client.connect("/") as other:
        await other.send("too")
        assert await other.receive() == "too"


{test_mark}
async def test_a_deadline(client, ws):
    """A wait that ends by the deadline leaves all in order."""
    client.deadline = 0.01
    with pytest.raises(TimeoutError):
        await ws.receive()
    client.deadline = 5


{test_mark}
async def test_inside(client):
    """A client can be opened inside of the test, too."""
    async with TestClient(silent) as inner, inner.connect("/") as ws:
        with anyio.move_on_after(0.01):
            await ws.receive()
'''


async def test_it_is_stopped_by_another_task_than_started_it() -> None:
    """A group started in one task and stopped in another cancels its tasks."""
    background = Background()
    cancelled = []

    async def work() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.append(True)

    async def start() -> None:
        await background.start()
        background.start_soon(work)

    async with anyio.create_task_group() as group:
        group.start_soon(start)
    await anyio.wait_all_tasks_blocked()
    assert await background.stop(5)
    assert cancelled == [True]
    with pytest.raises(RuntimeError, match="got one outside of its `async with`"):
        background.start_soon(work)


def thread_names() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


async def test_nothing_is_left_behind() -> None:
    """After `stop()`, or a start that was cancelled, task and thread end."""
    for cancelled in (False, True):
        background = Background()
        with anyio.CancelScope() as scope:
            if cancelled:
                scope.cancel()
            await background.start()
            assert await background.stop(5)
    with anyio.fail_after(5):
        while thread_names() & {"consumers.testing"}:  # noqa: ASYNC110 - no event tells
            await anyio.sleep(0.001)


def test_a_loop_that_ends_first_takes_it_along() -> None:
    """A client that is never exited keeps neither the loop nor the process running."""

    async def forget() -> None:
        await Background().start()

    anyio.run(forget)
    anyio.run(forget, backend="trio")


@pytest.mark.parametrize("plugin", ["pytest-asyncio strict", "pytest-asyncio", "anyio"])
def test_fixtures_of_each_plugin(
    plugin: str, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fixtures may hold client and connection, though torn down in another task."""
    mark, test_mark, mode = {
        "pytest-asyncio strict": (
            "pytest_asyncio.fixture",
            "@pytest.mark.asyncio",
            "asyncio_mode = strict",
        ),
        "pytest-asyncio": ("pytest.fixture", "", "asyncio_mode = auto"),
        "anyio": ("pytest.fixture", "", "anyio_mode = auto"),
    }[plugin]
    pytester.makepyfile(FIXTURES.format(mark=mark, test_mark=test_mark))
    pytester.makeini(
        f"[pytest]\n{mode}\nasyncio_default_fixture_loop_scope = function\n"
        "filterwarnings = error\n"
    )

    # Others take seconds to load.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    plugins = ("-p", "anyio.pytest_plugin", "-p", "pytest_asyncio.plugin")
    result = pytester.runpytest_inprocess("-q", "-p", "no:cacheprovider", *plugins)

    passed = 6 if plugin == "anyio" else 3  # anyio runs each on asyncio and on trio
    result.assert_outcomes(passed=passed)
