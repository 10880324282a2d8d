"""A chat that strangers may use: how many, how large, how fast and how long."""

from dataclasses import replace

from msgspec import Struct

from consumers import App, Limits, Rate, WebSocketConsumer, WebSocketRoute, receives

LIMITS = Limits(
    connections=5_000,
    connections_per_address=50,
    connections_per_user=20,
    message_bytes=16 * 1024,
    message_items=1_000,
    message_depth=8,
    message_rate=Rate(per_second=5, burst=20),
    over_rate="answer",
    handler_timeout=10,
    groups=50,
)


class Say(Struct, tag="say"):
    text: str


class Chat(WebSocketConsumer):
    @receives
    async def say(self, message: Say) -> Say:
        return message


class Pointer(WebSocketConsumer):
    # Its own, and no more than it needs: a pointer that moves, 60 times a second.
    limits = replace(
        LIMITS,
        connections_per_user=5,
        message_bytes=200,
        message_rate=Rate(per_second=60, burst=120),
        over_rate="slow",
    )

    async def on_receive(self, message: dict[str, float]) -> None:
        await self.send_json(message)


app = App(
    [WebSocketRoute("/chat", Chat), WebSocketRoute("/pointer", Pointer)],
    limits=LIMITS,
)
