"""What uvicorn and an application get from our protocol: in virtual time."""

from __future__ import annotations

import zlib
from typing import Any, ClassVar

import anyio
import pytest
from uvicorn.server import ServerState

from consumers.server.asyncio_websocket import PeerGone
from consumers.server.frames import (
    DeflateSettings,
    Refusal,
    check_handshake,
    close_frame,
    text_frame,
)
from consumers.server.uvicorn import Protocol
from consumers_tests.excesses import Excesses
from consumers_tests.server.driven import (
    TEXT,
    VIRTUAL,
    Driven,
    closing,
    disconnect,
    opened,
    received,
    said,
    turns,
)
from consumers_tests.server.frames.clients import client_frame
from consumers_tests.server.live import handshake

DEFLATE = "permessage-deflate; server_no_context_takeover"
SPOKEN = "x" * 1000
PINGED = b"\x89\x00"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return VIRTUAL


# -- the handshake --------------------------------------------------------------------


async def test_the_scope_is_what_asgi_says() -> None:
    """Each key has what the request, the transport and the settings say."""
    headers = {"Sec_WebSocket_Protocol": "a, b", "X_Own": "caf\xe9"}
    request = handshake("/a%20b/c?x=%20y", **headers)
    driven = Driven(request=request, root_path="/root")
    await driven.begin()

    extensions = driven.scope.pop("extensions")
    assert driven.scope == {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "ws",
        "server": ("192.0.2.9", 80),
        "client": ("192.0.2.1", 5000),
        "root_path": "/root",
        "path": "/root/a b/c",
        "raw_path": b"/root/a%20b/c",
        "query_string": b"x=%20y",
        "headers": [
            (b"host", b"localhost"),
            (b"upgrade", b"websocket"),
            (b"connection", b"Upgrade"),
            (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
            (b"sec-websocket-version", b"13"),
            (b"sec-websocket-protocol", b"a, b"),
            (b"x-own", b"caf\xe9"),
        ],
        "subprotocols": ["a", "b"],
        "state": {"shared": "from the lifespan"},
    }
    assert extensions == {
        "websocket.http.response": {},
        "consumers.frames": driven.protocol,
    }


async def test_each_connection_has_a_state_of_its_own() -> None:
    """What one connection puts into `state` is no other's."""
    shared = {"shared": "from the lifespan"}
    one, two = Driven(app_state=shared), Driven(app_state=shared)
    for driven in (one, two):
        await driven.begin()
    one.scope["state"]["mine"] = 1

    assert two.scope["state"] == shared == {"shared": "from the lifespan"}


async def test_tls_is_told_by_the_scheme() -> None:
    """A transport with TLS makes it `wss`."""
    driven = Driven(extra={"sslcontext": object()})
    await driven.begin()

    assert driven.scope["scheme"] == "wss"


async def test_the_servers_headers_are_in_each_answer() -> None:
    """Those that uvicorn is told to send are sent with the accept."""
    state = ServerState()
    state.default_headers = [(b"server", b"uvicorn")]
    driven = Driven(state=state)

    answer = await driven.accept(subprotocol="a", headers=[(b"x-own", b"1")])

    assert b"\r\nsec-websocket-protocol: a\r\nserver: uvicorn\r\nx-own: 1\r\n" in answer


@pytest.mark.parametrize(
    "request_line",
    [
        handshake().replace(b"GET", b"POST"),
        handshake(Sec_WebSocket_Key="short"),
        handshake(Sec_WebSocket_Version="8"),
    ],
)
async def test_what_is_no_handshake_is_refused(request_line: bytes) -> None:
    """The answer says why, and no application is run for it."""
    driven = Driven(request=request_line)
    await turns()

    refusal = check_handshake(*_parsed(request_line))
    assert isinstance(refusal, Refusal)
    written = driven.written
    assert written.startswith(f"HTTP/1.1 {refusal.status} ".encode())
    assert written.endswith(b"\r\n\r\n" + refusal.body)
    assert driven.transport.lost
    assert not driven.state.connections
    assert not driven.state.tasks


def _parsed(request: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    first, *lines = request[:-4].split(b"\r\n")
    pairs = [line.split(b": ", 1) for line in lines]
    return first.split()[0], [(name.lower(), value) for name, value in pairs]


@pytest.mark.parametrize("path", ["/caf\xe9", "/?q=caf\xe9"])
async def test_a_target_that_is_not_ascii_is_refused(path: str) -> None:
    """No scope could be made of it; uvicorn's books are in order afterwards."""
    driven = Driven(request=handshake(path))
    await turns()

    assert driven.written.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert driven.transport.lost
    assert not driven.state.connections


async def test_connections_beyond_the_limit_are_refused(excesses: Excesses) -> None:
    """With limit_concurrency the next one gets a 503, until one has left."""
    first = await opened(limit_concurrency=1)
    refused = Driven(config=first.config, state=first.state)

    assert refused.written.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert excesses.counted == {"limit_concurrency": 1}
    assert excesses.line == "refused with 503: limit_concurrency allows 1"
    first.transport.peer_vanishes()
    await first.end()
    third = Driven(config=first.config, state=first.state)
    assert third.transport.writes == []


# -- the server ends ------------------------------------------------------------------


async def test_a_stop_before_the_answer_is_a_503() -> None:
    """The application learns the end, and that it can't answer any more."""
    driven = Driven()
    await driven.begin()
    driven.protocol.shutdown()

    assert driven.written.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert await driven.receive() == disconnect(1006)
    with pytest.raises(PeerGone):
        await driven.send({"type": "websocket.accept"})


async def test_a_stop_in_a_denial_ends_it() -> None:
    """Where its head is out already there is nothing to be said."""
    driven = Driven()
    await driven.begin()
    prefix = "websocket.http.response"
    await driven.send({"type": f"{prefix}.start", "status": 400})
    await driven.send({"type": f"{prefix}.body", "body": b"ha", "more_body": True})
    driven.protocol.shutdown()

    assert driven.written.endswith(b"\r\n\r\nha")
    assert driven.transport.is_closing()


async def test_a_stop_closes_with_1012() -> None:
    """Both sides learn it; what came before is received before."""
    driven = await opened()
    driven.says(said("a"), said("b"), said("c"))
    assert await driven.receive() == received("a")
    driven.protocol.shutdown()
    driven.says(said("too late"))

    assert driven.written == close_frame(1012)
    assert [await driven.receive() for _ in range(3)] == [
        received("b"),
        received("c"),
        disconnect(1012),
    ]
    assert not driven.transport.is_closing()
    driven.says(closing(1012))
    assert driven.transport.is_closing()


async def test_a_stop_while_closing_waits_for_the_client() -> None:
    """A close that is under way takes its course."""
    driven = await opened()
    await driven.close(4001)
    driven.protocol.shutdown()

    assert driven.written == close_frame(4001)
    assert not driven.transport.is_closing()


async def test_a_stop_after_a_failure_ends_the_connection() -> None:
    """Nobody waits for a client that broke the protocol."""
    driven = await opened()
    driven.says(said(b"\xff"))
    assert not driven.transport.is_closing()
    driven.protocol.shutdown()

    assert driven.transport.is_closing()


# -- settings -------------------------------------------------------------------------


async def test_the_size_of_messages_is_limited() -> None:
    """A message of more than ws_max_size is refused with 1009."""
    driven = await opened(ws_max_size=1000)
    driven.says(said(SPOKEN))
    assert await driven.receive() == received(SPOKEN)

    driven.says(said(SPOKEN + "x"))

    assert (await driven.receive())["code"] == 1009


async def test_compression_is_used_both_ways() -> None:
    """Where both want it large messages are compressed, small ones are not."""
    request = handshake(Sec_WebSocket_Extensions=DEFLATE)
    driven = Driven(request=request, ws_per_message_deflate=True)
    assert DEFLATE.encode() in await driven.accept()
    await driven.text(SPOKEN)
    await driven.text("small")

    compressed = driven.written.removesuffix(text_frame(b"small"))
    assert compressed[0] == TEXT | 0x40
    inflated = zlib.decompressobj(-15).decompress(compressed[2:] + b"\0\0\xff\xff")
    assert inflated.decode() == SPOKEN
    driven.says(client_frame(TEXT | 0x40, compressed[2:]))
    assert await driven.receive() == received(SPOKEN)


async def test_compression_is_off_by_the_setting() -> None:
    """Without it the client's offer is not taken up."""
    request = handshake(Sec_WebSocket_Extensions=DEFLATE)
    driven = Driven(request=request, ws_per_message_deflate=False)

    assert b"extensions" not in await driven.accept()
    assert driven.protocol.shares == ()


class Sharing(Protocol):
    """A protocol with settings of its own."""

    deflate: ClassVar = DeflateSettings(server_no_context_takeover=True, threshold=10)


async def test_compressed_frames_are_shared_without_context() -> None:
    """A subclass says how to compress; then one frame serves all who agreed."""
    request = handshake(Sec_WebSocket_Extensions="permessage-deflate")
    first = Driven(request=request, kind=Sharing, ws_per_message_deflate=True)
    second = Driven(request=request, kind=Sharing, ws_per_message_deflate=True)
    usual = Driven(request=request, ws_per_message_deflate=True)
    for driven in (first, second, usual):
        await driven.accept()

    assert first.protocol.shares == second.protocol.shares
    assert first.protocol.shares not in ((), None)
    assert usual.protocol.shares is None
    event = {"type": "websocket.send", "text": SPOKEN}
    frame = first.protocol.frame(event)
    assert frame == second.protocol.frame(event)
    assert len(frame) < 50


async def test_a_loop_has_timers_of_its_own() -> None:
    """A config that is used in two loops, one after the other, pings in both."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await anyio.sleep_forever()

    first = Driven(app=app, ws_ping_interval=10.0)
    await anyio.sleep(10.1)
    assert first.written.endswith(PINGED)

    async def again() -> bytes:
        second = Driven(config=first.config)
        await anyio.sleep(10.1)
        return second.written

    def in_another_loop() -> bytes:
        return anyio.run(again, backend="asyncio", backend_options=VIRTUAL[1])

    assert (await anyio.to_thread.run_sync(in_another_loop)).endswith(PINGED)
