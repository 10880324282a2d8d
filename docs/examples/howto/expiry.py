"""Close a connection when its credentials end."""

from datetime import UTC, datetime

from consumers import App, Identity, WebSocket, WebSocketConsumer, WebSocketRoute, sleep


async def authenticate(connection: WebSocket) -> Identity | None:
    ends = datetime.fromtimestamp(float(connection.query_params["ends"]), UTC)
    return Identity("42", expires=ends)


class Account(WebSocketConsumer):
    async def on_connect(self) -> None:
        left = self.user.expires - datetime.now(UTC)
        self.start_soon(self.close_after, left.total_seconds())

    async def close_after(self, seconds: float) -> None:
        await sleep(seconds)
        await self.close(4401, "log in again")


app = App([WebSocketRoute("/account", Account)], authenticate=authenticate)
