"""Publish from elsewhere: an HTTP view, a thread, synchronous code."""

from typing import Any

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from consumers import App, Group, Groups, Identity, WebSocketConsumer, WebSocketRoute


class Price(Struct, tag="price"):
    symbol: str
    value: float


prices = Group("prices.{symbol}", sends=Price)
groups = Groups(declared=[prices])


class Watch(WebSocketConsumer):
    send_type = "json"

    async def on_handshake(self, user: str = "") -> None:
        if user:
            self.user = Identity(user)

    async def on_connect(self, symbol: str) -> None:
        await self.join(prices(symbol))


async def set_price(request: Request[Any]) -> JSONResponse:
    symbol = request.path_params["symbol"]
    price = Price(symbol, float(request.query_params["value"]))
    await groups.publish(prices(symbol), price)
    return JSONResponse({"watching": await groups.count(prices(symbol))})


def import_prices(rows: list[tuple[str, float]]) -> None:
    """Publish from synchronous code, in any thread of this process."""
    for symbol, value in rows:
        groups.sync.publish(prices(symbol), Price(symbol, value))


def tell_user(key: str, text: str) -> None:
    """Send to every tab of one user."""
    groups.sync.publish_to_user(key, {"note": text})


app = App(
    [
        Route("/prices/{symbol}", set_price, methods=["POST"]),
        WebSocketRoute("/prices/{symbol}", Watch),
    ],
    groups=groups,
)
