"""What is served where credentials come: hooks that raise with all that they know."""

from __future__ import annotations

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from consumers import (
    App,
    Identity,
    WebSocket,
    WebSocketConsumer,
    WebSocketRoute,
    receives,
)

IN_HEADER = "pl4nted-in-a-header.Zm9v_1"
IN_QUERY = "pl4nted-in-a-query.Zm9v_2"
IN_COOKIE = "pl4nted-in-a-cookie.Zm9v_3"
IN_OFFER = "pl4nted-in-an-offer.Zm9v_4"
IN_FRAME = "pl4nted-in-a-frame.Zm9v_5"
SECRETS = (IN_HEADER, IN_QUERY, IN_COOKIE, IN_OFFER, IN_FRAME)


async def authenticate(connection: WebSocket) -> Identity | None:
    """The path says what becomes of the handshake, and the token of a later one."""
    path, token = connection.url.path, connection.token
    if path == "/refused" or token == f"refused.{IN_FRAME}":
        raise HTTPException(401)
    if path == "/broken" or token == f"broken.{IN_FRAME}":
        raise LookupError(f"no row for {connection.url} in {connection.scope!r}")
    return Identity("ann", session=connection.cookies["session"])


class Telling(WebSocketConsumer):
    """Raises with all that it knows, at one point or another."""

    async def on_handshake(self) -> None:
        self.fail("handshake")
        if self.url.path == "/echoed":
            await self.accept(f"bearer.{IN_OFFER}")

    async def on_connect(self) -> None:
        self.fail("connect")

    async def on_receive(self, message: str) -> None:
        self.fail("receive")
        # Not as it is: uvicorn's own classes log messages, where they say most.
        assert self.token is not None
        await self.send(f"{self.token[::-1]} {self.subprotocols}")

    async def on_disconnect(self, code: int) -> None:
        self.fail("disconnect")

    def fail(self, point: str) -> None:
        if self.url.path == f"/{point}":
            told = dict(self.headers), self.cookies, self.user, str(self.url)
            raise RuntimeError(f"{point}: {told} {self.scope!r}")


class Say(msgspec.Struct, tag="say"):
    text: str


class Typed(WebSocketConsumer):
    """Raises with all that it knows of a client that speaks `consumers.v1`."""

    @receives
    async def say(self, message: Say) -> str:
        raise RuntimeError(f"say: {dict(self.headers)} {self.user} {self.scope!r}")


async def page(request: Request) -> Response:
    if "broken" in request.query_params:
        raise LookupError(f"no row for {request.url}, {request.headers!r}")
    return PlainTextResponse("a page")


app = App(
    [
        Route("/page", page),
        WebSocketRoute("/typed", Typed),
        WebSocketRoute("/{point}", Telling),
    ],
    authenticate=authenticate,
)
