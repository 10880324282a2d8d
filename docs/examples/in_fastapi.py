"""Consumers in a FastAPI: routers, pydantic's models, and ``Depends`` in hooks.

Run it: ``uvicorn in_fastapi:app``.
"""

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Cookie, Depends, FastAPI, HTTPException
from pydantic import BaseModel, PositiveInt

from consumers import WebSocketConsumer, WebSocketRoute


class Order(BaseModel):
    item: str
    count: PositiveInt = 1


class Receipt(BaseModel):
    shop: int
    user: str
    order: Order


def current_user(session: Annotated[str | None, Cookie()] = None) -> str:
    if session is None:
        raise HTTPException(401, "log in first")  # before accept: a client sees it
    return session


def transaction() -> Iterator[list[Order]]:
    orders: list[Order] = []
    yield orders
    print("saved", orders)


class Orders(WebSocketConsumer):
    async def on_connect(
        self, shop: PositiveInt, user: Annotated[str, Depends(current_user)]
    ) -> None:
        self.shop, self.name = shop, user

    async def on_receive(
        self, message: Order, orders: Annotated[list[Order], Depends(transaction)]
    ) -> None:
        orders.append(message)
        await self.send(Receipt(shop=self.shop, user=self.name, order=message))


router = APIRouter()
router.routes.append(WebSocketRoute("/orders", Orders, mounted_at="/shops/{shop}"))

app = FastAPI()
app.include_router(router, prefix="/shops/{shop}")
