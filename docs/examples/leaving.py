"""Count who is here: ``on_disconnect`` runs exactly once, however a connection ended.

Its ``code`` is what the client closed with, 1006 where the network failed, or our own.
"""

from typing import ClassVar

from consumers import App, WebSocketConsumer, WebSocketRoute


class Visit(WebSocketConsumer):
    here: ClassVar[set[WebSocketConsumer]] = set()
    seen: ClassVar[list[int]] = []

    async def on_connect(self) -> None:
        self.here.add(self)
        await self.send(f"{len(self.here)} here")

    async def on_receive(self, message: str) -> None:
        await self.send(f"{len(self.here)} here")

    async def on_disconnect(self, code: int) -> None:
        self.here.discard(self)
        self.seen.append(code)


app = App([WebSocketRoute("/visit", Visit)])
