"""FastAPI as its page on WebSockets has it: dependencies, and all who are there."""

from __future__ import annotations

from typing import Annotated

from fastapi import (
    Cookie,
    Depends,
    FastAPI,
    Query,
    WebSocket,
    WebSocketDisconnect,
    WebSocketException,
    status,
)


class Connections:
    """Everybody who is there."""

    def __init__(self) -> None:
        self.active: list[WebSocket] = []

    async def connect(self, websocket: WebSocket) -> None:
        await websocket.accept()
        self.active.append(websocket)

    async def broadcast(self, message: str) -> None:
        for connection in self.active:
            await connection.send_text(message)


async def token_of(
    session: Annotated[str | None, Cookie()] = None,
    token: Annotated[str | None, Query()] = None,
) -> str:
    """Return what the client has shown, or refuse it."""
    if session is None and token is None:
        raise WebSocketException(code=status.WS_1008_POLICY_VIOLATION)
    return session or token or ""


def make() -> FastAPI:
    """Return the application, new."""
    app = FastAPI()
    connections = Connections()

    @app.websocket("/items/{item}")
    async def items(
        websocket: WebSocket, item: int, token: Annotated[str, Depends(token_of)]
    ) -> None:
        await websocket.accept()
        while True:
            said = await websocket.receive_json()
            await websocket.send_json({"item": item, "token": token, "said": said})

    @app.websocket("/chat/{client}")
    async def chat(websocket: WebSocket, client: int) -> None:
        await connections.connect(websocket)
        try:
            while True:
                said = await websocket.receive_text()
                await connections.broadcast(f"Client #{client} says: {said}")
        except WebSocketDisconnect:
            connections.active.remove(websocket)
            await connections.broadcast(f"Client #{client} left the chat")

    @app.get("/items/{item}")
    async def read(item: int) -> dict[str, int]:
        return {"item": item}

    return app
