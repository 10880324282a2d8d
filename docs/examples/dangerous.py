"""Tell the client by a close code what went wrong. 4000-4999 are the application's."""

import random

from starlette import status

from consumers import App, WebSocketConsumer, WebSocketRoute

BOOM = 4003


class Dangerous(WebSocketConsumer):
    async def on_connect(self) -> None:
        self.lives = 100

    async def on_receive(self, message: str) -> None:
        if random.random() < 0.1:
            await self.close(BOOM, "boom")
            return
        await self.send("OK")
        self.lives -= 1
        if not self.lives:
            await self.close(status.WS_1000_NORMAL_CLOSURE)


app = App([WebSocketRoute("/dangerous", Dangerous)])
