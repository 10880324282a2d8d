"""Starlette's own class style: `WebSocketEndpoint`."""

from typing import Any

from starlette.applications import Starlette
from starlette.endpoints import WebSocketEndpoint
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

members: set[WebSocket] = set()


class Echo(WebSocketEndpoint):
    encoding = "text"  # type: ignore[mutable-override]

    async def on_receive(self, websocket: WebSocket, data: str) -> None:
        await websocket.send_text(data)


class JsonEcho(WebSocketEndpoint):
    encoding = "json"  # type: ignore[mutable-override]

    async def on_receive(self, websocket: WebSocket, data: Any) -> None:
        data["type"] = "chat.reply"
        await websocket.send_json(data)


class Broadcast(WebSocketEndpoint):
    encoding = "text"  # type: ignore[mutable-override]

    async def on_connect(self, websocket: WebSocket) -> None:
        await websocket.accept()
        members.add(websocket)

    async def on_receive(self, websocket: WebSocket, data: str) -> None:
        for member in list(members):
            await member.send_text(data)

    async def on_disconnect(self, websocket: WebSocket, close_code: int) -> None:
        members.discard(websocket)


app = Starlette(
    routes=[
        WebSocketRoute("/echo", Echo),
        WebSocketRoute("/json", JsonEcho),
        WebSocketRoute("/broadcast", Broadcast),
    ]
)
