"""Let in browsers that show one's own pages, and no others."""

from consumers import App, WebSocketConsumer, WebSocketRoute

OWN_PAGES = {"https://shop.example", "http://127.0.0.1:8000"}


class SameSite(WebSocketConsumer):
    """A base class: a browser says which page opens a connection, others don't."""

    async def on_handshake(self) -> None:
        origin = self.headers.get("origin")
        if origin is not None and origin not in OWN_PAGES:
            await self.reject(403, "this page may not connect")


class Basket(SameSite):
    async def on_receive(self, message: str) -> None:
        await self.send(f"put {message} into the basket")


app = App([WebSocketRoute("/basket", Basket)])
