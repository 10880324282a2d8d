"""A price feed: a snapshot of 200 prices, then every change; slow readers skip some.

Run it with ``consumers run --app-dir docs/examples prices.app:app``.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from consumers import (
    App,
    Coalesce,
    Group,
    Groups,
    WebSocketConsumer,
    WebSocketRoute,
    sleep,
    subscribes,
)

from .market import Market, Price, Share

EVERY = 0.02
"""Seconds between two changes of the market, each of three prices."""


class Snapshot(Struct, tag="snapshot"):
    """All prices, as the first message."""

    shares: list[Share]


# begin: feed
prices = Group("prices", sends=Price, outbox=Coalesce(key="symbol"))
groups = Groups(declared=[prices])
market = Market()


class Feed(WebSocketConsumer):
    """One reader. It sends nothing."""

    send_type = "json"

    @subscribes(prices)
    async def snapshot(self) -> Snapshot:
        return Snapshot(list(market.shares.values()))

    async def on_connect(self) -> None:
        await self.subscribe(prices)


async def trade() -> None:
    """Move prices for as long as the application runs."""
    while True:
        await groups.publish_many([(prices, price) for price in market.move(3)])
        await sleep(EVERY)


# end: feed


@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[None]:
    app.start_soon(trade)
    yield


PAGE = Path(__file__).parent / "page.html"


async def page(request: Request) -> Response:
    return FileResponse(PAGE)


app = App(
    [Route("/", page), WebSocketRoute("/prices", Feed)],
    groups=groups,
    lifespan=lifespan,
)
