"""Which event loop a serving process runs."""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import Any

import pytest

from consumers.errors import ConfigurationError
from consumers.server.loops import _loop_factory, serve_process
from consumers.server.options import Backend, Options
from consumers.server.sockets import bind
from consumers_tests.conftest import without_uvloop


def test_the_standard_loop() -> None:
    """The loop of asyncio itself needs no factory."""
    assert _loop_factory("asyncio") is None


@without_uvloop
@pytest.mark.parametrize("name", ["auto", "uvloop"])
def test_uvloop_where_it_is_installed(name: str) -> None:
    """With auto the choice is uvloop where it is installed."""
    import uvloop

    assert _loop_factory(name) is uvloop.new_event_loop


def test_uvloop_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without uvloop auto takes asyncio's own loop, and uvloop says what to install."""
    monkeypatch.setitem(sys.modules, "uvloop", None)

    assert _loop_factory("auto") is None
    with pytest.raises(ConfigurationError, match=r"'anyio-consumers\[uvloop\]'"):
        _loop_factory("uvloop")


def test_a_loop_of_the_users() -> None:
    """Any function that makes an event loop can be named."""
    assert _loop_factory("asyncio:new_event_loop") is asyncio.new_event_loop


@pytest.mark.parametrize("name", ["no_such_module:x", "asyncio:no_such_name"])
def test_a_loop_that_is_not_there(name: str) -> None:
    """A loop that can't be imported is told at start-up."""
    with pytest.raises(ConfigurationError, match="loop must name a function"):
        _loop_factory(name)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("short", [True, False])
def test_collections_are_kept_short(short: bool, backend: Backend) -> None:
    """While a process serves, what was there before is out of the collector's sight."""
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(gc.get_freeze_count())
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "seen"})

    options = Options(port=0, backend=backend, short_collections=short)
    with pytest.raises(ConfigurationError, match="seen"):
        serve_process(app, options, [bind(options)])

    (frozen,) = seen
    assert bool(frozen) is short
    assert gc.get_freeze_count() == 0
