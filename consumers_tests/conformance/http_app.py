"""A raw ASGI application for HTTP; the path says what it does."""

from __future__ import annotations

from queue import Queue
from typing import Any

import anyio

KIB = 1024
MIB = KIB * KIB


class Http:
    """An application that tells its test which requests it got."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        """Method and path of each request, in the order in which they came."""
        self.told: Queue[Any] = Queue()
        """What a request tells its test."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while True:
                event = await receive()
                await send({"type": f"{event['type']}.complete"})
                if event["type"] == "lifespan.shutdown":
                    return
        self.seen.append(f"{scope['method']} {scope['path']}")
        name = scope["path"].strip("/").partition("/")[0]
        await getattr(self, name, self.echo)(scope, receive, send)

    async def echo(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer with what was asked, the body at its end."""
        asked = f"{scope['method']} {scope['path']}\n".encode()
        await answer(send, asked + await body_of(receive))

    async def streamed(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer in pieces, without saying how long it gets."""
        await start(send)
        for piece in (b"one ", b"", b"two ", b"three"):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})

    async def empty(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer with a status that never has a body: the path's second part."""
        status = int(scope["path"].split("/")[2])
        await start(send, status=status)
        await send({"type": "http.response.body"})

    async def unread(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer without a look at the body."""
        await answer(send, b"not read")

    async def disconnected(self, scope: Any, receive: Any, send: Any) -> None:
        """Read until the client has gone, and tell it."""
        while (event := await receive())["type"] != "http.disconnect":
            self.told.put(event)
        self.told.put(event)

    async def flood(self, scope: Any, receive: Any, send: Any) -> None:
        """Send more than any buffer takes, and tell when that is over."""
        self.told.put("begun")
        try:
            await start(send)
            for _ in range(64):
                await send(
                    {
                        "type": "http.response.body",
                        "body": bytes(MIB),
                        "more_body": True,
                    }
                )
        finally:
            self.told.put("ended")

    async def sleep(self, scope: Any, receive: Any, send: Any) -> None:
        """Never answer, and tell when cancelled."""
        self.told.put("begun")
        try:
            await anyio.sleep_forever()
        finally:
            self.told.put("ended")

    # -- mistakes of an application ----------------------------------------------------

    async def fail(self, scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError("a secret")

    async def late(self, scope: Any, receive: Any, send: Any) -> None:
        await start(send)
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise ZeroDivisionError("a secret")

    async def silent(self, scope: Any, receive: Any, send: Any) -> None:
        await body_of(receive)

    async def unfinished(self, scope: Any, receive: Any, send: Any) -> None:
        await start(send)
        await send({"type": "http.response.body", "body": b"half", "more_body": True})

    async def short(self, scope: Any, receive: Any, send: Any) -> None:
        await start(send, (b"content-length", b"10"))
        await send({"type": "http.response.body", "body": b"12345"})

    async def long(self, scope: Any, receive: Any, send: Any) -> None:
        await start(send, (b"content-length", b"5"))
        await send({"type": "http.response.body", "body": b"1234567890"})

    async def injected(self, scope: Any, receive: Any, send: Any) -> None:
        await start(send, (b"x", b"1\r\nset-cookie: a=b\r\n\r\nHTTP/1.1 200 OK"))
        await send({"type": "http.response.body"})

    async def twice(self, scope: Any, receive: Any, send: Any) -> None:
        await start(send)
        await start(send)


async def body_of(receive: Any) -> bytes:
    """Read a body to its end, or to the client's."""
    body = b""
    while (event := await receive())["type"] == "http.request":
        body += event.get("body", b"")
        if not event.get("more_body"):
            break
    return body


async def start(send: Any, *headers: tuple[bytes, bytes], status: int = 200) -> None:
    """Begin an answer."""
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def answer(send: Any, body: bytes) -> None:
    """Answer at once."""
    await start(send, (b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.body", "body": body})
