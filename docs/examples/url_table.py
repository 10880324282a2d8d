"""A URL table: prefixes, mounts, hosts, middleware, and URLs made from names.

Run ``consumers routes url_table:app`` to see it.
"""

from starlette.middleware import Middleware
from starlette.routing import Host, Mount
from starlette.routing import Router as Table
from starlette.types import ASGIApp, Receive, Scope, Send

from consumers import App, Router, WebSocketConsumer, WebSocketRoute


class Stamped:
    """Middleware: a word in the scope of all that passes here."""

    def __init__(self, app: ASGIApp, word: str) -> None:
        self.app, self.word = app, word

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["stamp"] = self.word
        await self.app(scope, receive, send)


class Room(WebSocketConsumer):
    async def on_connect(self, room: int, lang: str = "en") -> None:
        after = self.url_for("rooms:room", room=room + 1)
        await self.send(f"room {room} in {lang}, then {after}")


class Shop(WebSocketConsumer):
    async def on_connect(self, shop: str) -> None:
        await self.send(f"{self.scope['stamp']} for {shop}")


rooms = [WebSocketRoute("/{room:int}", Room, name="room")]
shops = Table([WebSocketRoute("/", Shop, mounted_at="/{shop}")])

api = Router()


@api.websocket_route("/{shop}/status")
class Status(Shop):
    """The decorator takes functions and classes."""


app = App(
    [
        Mount("/rooms", routes=rooms, name="rooms"),
        Host("{shop}.example.org", shops),
    ],
    middleware=[Middleware(Stamped, word="open")],
)
app.include_router(api, prefix="/api")
