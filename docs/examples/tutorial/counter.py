"""Count what the client says: typed messages in both directions."""

from msgspec import Struct

from consumers import App, WebSocketConsumer, WebSocketRoute


class Add(Struct, tag="add"):
    amount: int


class Reset(Struct, tag="reset"):
    pass


class Total(Struct, tag="total"):
    value: int


class Counter(WebSocketConsumer):
    async def on_connect(self) -> None:
        self.total = 0

    async def on_receive(self, message: Add | Reset) -> None:
        match message:
            case Add(amount):
                self.total += amount
            case Reset():
                self.total = 0
        await self.send(Total(self.total))


app = App([WebSocketRoute("/counter", Counter)])
