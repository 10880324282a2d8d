"""Let in only who knows the key. Nothing after ``reject()`` runs."""

from secrets import compare_digest

from consumers import App, WebSocketConsumer, WebSocketRoute

API_KEY = b"s3kr3t"


class Hello(WebSocketConsumer):
    async def on_handshake(self) -> None:
        if not compare_digest(self.headers.get("api-key", "").encode(), API_KEY):
            await self.reject(401)

    async def on_connect(self) -> None:
        await self.send("Hello, authorized client!")

    async def on_receive(self, message: str) -> None:
        await self.send(f"You said: {message}")


app = App([WebSocketRoute("/hello", Hello)])
