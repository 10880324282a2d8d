"""Raw ASGI: the ceiling for everything that runs on an ASGI server."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

members: set[Send] = set()
decode = msgspec.json.Decoder(dict[str, object]).decode
encode = msgspec.json.Encoder().encode


async def app(scope: Event, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})
        return
    view = views.get(scope["path"])
    await receive()
    if view is None:
        await send({"type": "websocket.close"})
        return
    await send({"type": "websocket.accept"})
    await view(receive, send)


async def echo(receive: Receive, send: Send) -> None:
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event["text"]})


async def json_echo(receive: Receive, send: Send) -> None:
    while (event := await receive())["type"] == "websocket.receive":
        message = decode(event["text"])
        message["type"] = "chat.reply"
        await send({"type": "websocket.send", "text": encode(message).decode()})


async def broadcast(receive: Receive, send: Send) -> None:
    members.add(send)
    try:
        while (event := await receive())["type"] == "websocket.receive":
            message = {"type": "websocket.send", "text": event["text"]}
            for member in list(members):
                await member(message)
    finally:
        members.discard(send)


views = {"/echo": echo, "/json": json_echo, "/broadcast": broadcast}
