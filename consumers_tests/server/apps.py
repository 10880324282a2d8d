"""Raw ASGI applications for servers to serve; the path says what they do."""

from __future__ import annotations

import os
import threading
from queue import Queue
from typing import Any

import anyio

MIB = 1024 * 1024


class Probe:
    """An application that tells its test what it saw."""

    def __init__(self) -> None:
        self.scopes: Queue[Any] = Queue()
        """The scope of each connection."""
        self.disconnects: Queue[Any] = Queue()
        """The disconnect event of each connection that waits for it."""
        self.lifespan: list[str] = []
        """The lifespan's events, and "connection ended" at each connection's end."""
        self.released = threading.Event()
        """Set when a `/flood` has ended, however it did."""
        self.flooding = threading.Event()
        """Set when a `/flood` has begun."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.live(scope, receive, send)
        elif scope["type"] == "http":
            await respond(send, "http.response", 200, b"hello")
        else:
            self.scopes.put(scope)
            path = scope["path"].split("/")
            try:
                await getattr(self, path[1])(scope, receive, send, *path[2:])
            finally:
                self.lifespan.append("connection ended")

    async def live(self, scope: Any, receive: Any, send: Any) -> None:
        scope["state"]["shared"] = "from the lifespan"
        while True:
            event = await receive()
            self.lifespan.append(event["type"])
            await send({"type": f"{event['type']}.complete"})
            if event["type"] == "lifespan.shutdown":
                return

    async def echo(self, scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "websocket.connect"
        offered = scope["subprotocols"]
        chosen = offered[-1] if offered else None
        await send({"type": "websocket.accept", "subprotocol": chosen})
        while True:
            event = await receive()
            if event["type"] == "websocket.disconnect":
                self.disconnects.put(event)
                return
            await send({**event, "type": "websocket.send"})

    async def sleep(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await anyio.sleep_forever()

    async def pid(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": str(os.getpid())})

    async def close(
        self, scope: Any, receive: Any, send: Any, code: str, reason: str
    ) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": int(code), "reason": reason})

    async def deny(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await respond(send, "websocket.http.response", 429, b"slow down")

    async def refuse(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.close"})

    async def fail(self, scope: Any, receive: Any, send: Any, accept: str) -> None:
        await receive()
        if accept == "late":
            await send({"type": "websocket.accept"})
        raise ZeroDivisionError("a secret")

    async def unoffered(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept", "subprotocol": "never-offered"})

    async def flood(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        self.flooding.set()
        try:
            for _ in range(64):
                await send({"type": "websocket.send", "bytes": b"x" * MIB})
        finally:
            self.released.set()


async def respond(send: Any, prefix: str, status: int, body: bytes) -> None:
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": f"{prefix}.start", "status": status, "headers": headers})
    await send({"type": f"{prefix}.body", "body": body})


app = Probe()
"""For servers in processes of their own."""


def make() -> Probe:
    """Return an application: a factory."""
    return Probe()


async def no_lifespan(scope: Any, receive: Any, send: Any) -> None:
    """Serve WebSockets only, as many small applications do."""
    assert scope["type"] == "websocket"
    await Probe().echo(scope, receive, send)


async def failing_start(scope: Any, receive: Any, send: Any) -> None:
    """Say in the lifespan that it can't start."""
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})


not_an_application = 42


def wsgi(environ: Any, start_response: Any) -> list[bytes]:
    """Look like a WSGI application."""
    return []
