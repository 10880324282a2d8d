"""Let in one's own pages and those of a shop, whoever else has a page."""

from consumers import App, WebSocketConsumer, WebSocketRoute


class Basket(WebSocketConsumer):
    async def on_receive(self, message: str) -> None:
        await self.send(f"put {message} into the basket")


class News(Basket):
    origins = "*"  # the same for everybody: nothing here depends on a cookie


app = App(
    [WebSocketRoute("/basket", Basket), WebSocketRoute("/news", News)],
    origins=["self", "https://shop.example", "https://*.shop.example"],
    hosts=["api.example", "localhost"],
)
