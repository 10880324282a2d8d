"""Starlette's function style: one coroutine per connection."""

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

members: set[WebSocket] = set()


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)


async def json_echo(websocket: WebSocket) -> None:
    await websocket.accept()
    async for message in websocket.iter_json():
        message["type"] = "chat.reply"
        await websocket.send_json(message)


async def broadcast(websocket: WebSocket) -> None:
    await websocket.accept()
    members.add(websocket)
    try:
        async for text in websocket.iter_text():
            for member in list(members):
                await member.send_text(text)
    finally:
        members.discard(websocket)


app = Starlette(
    routes=[
        WebSocketRoute("/echo", echo),
        WebSocketRoute("/json", json_echo),
        WebSocketRoute("/broadcast", broadcast),
    ]
)
