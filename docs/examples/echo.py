"""Say back what the client says. Run it: ``consumers run echo:app``."""

from consumers import App, WebSocketConsumer, WebSocketRoute


class Echo(WebSocketConsumer):
    async def on_receive(self, message: str) -> None:
        await self.send(f"You said: {message}")


app = App([WebSocketRoute("/echo", Echo)])
