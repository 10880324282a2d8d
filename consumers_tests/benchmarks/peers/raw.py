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


class Say(msgspec.Struct, tag="say"):
    text: str


class Leave(msgspec.Struct, tag="leave"):
    pass


class Said(msgspec.Struct, tag="said"):
    text: str


class Request(msgspec.Struct, tag="request"):
    id: int
    message: Say | Leave


class Reply(msgspec.Struct, tag="reply"):
    id: int
    message: Said


decode_typed = msgspec.json.Decoder(Say | Leave).decode
decode_request = msgspec.json.Decoder(Request).decode


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
    await send({"type": "websocket.accept", "subprotocol": offered(scope)})
    await view(receive, send)


def offered(scope: Event) -> str | None:
    subprotocols: list[str] = scope.get("subprotocols") or []
    return subprotocols[0] if subprotocols else None


async def echo(receive: Receive, send: Send) -> None:
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event["text"]})


async def json_echo(receive: Receive, send: Send) -> None:
    while (event := await receive())["type"] == "websocket.receive":
        message = decode(event["text"])
        message["type"] = "chat.reply"
        await send({"type": "websocket.send", "text": encode(message).decode()})


async def typed_echo(receive: Receive, send: Send) -> None:
    while (event := await receive())["type"] == "websocket.receive":
        message = decode_typed(event["text"])
        if isinstance(message, Say):
            text = encode(Said(message.text)).decode()
            await send({"type": "websocket.send", "text": text})


async def answer(receive: Receive, send: Send) -> None:
    await send({"type": "websocket.send", "text": "welcome"})
    while (event := await receive())["type"] == "websocket.receive":
        frame = decode_request(event["text"])
        if isinstance(frame.message, Say):
            text = encode(Reply(frame.id, Said(frame.message.text))).decode()
            await send({"type": "websocket.send", "text": text})


async def broadcast(receive: Receive, send: Send) -> None:
    members.add(send)
    try:
        while (event := await receive())["type"] == "websocket.receive":
            message = {"type": "websocket.send", "text": event["text"]}
            for member in list(members):
                await member(message)
    finally:
        members.discard(send)


views = {
    "/echo": echo,
    "/json": json_echo,
    "/typed": typed_echo,
    "/request": answer,
    "/broadcast": broadcast,
    "/view": echo,
}
