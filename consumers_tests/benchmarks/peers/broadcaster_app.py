"""broadcaster on Starlette: a task per connection that passes publications on."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from broadcaster import Broadcast
from broadcaster._base import Subscriber
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

broadcast = Broadcast(os.environ.get("BROKER_URL", "memory://"))


async def room(websocket: WebSocket) -> None:
    async with broadcast.subscribe(channel="room") as subscriber:
        await websocket.accept()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(deliver, subscriber, websocket)
            async for text in websocket.iter_text():
                await broadcast.publish(channel="room", message=text)
            tasks.cancel_scope.cancel()


async def deliver(subscriber: Subscriber, websocket: WebSocket) -> None:
    async for event in subscriber:
        await websocket.send_text(event.message)


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    # Over Redis, release 0.3.1 hears nothing any more once nobody has subscribed.
    async with broadcast, broadcast.subscribe(channel="always"):
        yield


app = Starlette(routes=[WebSocketRoute("/broadcast", room)], lifespan=lifespan)
