"""chanx on fast-channels: a method for each type of message, checked by pydantic.

Its messages name their type `action` and carry the rest in a `payload`.
"""

from typing import Literal

from chanx.core.decorators import channel, ws_handler
from chanx.fast_channels.websocket import AsyncJsonWebsocketConsumer
from chanx.messages.base import BaseMessage
from fast_channels.layers import InMemoryChannelLayer, register_channel_layer
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

register_channel_layer("default", InMemoryChannelLayer())


class Line(BaseModel):
    text: str


class Say(BaseMessage):
    action: Literal["say"] = "say"
    payload: Line


class Said(BaseMessage):
    action: Literal["said"] = "said"
    payload: Line


@channel(name="typed")
class Typed(AsyncJsonWebsocketConsumer):
    channel_layer_alias = "default"

    @ws_handler(output_type=Said)
    async def handle_say(self, message: Say) -> Said:
        return Said(payload=message.payload)


app = Starlette(routes=[WebSocketRoute("/typed", Typed.as_asgi())])
