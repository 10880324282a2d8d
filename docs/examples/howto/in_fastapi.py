"""Consumers inside a FastAPI application, with Depends and pydantic's models."""

from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel, Field

from consumers import Groups, WebSocketConsumer, WebSocketRoute

groups = Groups()


class Order(BaseModel):
    item: str = Field(min_length=1)
    count: int = Field(gt=0)


async def current_user(authorization: Annotated[str, Header()] = "") -> str:
    if authorization != "Bearer t0k3n":
        raise HTTPException(401, "log in first")
    return "ada"


User = Annotated[str, Depends(current_user)]


class Orders(WebSocketConsumer):
    async def on_handshake(self, user: User) -> None:
        self.name = user

    async def on_connect(self, shop: int) -> None:
        self.shop = f"shop.{shop}"
        await self.join(self.shop)

    async def on_receive(self, message: Order) -> None:
        await self.publish(self.shop, {"by": self.name, **message.model_dump()})


router = APIRouter()
router.routes.append(WebSocketRoute("/orders/{shop:int}", Orders))

app = FastAPI(lifespan=groups.lifespan)
app.include_router(router, prefix="/api")


@app.post("/shops/{shop}/close")
async def close_shop(shop: int) -> int:
    await groups.publish(f"shop.{shop}", {"closed": True})
    return await groups.count(f"shop.{shop}")
