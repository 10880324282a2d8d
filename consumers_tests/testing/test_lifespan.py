"""The lifespan of an application under test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from consumers.clock import sleep
from consumers.testing import TestClient

from .apps import echo


async def test_the_lifespan_spans_the_client() -> None:
    """Startup is done when the client is entered, shutdown when it is left."""
    events = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        events.append("start")
        yield
        events.append("stop")

    async with TestClient(Starlette(lifespan=lifespan)):
        events.append("inside")

    assert events == ["start", "inside", "stop"]


@pytest.mark.parametrize("how", ["raises", "returns"])
async def test_an_application_without_lifespan_is_served(how: str) -> None:
    """One that raises or returns on the lifespan scope has none."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await echo(scope, receive, send)
        elif how == "raises":
            raise NotImplementedError

    async with TestClient(app) as client, client.connect("/") as ws:
        await ws.send("x")
        assert await ws.receive() == "x"


async def test_what_is_no_exception_does_not_pass_for_a_missing_lifespan() -> None:
    """`SystemExit` and the like, raised on the lifespan scope, are raised."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        async with TestClient(app):
            pass


async def test_a_failed_startup_raises_what_it_failed_by() -> None:
    """The exception of the application's lifespan is raised by the client's entry."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        raise ZeroDivisionError
        yield

    with pytest.raises(ZeroDivisionError):
        async with TestClient(Starlette(lifespan=lifespan)):
            raise AssertionError("not started")


async def test_a_failure_that_is_only_reported() -> None:
    """`startup.failed` and `shutdown.failed` without an exception show the message."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "lifespan"
        await receive()
        if failing == "shutdown":
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": f"lifespan.{failing}.failed", "message": "no database"})

    for failing, what in [("startup", "start"), ("shutdown", "stop")]:  # noqa: B007
        with pytest.raises(RuntimeError, match=f"failed to {what}: no database"):
            async with TestClient(app):
                pass


async def test_an_exception_while_stopping_is_raised() -> None:
    """What the end of the lifespan raises is raised by the client's exit."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async with TestClient(Starlette(lifespan=lifespan)):
            pass
    with pytest.raises(LookupError) as caught:
        async with TestClient(Starlette(lifespan=lifespan)):
            raise LookupError
    assert "ZeroDivisionError" in caught.value.__notes__[0]


async def test_a_lifespan_that_breaks_is_told() -> None:
    """What a task of the lifespan raises meanwhile is raised by the client's exit."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async def broken() -> None:
            raise ZeroDivisionError

        async with anyio.create_task_group() as group:
            group.start_soon(broken)
            yield

    with pytest.raises(ExceptionGroup) as caught:
        async with TestClient(Starlette(lifespan=lifespan)) as client:
            await client.settle()
    assert caught.group_contains(ZeroDivisionError)


async def test_start_and_stop_have_the_deadline() -> None:
    """A lifespan that hangs is told, with the place, and is cancelled."""
    cancelled: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        try:
            if hang == "start":
                await sleep(60)
            yield
            await anyio.sleep_forever()
        finally:
            cancelled.append(hang)

    for hang, place in (("start", r"await sleep\(60\)"), ("stop", "sleep_forever")):
        expected = rf"(?s)the application to {hang} within 0.02 s.*{place}"
        client = TestClient(Starlette(lifespan=lifespan))
        client.deadline = 0.02 if hang == "start" else 5
        with pytest.raises(TimeoutError, match=expected):
            async with client:
                client.deadline = 0.02
    assert cancelled == ["start", "stop"]


async def test_the_lifespan_ends_although_the_test_was_cancelled() -> None:
    """A test that ran out of time still stops the application properly."""
    stopped = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await anyio.lowlevel.checkpoint()
        stopped.append(True)

    with anyio.CancelScope() as scope:
        async with TestClient(Starlette(lifespan=lifespan)):
            scope.cancel()
            await anyio.sleep_forever()

    assert stopped == [True]


async def test_timers_of_the_lifespan_go_by_the_client_s_time() -> None:
    """Tasks of the lifespan wait for `advance()` like all others."""
    ticks = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async def tick() -> None:
            while True:
                await sleep(10)
                ticks.append(True)

        async with anyio.create_task_group() as group:
            group.start_soon(tick)
            yield
            group.cancel_scope.cancel()

    async with TestClient(Starlette(lifespan=lifespan)) as client:
        await client.advance(35)

    assert len(ticks) == 3
