"""What hooks need beside the message: providers, and how a test replaces them."""

from collections.abc import AsyncIterator
from typing import Annotated

from consumers import App, Provide, WebSocket, WebSocketConsumer, WebSocketRoute


class Database:
    def __init__(self, name: str) -> None:
        self.name = name
        self.open = True

    async def aclose(self) -> None:
        self.open = False


async def database() -> AsyncIterator[Database]:
    made = Database("the real one")
    yield made
    await made.aclose()


def tenant(ws: WebSocket) -> str:
    return ws.headers.get("x-tenant", "nobody")


class Transaction:
    def __init__(self, database: Database, tenant: str) -> None:
        self.database, self.tenant = database, tenant


Shared = Annotated[Database, Provide(database, scope="app")]
Tenant = Annotated[str, Provide(tenant, scope="connection")]


def transaction(database: Shared, tenant: Tenant) -> Transaction:
    return Transaction(database, tenant)


class Orders(WebSocketConsumer):
    async def on_receive(
        self, message: str, here: Annotated[Transaction, Provide(transaction)]
    ) -> None:
        await self.send(f"{message} for {here.tenant} in {here.database.name}")


app = App([WebSocketRoute("/orders", Orders)])
