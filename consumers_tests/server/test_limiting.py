"""What a connection gets that is one too many."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from consumers.server.limiting import limited


@pytest.mark.parametrize(
    ("scope", "sent"),
    [
        ({"type": "http"}, ["http.response.start", "http.response.body"]),
        (
            {"type": "websocket", "extensions": {"websocket.http.response": {}}},
            ["websocket.http.response.start", "websocket.http.response.body"],
        ),
        ({"type": "websocket"}, ["websocket.close"]),
    ],
)
async def test_one_too_many_is_refused(scope: Any, sent: list[str]) -> None:
    """A connection over the limit is refused with 503, or closed where that's all."""
    answers: list[Any] = []

    async def send(message: Any) -> None:
        answers.append(message)

    async def wait(scope: Any, receive: Any, send: Any) -> None:
        await anyio.sleep_forever()

    async def first() -> None:
        await app({"type": "websocket"}, None, None)

    app = limited(wait, 1)
    async with anyio.create_task_group() as group:
        group.start_soon(first)
        await anyio.wait_all_tasks_blocked()
        await app(scope, None, send)
        group.cancel_scope.cancel()

    assert [answer["type"] for answer in answers] == sent
    assert answers[0].get("status", 503) == 503


async def test_the_lifespan_and_later_connections_pass() -> None:
    """The lifespan takes no place, and a connection that ended gives its own back."""
    passed = []

    async def record(scope: Any, receive: Any, send: Any) -> None:
        passed.append(scope["type"])
        if scope["type"] == "lifespan":
            await app({"type": "http"}, receive, send)
            await app({"type": "websocket"}, receive, send)

    app = limited(record, 1)
    await app({"type": "lifespan"}, None, None)

    assert passed == ["lifespan", "http", "websocket"]
