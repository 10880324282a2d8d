"""What an application on our protocol may do, and what is logged: in virtual time."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from consumers.errors import mark_logged
from consumers.server.asyncio_websocket import PeerGone
from consumers.server.frames import close_frame
from consumers_tests.server.driven import VIRTUAL, Driven, closing, opened, turns
from consumers_tests.server.live import handshake


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return VIRTUAL


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    # The server's: what asyncio says may be about another test's tasks.
    return [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("uvicorn")
    ]


async def test_an_application_that_returns_closes_with_1000() -> None:
    """A connection that it leaves open is closed, and uvicorn's books are in order."""
    driven = await opened()
    assert len(driven.state.tasks) == len(driven.state.connections) == 1

    await driven.end()
    assert driven.written == close_frame(1000)
    assert not driven.state.tasks
    driven.says(closing(1000))
    await turns()
    assert not driven.state.connections


async def test_an_application_that_raises_closes_with_1011(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The client gets no text; the log has the exception, as uvicorn's would."""
    driven = await opened()

    await driven.end(ZeroDivisionError("a secret"))

    assert driven.written == close_frame(1011)
    assert messages(caplog) == ["Exception in ASGI application\n"]
    assert caplog.records[0].name == "uvicorn.error"
    assert caplog.records[0].exc_info is not None


async def test_what_an_application_has_logged_is_not_logged_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A consumer's exception is in the log when it comes to the server."""
    driven, error = await opened(), ZeroDivisionError()
    mark_logged(error)

    await driven.end(error)

    assert driven.written == close_frame(1011)
    assert messages(caplog) == []


async def test_an_application_that_is_cancelled_closes_with_1012() -> None:
    """The server ends, says its close frame."""
    driven = await opened()
    [task] = driven.state.tasks

    task.cancel()
    await turns()

    assert driven.cancelled
    assert task.cancelled()
    assert driven.written == close_frame(1012)


async def test_a_cancellation_that_nobody_asked_for_is_a_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An application that raises it by itself has failed like any other."""
    driven = await opened()

    await driven.end(asyncio.CancelledError())

    assert driven.written == close_frame(1011)
    assert messages(caplog) == ["Exception in ASGI application\n"]


async def test_sending_to_a_client_that_is_gone_is_no_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An application may end with that error; that of another's is its fault."""
    driven, other = await opened(), await opened()
    driven.transport.peer_vanishes()
    await turns()
    with pytest.raises(PeerGone) as caught:
        await driven.text("x")

    await driven.end(caught.value)
    assert messages(caplog) == []

    await other.end(caught.value)
    assert messages(caplog) == ["Exception in ASGI application\n"]
    assert other.written == close_frame(1011)


async def test_an_application_that_returns_something_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A value where there should be none is a mistake, that harms nobody."""

    async def app(scope: Any, receive: Any, send: Any) -> int:
        await send({"type": "websocket.accept"})
        return 42

    driven = Driven(app=app)
    await turns()

    assert driven.written.endswith(close_frame(1000))
    assert "ASGI callable should return None, but returned '42'." in messages(caplog)


@pytest.mark.parametrize("denies", [False, True], ids=["silent", "denying"])
@pytest.mark.parametrize("error", [None, ZeroDivisionError()], ids=["ends", "raises"])
async def test_an_application_that_does_not_answer_is_a_500(
    denies: bool, error: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Whether it returns or raises: the client gets an answer, and the log a line."""
    driven = Driven()
    await driven.begin()
    if denies:
        start = {"type": "websocket.http.response.start", "status": 400}
        await driven.send(start)
    await driven.end(error)

    assert driven.written.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert driven.transport.lost
    assert messages(caplog)[-1:] == [
        "Exception in ASGI application\n"
        if error
        else "ASGI callable returned without completing handshake."
    ]


async def test_a_denial_that_breaks_off_ends_the_connection() -> None:
    """What was sent of it can't be taken back: it ends where it is."""
    driven = Driven()
    await driven.begin()
    prefix = "websocket.http.response"
    await driven.send({"type": f"{prefix}.start", "status": 400})
    await driven.send({"type": f"{prefix}.body", "body": b"ha", "more_body": True})
    await driven.end(ZeroDivisionError())

    assert driven.written.endswith(b"\r\n\r\nha")
    assert driven.transport.lost


# -- the log --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "outcome"),
    [
        ({"type": "websocket.accept"}, "[accepted]"),
        ({"type": "websocket.close"}, "403"),
        ({"type": "websocket.http.response.start", "status": 429}, "429"),
    ],
)
async def test_each_answer_is_logged_once(
    event: dict[str, Any], outcome: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The line is uvicorn's own: who, what, and what came of it."""
    caplog.set_level(logging.INFO, "uvicorn.error")
    driven = Driven(request=handshake("/a%20b?x=1"))
    await driven.begin()
    await driven.send(event)
    await driven.end()

    said = [line for line in messages(caplog) if "WebSocket" in line]
    assert said == [f'192.0.2.1:5000 - "WebSocket /a%20b?x=1" {outcome}']


async def test_the_access_log_can_be_off(caplog: pytest.LogCaptureFixture) -> None:
    """Without it handshakes are not logged, nor where the level comes too late."""
    caplog.set_level(logging.INFO, "uvicorn.error")
    await opened(access_log=False)
    caplog.set_level(logging.WARNING, "uvicorn.error")
    late = Driven()
    await late.begin()
    caplog.set_level(logging.INFO, "uvicorn.error")
    await late.send({"type": "websocket.accept"})

    assert messages(caplog) == []
