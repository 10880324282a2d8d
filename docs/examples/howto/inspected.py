"""Tables of a café with an inspector for its staff, at ``/inspector?token=staff``.

``consumers run --app-dir docs/examples howto.inspected:app``
"""

from msgspec import Struct
from starlette.requests import HTTPConnection

from consumers import (
    App,
    Group,
    Groups,
    Identity,
    WebSocketConsumer,
    WebSocketRoute,
    receives,
)
from consumers.inspector import Inspector


class Order(Struct, tag="order"):
    """Orders something at a table."""

    item: str
    card_token: str = ""


class Ordered(Struct, tag="ordered"):
    """What somebody has ordered."""

    item: str
    by: str


class Stock(Struct, tag="stock"):
    """Asks how much is left of something."""

    item: str


LEFT = {"coffee": 120, "tea": 80, "cake": 6}

table = Group("table.{number}", sends=Ordered, presence=True)
groups = Groups(declared=[table])


class Table(WebSocketConsumer):
    async def on_connect(self, number: int) -> None:
        self.table = table(number)
        await self.join(self.table)

    @receives
    async def order(self, message: Order) -> None:
        ordered = Ordered(message.item, self.user.display_name)
        await self.publish(self.table, ordered)

    @receives
    async def stock(self, message: Stock) -> int:
        return LEFT[message.item]  # a KeyError for what is not on the menu


async def authenticate(connection: HTTPConnection) -> Identity | None:
    name = connection.query_params.get("token")
    return Identity(name) if name else None


def is_staff(connection: HTTPConnection) -> bool:
    return bool(connection.user.identity == "staff")


app = App(
    [WebSocketRoute("/tables/{number}", Table)],
    groups=groups,
    authenticate=authenticate,
    inspector=Inspector("/inspector", allow=is_staff),
)
