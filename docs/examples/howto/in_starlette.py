"""Consumers inside a Starlette application."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from consumers import (
    App,
    Groups,
    Identity,
    WebSocket,
    WebSocketConsumer,
    WebSocketRoute,
)

groups = Groups()


class News(WebSocketConsumer):
    async def on_connect(self) -> None:
        await self.join("news")
        await self.send(f"Welcome, {self.user.display_name or 'stranger'}!")


async def announce(request: Request) -> PlainTextResponse:
    await groups.publish("news", "there is cake")
    return PlainTextResponse("announced")


app = Starlette(
    routes=[
        Route("/announce", announce, methods=["POST"]),
        WebSocketRoute("/news", News),
    ],
    lifespan=groups.lifespan,  # consumers in this table join these groups
)


# What only an App has, such as authenticate, is mounted as an App.


async def authenticate(connection: WebSocket) -> Identity | None:
    return Identity("42", name="Ada")


sockets = App([WebSocketRoute("/news", News)], groups=groups, authenticate=authenticate)
mounting = Starlette(
    routes=[Route("/announce", announce, methods=["POST"]), Mount("/ws", sockets)],
    lifespan=sockets.lifespan,
)
