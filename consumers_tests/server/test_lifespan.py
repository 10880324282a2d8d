"""The lifespan, driven by hand: every way it can go."""

from __future__ import annotations

from typing import Any

import anyio
import anyio.lowlevel
import pytest

from consumers.errors import ConfigurationError
from consumers.server.lifespan import beside, lifespan


async def complete(receive: Any, send: Any) -> None:
    """Answer the next event."""
    await send({"type": f"{(await receive())['type']}.complete"})


async def test_a_shutdown_that_hangs_is_cancelled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A shutdown that takes longer than its limit is cancelled and logged."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await complete(receive, send)
        await anyio.sleep_forever()

    with anyio.fail_after(5):
        async with lifespan(app, 0.01):
            pass

    assert "the application's shutdown took more than 0.01 s" in caplog.text


@pytest.mark.parametrize("message", ["disk full", ""])
async def test_a_shutdown_that_fails_is_logged(
    caplog: pytest.LogCaptureFixture, message: str
) -> None:
    """What an application says about its failed shutdown is logged."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await complete(receive, send)
        await receive()
        await send({"type": "lifespan.shutdown.failed", "message": message})

    async with lifespan(app, 5):
        pass

    assert f"the application's shutdown failed: {message}" in caplog.text


async def test_a_lifespan_that_breaks_later_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An exception after the start is logged with its traceback; serving goes on."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await complete(receive, send)
        raise ZeroDivisionError

    async with lifespan(app, 5):
        await anyio.wait_all_tasks_blocked()

    assert "the application's lifespan failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


async def test_a_failed_start_without_a_word() -> None:
    """A failed start without a message is an error all the same."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "lifespan.startup.failed"})
        raise ZeroDivisionError

    with pytest.raises(ConfigurationError, match=r"start-up failed$"):
        async with lifespan(app, 5):
            raise AssertionError("it was served")


async def test_the_shutdown_runs_when_the_block_is_cancelled() -> None:
    """A cancelled server still shuts its application down."""
    events = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await complete(receive, send)
        events.append((await receive())["type"])
        await anyio.lowlevel.checkpoint()
        await send({"type": "lifespan.shutdown.complete"})
        events.append("complete")

    with anyio.CancelScope() as scope:
        async with lifespan(app, 5):
            scope.cancel()
            await anyio.sleep_forever()

    assert events == ["lifespan.shutdown", "complete"]


async def test_a_start_that_is_cancelled_does_not_wait() -> None:
    """A server that is cancelled while it starts cancels the application's start."""
    starting = anyio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        starting.set()
        await anyio.sleep_forever()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:

            async def serve() -> None:
                async with lifespan(app, 60):
                    raise AssertionError("it was served")

            group.start_soon(serve)
            await starting.wait()
            group.cancel_scope.cancel()


async def test_an_exception_of_the_block_is_raised_as_itself() -> None:
    """What the block raises is not wrapped; a group of the user's stays one."""
    with pytest.raises(ZeroDivisionError):
        async with beside():
            raise ZeroDivisionError
    with pytest.raises(ExceptionGroup, match="the user's own"):
        async with beside():
            raise ExceptionGroup("the user's own", [ZeroDivisionError()])


async def test_several_exceptions_stay_a_group() -> None:
    """The block and a task that both fail are both told."""

    async def fail() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise KeyError("task")

    async def fail_twice() -> None:
        async with beside() as group:
            group.start_soon(fail)
            await anyio.wait_all_tasks_blocked()
            raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as caught:
        await fail_twice()

    assert {type(e) for e in caught.value.exceptions} == {KeyError, ZeroDivisionError}
