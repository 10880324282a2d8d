"""python-socketio: events and rooms, by its own protocol on top of WebSocket.

The clients say `40` to enter, and get two messages before they send any: so do those of
the workloads that it takes part in.
"""

from typing import Any

import socketio

server = socketio.AsyncServer(async_mode="asgi")
app = socketio.ASGIApp(server)


@server.event
async def connect(sid: str, environ: dict[str, Any]) -> None:
    await server.enter_room(sid, "room")


@server.event
async def echo(sid: str, text: str) -> None:
    await server.emit("echo", text, to=sid)


@server.event
async def cast(sid: str, text: str) -> None:
    await server.emit("cast", text, room="room")
