"""Count what the client says: typed messages in both directions."""

from typing import Annotated

from msgspec import Meta, Struct

from consumers import (
    App,
    MessageError,
    WebSocketConsumer,
    WebSocketRoute,
    receives,
)


class Add(Struct, tag="add"):
    amount: int


class Total(Struct, tag="total"):
    value: int


class Counter(WebSocketConsumer):
    async def on_connect(self) -> None:
        self.total = 0

    @receives
    async def add(self, message: Add) -> Total:
        if self.total + message.amount > 1000:
            raise MessageError("too_much", {"left": 1000 - self.total})
        self.total += message.amount
        return Total(self.total)

    @receives("reset")
    async def reset(self, to: Annotated[int, Meta(ge=0)] = 0) -> Total:
        self.total = to
        return Total(self.total)


app = App([WebSocketRoute("/counter", Counter)])
