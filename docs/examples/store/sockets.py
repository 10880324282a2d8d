"""The server of the store. Run it: ``consumers run store.sockets:app``."""

from consumers import App, WebSocketConsumer, WebSocketRoute
from store.groups import groups, prices


class Prices(WebSocketConsumer):
    send_type = "json"

    async def on_connect(self, symbol: str) -> None:
        await self.join(prices(symbol), last=1)


class Alarms(WebSocketConsumer):
    send_type = "json"

    async def on_connect(self) -> None:
        await self.join("alarms")


app = App(
    [WebSocketRoute("/prices/{symbol}", Prices), WebSocketRoute("/alarms", Alarms)],
    groups=groups,
)
