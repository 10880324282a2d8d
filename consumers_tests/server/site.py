"""An HTTP application for servers to serve, and a client that sends its own bytes."""

from __future__ import annotations

import socket
import threading
from queue import Queue
from typing import Any

import anyio

from consumers_tests.server.live import KINDS, PATIENCE

TRIO = KINDS["trio"]
MIB = 1024 * 1024


class Site:
    """An application whose paths say what it does."""

    def __init__(self) -> None:
        self.told: Queue[Any] = Queue()
        self.go = threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return  # without a lifespan, and without WebSockets
        await getattr(self, scope["path"].split("/")[1])(scope, receive, send)

    async def echo(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            event = await receive()
            body, more = body + event["body"], event["more_body"]
        await answer(send, body)

    async def hello(self, scope: Any, receive: Any, send: Any) -> None:
        await answer(send, b"hello " + scope["query_string"])

    async def stream(self, scope: Any, receive: Any, send: Any) -> None:
        await start(send)
        for piece in (b"one", b"two", b""):
            await body(send, piece, more=bool(piece))

    async def short(self, scope: Any, receive: Any, send: Any) -> None:
        await start(send, (b"content-length", b"10"))
        await body(send, b"hello")

    async def long(self, scope: Any, receive: Any, send: Any) -> None:
        await start(send, (b"content-length", b"3"))
        await body(send, b"hello")

    async def split(self, scope: Any, receive: Any, send: Any) -> None:
        await start(send, (b"x-evil", b"a\r\nset-cookie: b"))

    async def twice(self, scope: Any, receive: Any, send: Any) -> None:
        await answer(send, b"once")
        try:
            await start(send)
        except RuntimeError as error:
            self.told.put(str(error))
        self.told.put((await receive())["type"])

    async def nothing(self, scope: Any, receive: Any, send: Any) -> None:
        pass

    async def fails(self, scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError("a secret")

    async def breaks(self, scope: Any, receive: Any, send: Any) -> None:
        await start(send)
        await body(send, b"half", more=True)
        raise ZeroDivisionError("a secret")

    async def hints(self, scope: Any, receive: Any, send: Any) -> None:
        links = [b"</style.css>; rel=preload"]
        await send({"type": "http.response.early_hint", "links": links})
        await answer(send, b"at last")

    async def waits(self, scope: Any, receive: Any, send: Any) -> None:
        self.told.put("waiting")
        while (event := await receive())["type"] != "http.disconnect":
            pass
        self.told.put(event["type"])
        try:
            await answer(send, b"too late")
        except OSError as error:
            self.told.put(error)

    async def flood(self, scope: Any, receive: Any, send: Any) -> None:
        await start(send)
        sent = 0
        try:
            while True:
                await body(send, b"x" * 65536, more=True)
                sent += 65536
                self.told.put(sent)
        finally:
            self.told.put("ended")

    async def after(self, scope: Any, receive: Any, send: Any) -> None:
        await answer(send, b"first")
        await anyio.to_thread.run_sync(self.go.wait, PATIENCE)
        self.told.put("worked on")


async def start(send: Any, *headers: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": list(headers)})


async def body(send: Any, data: bytes, *, more: bool = False) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": more})


async def answer(send: Any, data: bytes) -> None:
    await start(send, (b"content-length", str(len(data)).encode()))
    await body(send, data)


def request(path: str, *headers: str, method: str = "GET", data: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", *headers, "", ""]
    return "\r\n".join(lines).encode() + data


def response(sock: socket.socket) -> tuple[int, dict[bytes, bytes], bytes]:
    """Read one response: status, headers, and the body as it came."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = sock.recv(1)
        assert piece, f"the connection ended after {head!r}"
        head += piece
    first, *lines = head[:-4].split(b"\r\n")
    headers = dict(line.lower().split(b": ", 1) for line in lines)
    if b"content-length" in headers:
        size = int(headers[b"content-length"])
        data = exactly(sock, size)
    elif headers.get(b"transfer-encoding") == b"chunked":
        data = b""
        while not data.endswith(b"0\r\n\r\n"):
            data += sock.recv(1)
    else:
        data = b""
    return int(first.split()[1]), headers, data


def exactly(sock: socket.socket, size: int) -> bytes:
    """Read so many bytes."""
    data = bytearray()
    while len(data) < size:
        piece = sock.recv(size - len(data))
        assert piece, f"the connection ended after {len(data)} bytes"
        data += piece
    return bytes(data)


def rest(sock: socket.socket) -> bytes:
    """Read until the server ends the connection."""
    data = b""
    while piece := sock.recv(65536):
        data += piece
    return data
