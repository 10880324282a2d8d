"""The fixtures for users' tests."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
import websockets.sync.client

from consumers.testing import LiveServer

from .apps import echo

pytest_plugins = ["pytester", "consumers.testing.fixtures"]


def test_live_server_starts_servers(live_server: Callable[..., LiveServer]) -> None:
    """The fixture serves any number of applications on ports of their own."""
    quiet: dict[str, Any] = {"access_log": False, "log_level": "critical"}
    servers = [live_server(echo, **quiet), live_server(echo, backend="trio", **quiet)]
    for server in servers:
        with websockets.sync.client.connect(server.url(), open_timeout=5) as ws:
            ws.send("hello")
            assert ws.recv(timeout=5) == "hello"

    assert len({server.url() for server in servers}) == 2


def test_live_server_stops_at_the_end_of_the_test(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No server outlives the test that started it."""
    pytester.makepyfile(
        """
        from consumers_tests.testing.apps import echo

        pytest_plugins = ["consumers.testing.fixtures"]

        def test_it(live_server):
            assert live_server(echo, log_level="critical").url("/x").endswith("/x")
        """
    )
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # they load slowly
    before = set(threading.enumerate())  # servers that other tests share
    pytester.runpytest_inprocess("-q", "-p", "no:cacheprovider").assert_outcomes(
        passed=1
    )
    left = set(threading.enumerate()) - before
    names = [thread.name for thread in left if thread.is_alive()]

    assert "consumers.testing.live" not in names
