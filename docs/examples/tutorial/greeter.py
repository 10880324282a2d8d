"""Greet somebody as often as they wish: parameters from the path and the query."""

from typing import Annotated

from msgspec import Meta

from consumers import App, WebSocketConsumer, WebSocketRoute

Times = Annotated[int, Meta(ge=1, le=10)]


class Greeter(WebSocketConsumer):
    async def on_connect(self, name: str, times: Times = 1) -> None:
        for _ in range(times):
            await self.send(f"Hello, {name}!")
        await self.close()


app = App([WebSocketRoute("/greet/{name}", Greeter)])
