"""What lives as long as the application: its state, its values, its work.

Run it: ``consumers run with_lifespan:app``.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypedDict

from consumers import App, Provide, WebSocketConsumer, WebSocketRoute, sleep


class Database(TypedDict):
    """Stands in for a pool of connections."""

    rows: list[str]


async def database() -> AsyncIterator[Database]:
    opened: Database = {"rows": []}
    yield opened  # until the application stops
    opened["rows"].clear()


@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[Mapping[str, Any]]:
    app.start_soon(clean_up)  # ends with the application
    yield {"motd": "be nice"}  # each connection's and request's `state`


async def clean_up() -> None:
    while True:
        await sleep(60)
        app.state.cleanings += 1


class Rows(WebSocketConsumer):
    async def on_connect(self) -> None:
        await self.send(self.state.motd)

    async def on_receive(
        self, message: str, db: Annotated[Database, Provide(database, scope="app")]
    ) -> None:
        db["rows"].append(message)
        await self.send(f"{len(db['rows'])} rows")
        if message == "index":
            app.start_soon(index, db)  # goes on when this client has left


async def index(db: Database) -> None:
    await sleep(5)
    db["rows"].append("indexed")


app = App([WebSocketRoute("/rows", Rows)], lifespan=lifespan)
app.state.cleanings = 0
