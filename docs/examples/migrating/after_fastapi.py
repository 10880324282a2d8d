"""The same rooms with consumers, in the same FastAPI.

Run it: ``uvicorn migrating.after_fastapi:app``.
"""

import os
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, HTTPException
from msgspec import Struct

from consumers import Group, Groups, WebSocketConsumer, WebSocketRoute, receives

TOKENS = {"t-ada": "ada", "t-bob": "bob"}


class Say(Struct, tag="say"):
    text: str


class Who(Struct, tag="who"):
    pass


class Said(Struct, tag="said"):
    name: str
    text: str


class Here(Struct, tag="here"):
    count: int


room_group = Group("rooms.{room}", sends=Said, presence=True)
groups = Groups(os.environ.get("REDIS_URL", "memory://"), [room_group])


async def user_of(token: str = "") -> str:
    if token not in TOKENS:
        raise HTTPException(403)
    return TOKENS[token]


class Chat(WebSocketConsumer):
    async def on_connect(
        self, room: str, user: Annotated[str, Depends(user_of)]
    ) -> None:
        self.name = user
        self.room = room_group(room)
        await self.join(self.room)

    @receives
    async def say(self, message: Say) -> None:
        await self.publish(self.room, Said(self.name, message.text))

    @receives
    async def who(self, message: Who) -> Here:
        return Here(await self.groups.count(self.room))

    async def on_disconnect(self, code: int) -> None:
        await self.publish(self.room, Said(self.name, "has left"))


router = APIRouter()
router.routes.append(WebSocketRoute("/rooms/{room}", Chat))

app = FastAPI(lifespan=groups.lifespan)
app.include_router(router)


@app.post("/rooms/{room}", status_code=204)
async def announce(room: str, text: str) -> None:
    await groups.publish(room_group(room), Said("system", text))
