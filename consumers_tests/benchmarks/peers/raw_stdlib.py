"""Raw ASGI as it is often written: the json module, and `gather` for a broadcast."""

import asyncio
import json

from consumers_tests.benchmarks.peers import raw
from consumers_tests.benchmarks.peers.raw import Event, Receive, Send

members: set[Send] = set()


async def json_echo(receive: Receive, send: Send) -> None:
    while (event := await receive())["type"] == "websocket.receive":
        message = json.loads(event["text"])
        message["type"] = "chat.reply"
        await send({"type": "websocket.send", "text": json.dumps(message)})


async def broadcast(receive: Receive, send: Send) -> None:
    members.add(send)
    try:
        while (event := await receive())["type"] == "websocket.receive":
            message: Event = {"type": "websocket.send", "text": event["text"]}
            await asyncio.gather(*(member(message) for member in members))
    finally:
        members.discard(send)


raw.views |= {"/json": json_echo, "/broadcast": broadcast}
app = raw.app
