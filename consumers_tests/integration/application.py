"""What the tests of this folder serve: each route does one thing, and tells."""

from __future__ import annotations

import threading
from queue import Queue
from typing import Any

import anyio
import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from consumers import (
    App,
    Limits,
    WebSocket,
    WebSocketConsumer,
    WebSocketDisconnect,
    WebSocketRoute,
)


class Told(dict[str, Queue[Any]]):
    """A queue for each key, made by whichever thread asks first.

    A `defaultdict` makes two if both ask at once, and keeps one of them.
    """

    def __missing__(self, key: str) -> Queue[Any]:
        return self.setdefault(key, Queue())


class Served:
    """An ASGI application, and what its connections told."""

    def __init__(self) -> None:
        self.told = Told()
        """``{key of a connection: what it told}``."""
        self.thread: int | None = None
        """The thread that serves it."""
        self.app = make_app(self.told)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve; a path with ``?plain`` as if the server had no denial response."""
        self.thread = threading.get_ident()
        if scope.get("query_string") == b"plain":
            scope["extensions"] = {}
        await self.app(scope, receive, send)


class Order(msgspec.Struct, tag="order", forbid_unknown_fields=True):
    item: str
    count: int


class Cancel(msgspec.Struct, tag="cancel"):
    reason: str | None = None


# What may be asked of a typed consumer: {name: the annotation of its message}.
TYPES: dict[str, Any] = {
    "text": str,
    "bytes": bytes,
    "either": str | bytes,
    "dict": dict,
    "struct": Order,
    "union": Order | Cancel,
    "any": Any,
}


def typed(annotation: Any) -> type[WebSocketConsumer]:
    """Return a consumer that says "ok" to each message of a type."""

    class Typed(WebSocketConsumer):
        send_type = "text"

        async def on_receive(self, message: annotation) -> None:
            await self.send("ok")

    return Typed


def make_app(told: Told) -> App:
    class Telling(WebSocketConsumer):
        async def on_disconnect(self, code: int) -> None:
            event = self.close_event
            assert event is not None
            assert event.code == code
            told[self.path_params["key"]].put((code, event.reason))

    class Echo(Telling):
        value_type = "event"

        async def on_receive(self, event: Any) -> None:
            await self.send_event({**event, "type": "websocket.send"})

    class Close(Telling):
        async def on_connect(self, code: int, reason: str) -> None:
            await self.close(code, reason)

    class Reject(Telling):
        async def on_handshake(self, status: int) -> None:
            await self.reject(status, {"why": "full"}, {"retry-after": "5"})

    class RejectAsClose(Reject):
        refusals = "close"

    class Raise(Telling):
        async def on_handshake(self, status: int) -> None:
            raise HTTPException(status, "because", {"x-why": "so"})

    class Parameters(Telling):
        async def on_connect(self, size: int, limit: float = 1.0) -> None:
            await self.send(f"{size} {limit}")

    class Choose(WebSocketConsumer):
        auto_accept = False

        async def on_connect(self) -> None:
            await self.accept(subprotocol=self.subprotocols[-1])

    class Boom(Telling):
        async def on_receive(self, message: str) -> None:
            raise ZeroDivisionError(f"a secret: {message}")

    class PushOnly(Telling):
        async def on_connect(self) -> None:
            await self.send("hello")

    class Member(Telling):
        async def on_connect(self, group: str) -> None:
            await self.join(group)
            await self.send("joined")

    class Bounded(Member):
        limits = Limits(outbox_bytes=512 * 1024)

    class Busy(Telling):
        """Never done with a message; what runs beside tells when it is cancelled."""

        async def on_connect(self, key: str) -> None:
            self.start_soon(self.beside, key)

        async def beside(self, key: str) -> None:
            try:
                await anyio.sleep_forever()
            finally:
                told[key].put("cancelled")

        async def on_receive(self, message: str) -> None:
            told[self.path_params["key"]].put("handling")
            await anyio.sleep_forever()

    # Starlette runs it in a thread, where nothing can be awaited.
    def publish(request: Request) -> JSONResponse:
        group = request.path_params["group"]
        app.groups.sync.publish(group, request.query_params["message"])
        return JSONResponse(app.groups.sync.count(group))

    app = App(
        [
            WebSocketRoute("/class/echo/{key}", Echo),
            WebSocketRoute("/class/close/{key}/{code}/{reason}", Close),
            WebSocketRoute("/class/reject/{key}/{status}", Reject),
            WebSocketRoute("/class/reject-as-close/{key}/{status}", RejectAsClose),
            WebSocketRoute("/class/raise/{key}/{status}", Raise),
            WebSocketRoute("/class/parameters/{key}/{size}", Parameters),
            WebSocketRoute("/class/subprotocol", Choose),
            WebSocketRoute("/class/boom/{key}", Boom),
            WebSocketRoute("/push-only/{key}", PushOnly),
            WebSocketRoute("/member/{key}/{group}", Member),
            WebSocketRoute("/bounded/{key}/{group}", Bounded),
            WebSocketRoute("/busy/{key}", Busy, finish_timeout=0.05),
            *(
                WebSocketRoute(f"/typed/{name}", typed(annotation))
                for name, annotation in TYPES.items()
            ),
            WebSocketRoute("/typed/msgpack", typed(Order), receive_type="msgpack"),
            # Where malformed handshakes lead.
            WebSocketRoute("/echo", typed(Order)),
            WebSocketRoute("/unoffered", Choose),
            Route("/publish/{group}", publish, methods=["POST"]),
        ]
    )
    add_views(app, told)
    return app


def add_views(app: App, told: Told) -> None:
    """Add what the classes do in the style of functions."""

    @app.websocket_route("/function/echo/{key}", value_type="event")
    async def echo(ws: WebSocket, key: str) -> None:
        try:
            async for event in ws:
                await ws.send_event({**event, "type": "websocket.send"})
        except WebSocketDisconnect as left:
            told[key].put((left.code, left.reason))
            raise

    @app.websocket_route("/function/close/{key}/{code}/{reason}")
    async def close(ws: WebSocket, key: str, code: int, reason: str) -> None:
        await ws.close(code, reason)
        assert ws.close_event is not None
        told[key].put((ws.close_event.code, ws.close_event.reason))

    @app.websocket_route("/function/reject/{key}/{status}", auto_accept=False)
    async def reject(ws: WebSocket, key: str, status: int) -> None:
        await ws.reject(status, {"why": "full"}, {"retry-after": "5"})

    @app.websocket_route("/function/raise/{key}/{status}", auto_accept=False)
    async def raises(ws: WebSocket, key: str, status: int) -> None:
        raise HTTPException(status, "because", {"x-why": "so"})

    @app.websocket_route("/function/parameters/{key}/{size}")
    async def parameters(
        ws: WebSocket, key: str, size: int, limit: float = 1.0
    ) -> None:
        await ws.send(f"{size} {limit}")

    @app.websocket_route("/function/subprotocol", auto_accept=False)
    async def choose(ws: WebSocket) -> None:
        await ws.accept(subprotocol=ws.subprotocols[-1])

    @app.websocket_route("/function/boom/{key}")
    async def boom(ws: WebSocket, key: str) -> None:
        async for message in ws:
            raise ZeroDivisionError(f"a secret: {message}")
