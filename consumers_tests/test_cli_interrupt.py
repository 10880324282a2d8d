"""Ctrl+C in commands that talk: work is cancelled, and not interrupted anywhere."""

from __future__ import annotations

import os
import signal
import sys

import anyio
import pytest

from consumers.cli.interrupt import run_until_interrupted
from consumers.errors import ConfigurationError


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    """Run each test on both; these call `anyio.run` as the commands do."""
    name: str = request.param
    return name


def test_work_is_cancelled_where_it_waits(backend: str) -> None:
    """What runs when the signal comes runs on to its next wait, and cleans up."""
    steps = []

    async def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            steps.append("went on")
            await anyio.sleep_forever()
        finally:
            steps.append("cleaned up")

    run_until_interrupted(work, backend)

    assert steps == ["went on", "cleaned up"]


def test_an_error_is_raised_as_it_is(backend: str) -> None:
    """Whoever calls need not look for it in a group."""

    async def work() -> None:
        raise LookupError("nothing there")

    with pytest.raises(LookupError, match="nothing there"):
        run_until_interrupted(work, backend)


def test_a_backend_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what brings it, and nothing is done."""
    monkeypatch.setitem(sys.modules, "trio", None)

    with pytest.raises(ConfigurationError, match=r"anyio-consumers\[trio\]"):
        run_until_interrupted(anyio.sleep_forever, "trio")


def test_work_may_end_by_itself(backend: str) -> None:
    """Nobody has to press a key."""
    steps = []

    async def work() -> None:
        steps.append("done")

    run_until_interrupted(work, backend)

    assert steps == ["done"]
