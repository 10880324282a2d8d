"""The same chat as a class: a group has the history, and knows who is here.

Run it: ``consumers run migrating.after_bocadillo_class:app``.
"""

import os

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from consumers import (
    App,
    Group,
    Groups,
    History,
    WebSocketConsumer,
    WebSocketRoute,
    receives,
)


class Message(Struct, tag="message"):
    user: str
    text: str


chat = Group("chat", sends=Message, history=History(size=100), presence=True)
groups = Groups(os.environ.get("REDIS_URL", "memory://"), [chat])


class Chat(WebSocketConsumer):
    async def on_connect(self) -> None:
        await self.join(chat, last=100)

    @receives
    async def message(self, message: Message) -> None:
        await self.publish(chat, message)


async def count(request: Request) -> JSONResponse:
    return JSONResponse({"count": await groups.count(chat)})


app = App([WebSocketRoute("/chat", Chat), Route("/clients", count)], groups=groups)
