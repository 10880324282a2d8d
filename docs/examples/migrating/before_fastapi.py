"""Rooms with FastAPI's own WebSockets, and a list of who is connected.

Run it: ``uvicorn migrating.before_fastapi:app``.
"""

from collections import defaultdict
from typing import Annotated

from fastapi import Depends, FastAPI, WebSocket, WebSocketDisconnect, WebSocketException

TOKENS = {"t-ada": "ada", "t-bob": "bob"}


class ConnectionManager:
    """Who is connected, by room."""

    def __init__(self) -> None:
        self.rooms: dict[str, list[WebSocket]] = defaultdict(list)

    async def connect(self, room: str, websocket: WebSocket) -> None:
        await websocket.accept()
        self.rooms[room].append(websocket)

    def disconnect(self, room: str, websocket: WebSocket) -> None:
        self.rooms[room].remove(websocket)

    async def broadcast(self, room: str, message: dict[str, str]) -> None:
        for websocket in list(self.rooms[room]):
            await websocket.send_json(message)


manager = ConnectionManager()
app = FastAPI()


async def user_of(token: str = "") -> str:
    if token not in TOKENS:
        raise WebSocketException(1008)
    return TOKENS[token]


@app.websocket("/rooms/{room}")
async def chat(
    websocket: WebSocket, room: str, user: Annotated[str, Depends(user_of)]
) -> None:
    await manager.connect(room, websocket)
    try:
        while True:
            message = await websocket.receive_json()
            if message["type"] == "say":
                said = {"type": "said", "name": user, "text": message["text"]}
                await manager.broadcast(room, said)
            elif message["type"] == "who":
                count = len(manager.rooms[room])
                await websocket.send_json({"type": "here", "count": count})
    except WebSocketDisconnect:
        manager.disconnect(room, websocket)
        left = {"type": "said", "name": user, "text": "has left"}
        await manager.broadcast(room, left)


@app.post("/rooms/{room}", status_code=204)
async def announce(room: str, text: str) -> None:
    await manager.broadcast(room, {"type": "said", "name": "system", "text": text})
