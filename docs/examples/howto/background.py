"""Work beside the hooks: until the connection ends, or until the application does."""

from anyio import TaskHandle

from consumers import App, WebSocketConsumer, WebSocketRoute, sleep

log: list[str] = []


async def write_audit(line: str) -> None:
    await sleep(1)
    log.append(line)


class Ticker(WebSocketConsumer):
    ticking: TaskHandle[None]

    async def on_connect(self, every: float = 1.0) -> None:
        self.ticking = self.start_soon(self.tick, every)

    async def tick(self, every: float) -> None:
        number = 0
        while True:
            await sleep(every)
            number += 1
            await self.send(f"tick {number}")

    async def on_receive(self, message: str) -> None:
        if message == "stop":
            self.ticking.cancel()

    async def on_disconnect(self, code: int) -> None:
        app.start_soon(write_audit, f"left with {code}")  # outlives the connection


app = App([WebSocketRoute("/ticker", Ticker)])
