"""Clients that vanish and servers that stop."""

from __future__ import annotations

import time
from contextlib import ExitStack

import pytest

from .live import PATIENCE, Live, closed, new_key, serve, vanish

SOON = 5
"""Seconds: many times the 0.1 that are promised of a machine that is not busy."""


@pytest.mark.parametrize("reset", [False, True])
def test_a_client_that_vanishes_during_a_hook_is_noticed(
    live: Live, reset: bool
) -> None:
    """Work beside a hook that is not done is cancelled as soon as the client leaves."""
    key = new_key()
    with live.connect(f"/busy/{key}") as client:
        client.send("work")
        assert live.told(key) == "handling"
        begun = time.monotonic()
        vanish(client, reset)

        assert live.told(key) == "cancelled"
        assert time.monotonic() - begun < SOON
        assert live.told(key)[0] in (1005, 1006)


def test_a_client_that_closes_during_a_hook_is_noticed(live: Live) -> None:
    """A close frame too is seen while a hook runs, and its code is not lost."""
    key = new_key()
    with live.connect(f"/busy/{key}") as client:
        client.send("work")
        assert live.told(key) == "handling"
        begun = time.monotonic()
        client.close(4001, "enough")

        assert live.told(key) == "cancelled"
        assert time.monotonic() - begun < SOON
        assert live.told(key) == (4001, "enough")


def test_a_stop_closes_with_1012(kind: str) -> None:
    """Every client learns 1012 and every `on_disconnect` runs, in busy hooks too."""
    paths = ["/class/echo/", "/function/echo/", "/push-only/", "/busy/"]
    keys = [new_key() for _ in paths]
    with ExitStack() as stack:
        with serve(kind) as live:
            clients = [
                stack.enter_context(live.connect(path + key))
                for path, key in zip(paths, keys, strict=True)
            ]
            for client in clients[:2]:
                client.send("here")
                assert client.recv(timeout=PATIENCE) == "here"
            assert clients[2].recv(timeout=PATIENCE) == "hello"
            clients[3].send("work")
            assert live.told(keys[3]) == "handling"

        assert [closed(client)[0] for client in clients] == [1012] * 4
        assert live.told(keys[3]) == "cancelled"
        assert [live.told(key)[0] for key in keys] == [1012] * 4
