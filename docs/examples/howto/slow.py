"""Bounds for slow clients: how much may wait, and what happens then."""

from consumers import App, Limits, WebSocketConsumer, WebSocketRoute


class Feed(WebSocketConsumer):
    send_type = "json"
    # Better to come back than to be a minute behind.
    limits = Limits(outbox_messages=100, outbox_bytes=64 * 1024)

    async def on_connect(self) -> None:
        await self.join("feed")


class Control(WebSocketConsumer):
    async def on_receive(self, message: dict[str, int]) -> None:
        await self.publish("feed", message)


app = App([WebSocketRoute("/feed", Feed), WebSocketRoute("/control", Control)])
