"""An App inside a Starlette, for what only an App has: here, ``authenticate``."""

from starlette.applications import Starlette
from starlette.routing import Mount

from consumers import App, Identity, WebSocket, WebSocketConsumer, WebSocketRoute


async def authenticate(connection: WebSocket) -> Identity | None:
    return Identity("42", name=connection.headers.get("x-name", "somebody"))


class Hello(WebSocketConsumer):
    async def on_connect(self) -> None:
        await self.send(f"Hello, {self.user.display_name}!")


sockets = App([WebSocketRoute("/hello", Hello)], authenticate=authenticate)

app = Starlette(routes=[Mount("/ws", sockets)], lifespan=sockets.lifespan)
