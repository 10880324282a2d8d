"""What is attacked: an echo, one who sends a lot, and one who hinders all others."""

import time

from consumers import App, WebSocketConsumer, WebSocketRoute

__all__ = ["app"]


class Echo(WebSocketConsumer):
    async def on_receive(self, message: str) -> None:
        await self.send(message)


class Binary(WebSocketConsumer):
    async def on_receive(self, message: bytes) -> None:
        await self.send(message)


class Json(WebSocketConsumer):
    async def on_receive(self, message: list[object]) -> None:
        await self.send(str(len(message)))


class Flood(WebSocketConsumer):
    """Sends more than any buffer holds, to who reads or does not, without a pause."""

    async def on_connect(self) -> None:
        for _ in range(8000):
            await self.send("x" * 8192)


class Hindering(WebSocketConsumer):
    """A control: it holds the event loop, which a bystander has to notice."""

    async def on_connect(self) -> None:
        time.sleep(1)  # noqa: ASYNC251  that is the point


app = App(
    [
        WebSocketRoute("/echo", Echo),
        WebSocketRoute("/binary", Binary),
        WebSocketRoute("/json", Json),
        WebSocketRoute("/flood", Flood),
        WebSocketRoute("/hindering", Hindering),
    ]
)
