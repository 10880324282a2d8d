"""Starlette and redis-py, as people write it who need more than one process."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket


class ConnectionManager:
    def __init__(self) -> None:
        self.connections: list[WebSocket] = []

    async def connect(self, websocket: WebSocket) -> None:
        await websocket.accept()
        self.connections.append(websocket)

    def disconnect(self, websocket: WebSocket) -> None:
        self.connections.remove(websocket)

    async def broadcast(self, text: str) -> None:
        for connection in list(self.connections):
            await connection.send_text(text)


manager = ConnectionManager()
redis: Redis = Redis.from_url(os.environ["BROKER_URL"], decode_responses=True)


async def listen(subscription: PubSub) -> None:
    async for message in subscription.listen():
        if message["type"] == "message":
            await manager.broadcast(message["data"])


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with redis, redis.pubsub() as subscription:
        await subscription.subscribe("room")
        listening = asyncio.create_task(listen(subscription))
        yield
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening


async def broadcast(websocket: WebSocket) -> None:
    await manager.connect(websocket)
    try:
        async for text in websocket.iter_text():
            await redis.publish("room", text)
    finally:
        manager.disconnect(websocket)


app = Starlette(routes=[WebSocketRoute("/broadcast", broadcast)], lifespan=lifespan)
