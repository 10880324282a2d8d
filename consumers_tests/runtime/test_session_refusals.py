"""Refused handshakes: who offers `consumers.v1` reads why, and whether to return."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from starlette.exceptions import HTTPException

from consumers import (
    App,
    Groups,
    LayerUnavailable,
    Limits,
    NotAllowed,
    WebSocketConsumer,
    WebSocketRoute,
)
from consumers.testing import ClientConnection, Refused, ServerStyle, TestClient
from consumers_tests.doubles import both_servers
from consumers_tests.framed import JSON, MSGPACK, Peer


class Reject(WebSocketConsumer):
    async def on_handshake(self, status: int = 503, wait: str = "5") -> None:
        await self.reject(status, {"why": "full"}, {"Retry-After": wait})


class Raise(WebSocketConsumer):
    async def on_handshake(self) -> None:
        raise HTTPException(418, "because", {"x-why": "a secret of proxies"})


class Unallowed(WebSocketConsumer):
    async def on_connect(self) -> None: ...

    async def on_handshake(self) -> None:
        raise NotAllowed("a secret")


class Fail(WebSocketConsumer):
    async def on_handshake(self) -> None:
        raise ZeroDivisionError("a secret")


class Slow(WebSocketConsumer):
    async def on_handshake(self) -> None:
        await anyio.sleep_forever()


class Away(WebSocketConsumer):
    async def on_handshake(self) -> None:
        raise LayerUnavailable("redis://a.secret.host is away")


class Unaccepting(WebSocketConsumer):
    auto_accept = False

    async def on_connect(self) -> None: ...


class Closing(WebSocketConsumer):
    async def on_handshake(self) -> None:
        await self.close(4000)


class Parameters(WebSocketConsumer):
    async def on_connect(self, size: int, limit: float = 1.0) -> None: ...


class Raw(WebSocketConsumer):
    value_type = "bytes"

    async def on_handshake(self) -> None:
        await self.reject(429)


async def authenticate(connection: Any) -> None:
    if connection.token == "wrong":
        raise HTTPException(401, "who are you?")


def application() -> App:
    return App(
        [
            WebSocketRoute(f"/{kind.__name__.lower()}", kind)
            for kind in (
                Reject,
                Raise,
                Unallowed,
                Fail,
                Slow,
                Away,
                Unaccepting,
                Closing,
                Raw,
            )
        ]
        + [WebSocketRoute("/parameters/{size}", Parameters)],
        authenticate=authenticate,
        limits=Limits(handshake_timeout=20.0),
        groups=Groups(),
    )


async def refusal(ws: ClientConnection) -> dict[str, Any]:
    """Return the goodbye without its type, and check that its code follows."""
    goodbye, code = await Peer(ws).end()
    assert goodbye.pop("type") == "goodbye"
    assert goodbye["code"] == code
    return goodbye


CASES: list[Any] = [
    ("/nowhere", {"code": 4404, "reconnect": False}),
    (
        "/reject",
        {"code": 4503, "reconnect": True, "after": 5, "detail": {"why": "full"}},
    ),
    (
        "/reject?status=403",
        {"code": 4403, "reconnect": False, "after": 5, "detail": {"why": "full"}},
    ),
    (
        "/reject?wait=Fri, 31 Dec 2027 23:59:59 GMT",
        {"code": 4503, "reconnect": True, "detail": {"why": "full"}},
    ),
    ("/raise", {"code": 4418, "reconnect": False, "detail": "because"}),
    ("/unallowed", {"code": 4403, "reconnect": False}),
    ("/fail", {"code": 4500, "reconnect": True}),
    ("/away", {"code": 4503, "reconnect": True}),
    ("/unaccepting", {"code": 4403, "reconnect": False}),
    ("/closing", {"code": 4403, "reconnect": False}),
    (
        "/reject?token=wrong",
        {"code": 4401, "reconnect": False, "detail": "who are you?"},
    ),
]


@both_servers
@pytest.mark.parametrize(("path", "goodbye"), CASES, ids=[case[0] for case in CASES])
@pytest.mark.parametrize("protocol", [JSON, MSGPACK])
async def test_the_reason_is_a_frame(
    path: str, goodbye: dict[str, Any], protocol: str, server: ServerStyle
) -> None:
    """It is accepted, told why, and closed with 4000 + status; no welcome comes."""
    async with (
        TestClient(application(), raise_server_exceptions=False) as client,
        client.connect(path, subprotocols=["x", protocol], server=server) as ws,
    ):
        assert ws.accepted_subprotocol == protocol
        assert await refusal(ws) == goodbye


async def test_wrong_parameters_are_all_named() -> None:
    """Under `errors`, as in the answer to a plain client."""
    async with (
        TestClient(application()) as client,
        client.connect("/parameters/x?limit=y", subprotocols=[JSON]) as ws,
    ):
        goodbye = await refusal(ws)

    assert (goodbye["code"], goodbye["reconnect"]) == (4400, False)
    assert sorted(goodbye["detail"]["errors"]) == ["limit", "size"]


async def test_a_handshake_that_takes_too_long_is_refused() -> None:
    """Whoever waits should come back."""
    closed = []

    async with TestClient(application()) as client:

        async def connect() -> None:
            async with client.connect("/slow", subprotocols=[JSON]) as ws:
                closed.append(await refusal(ws))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connect)
            await client.settle()
            await client.advance(20)

    assert closed == [{"code": 4408, "reconnect": True}]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nowhere", 403),
        ("/reject", 503),
        ("/raise", 418),
        ("/fail", 500),
        ("/parameters/x", 400),
        ("/reject?token=wrong", 401),
    ],
)
@pytest.mark.parametrize("offered", [[], ["chat"], ["consumers.v2+json"]], ids=str)
async def test_other_clients_get_a_status(
    path: str, status: int, offered: list[str]
) -> None:
    """As they would without the subprotocol."""
    async with TestClient(application(), raise_server_exceptions=False) as client:
        with pytest.raises(Refused) as caught:
            async with client.connect(path, subprotocols=offered):
                pass

    assert caught.value.status == status


async def test_who_can_not_speak_it_refuses_with_a_status() -> None:
    """A class of bytes agrees on nothing, so that it says nothing in frames."""
    async with TestClient(application()) as client:
        with pytest.raises(Refused) as caught:
            async with client.connect("/raw", subprotocols=[JSON]):
                pass

    assert caught.value.status == 429


@pytest.mark.parametrize("path", ["/nowhere", "/reject"])
async def test_who_leaves_before_it_is_answered_gets_nothing(path: str) -> None:
    """The first event is already the disconnect."""
    sent: list[Any] = []
    scope = {
        "type": "websocket",
        "path": path,
        "query_string": b"",
        "headers": [],
        "subprotocols": [JSON],
    }

    async def receive() -> Any:
        return {"type": "websocket.disconnect", "code": 1006}

    async def send(event: Any) -> None:
        sent.append(event)

    await application()(scope, receive, send)

    assert sent == []
