"""Litestar: listeners, and its channels plugin; with `BROKER_URL` over Redis."""

import os
from typing import Any

from litestar import Litestar, WebSocket, websocket, websocket_listener
from litestar.channels import ChannelsPlugin
from litestar.channels.backends.base import ChannelsBackend
from litestar.channels.backends.memory import MemoryChannelsBackend
from litestar.exceptions import WebSocketDisconnect


def backend() -> ChannelsBackend:
    if url := os.environ.get("BROKER_URL"):
        from litestar.channels.backends.redis import RedisChannelsPubSubBackend
        from redis.asyncio import Redis

        return RedisChannelsPubSubBackend(redis=Redis.from_url(url))
    return MemoryChannelsBackend()


@websocket_listener("/echo")
async def echo(data: str) -> str:
    return data


@websocket_listener("/json")
async def json_echo(data: dict[str, Any]) -> dict[str, Any]:
    data["type"] = "chat.reply"
    return data


@websocket("/broadcast")
async def broadcast(socket: WebSocket[Any, Any, Any], channels: ChannelsPlugin) -> None:
    await socket.accept()
    async with (
        channels.start_subscription("room") as subscriber,
        subscriber.run_in_background(socket.send_text, join=False),
    ):
        try:
            async for text in socket.iter_data("text"):
                await channels.wait_published(text, "room")
        except WebSocketDisconnect:
            return


app = Litestar(
    [echo, json_echo, broadcast],
    plugins=[ChannelsPlugin(backend(), channels=["room"])],
    logging_config=None,
)
