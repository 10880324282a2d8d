"""Send anything at all to each way of reading messages, and judge what comes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any, Final, Self

import msgspec
from msgspec import Struct

from consumers import (
    App,
    Group,
    Groups,
    History,
    WebSocketConsumer,
    WebSocketRoute,
    receives,
    subscribes,
)
from consumers.protocol import VERSION
from consumers.testing import ClientConnection, Closed, TestClient

__all__ = ["FRAMES", "MESSAGES", "WAYS", "Target"]

CLOSES: Final = {1003, 1007, 1008, 1009}
"""With what a client's own fault may end its connection."""
FAULTS: Final = {"invalid_message", "unknown_type", "not_allowed", "too_large"}
"""With what it may be answered instead."""
_PROBE: Final = 2**53 - 1
_REUSED: Final = 200
"""So many messages go over one connection; a fault may need more than one."""

WAYS: Final = ("json", "msgpack", "v1+json", "v1+msgpack", "any-json", "any-msgpack")
"""How messages are read: bare or framed, typed or not, each by both codecs."""


class Order(Struct, tag="order"):
    item: str
    count: int = 1
    price: float = 0.0
    sizes: list[int] = []
    notes: dict[str, str] = {}
    more: Any = None
    when: datetime | None = None
    seal: bytes = b""


class Count(Struct, tag="count"):
    to: int


class Told(Struct, tag="told"):
    number: int


shop = Group("shop.{name}", history=History(size=5))


class Shop(WebSocketConsumer):
    """Takes orders."""

    @receives
    async def order(self, message: Order) -> Told:
        return Told(len(message.sizes))

    @receives
    async def count(self, message: Count) -> AsyncIterator[Told]:
        for number in range(min(message.to, 3)):
            yield Told(number)

    @receives("name")
    async def rename(self, name: str, loud: bool = False) -> None:
        pass

    @subscribes(shop)
    async def watch(self, name: str) -> Told:
        return Told(len(name))


class Anything(WebSocketConsumer):
    """Takes everything that its codec reads."""

    async def on_receive(self, message: Any) -> None:
        await self.send("probed" if message == "probe" else "ok")


MESSAGES: Final[list[Any]] = [
    {"type": "order", "item": "tea", "count": 2, "sizes": [1, 2], "notes": {"a": "b"}},
    {"type": "order", "item": "", "price": 1.5, "more": [{}, None], "seal": "YQ=="},
    {"type": "order", "item": "tea", "when": "2030-01-01T00:00:00Z", "id": 3},
    {"type": "count", "to": 2, "id": "a"},
    {"type": "name", "name": "ann", "loud": True, "id": 4},
    {"cancel": 3},
]
"""What clients without the subprotocol send."""

FRAMES: Final[list[Any]] = [
    *({"type": "message", "message": message} for message in MESSAGES[:5]),
    *(
        {"type": "request", "id": 5, "message": message, "key": "k-1"}
        for message in MESSAGES[:5]
    ),
    {"type": "cancel", "id": 5},
    {"type": "subscribe", "id": 6, "group": "shop.tea", "position": "1.abc"},
    {"type": "unsubscribe", "id": 7, "group": "shop.tea"},
    {"type": "refresh", "id": 8, "token": "t"},
    {"type": "reply", "id": 1, "message": {"a": 1}},
    {"type": "error", "id": 1, "code": "no", "detail": {"a": 1}},
    {"type": "ping"},
    {"type": "pong"},
]
"""What clients with it send."""


def make_app() -> App:
    """Return one that fails if it fails."""
    return App(
        [
            WebSocketRoute("/json", Shop),
            WebSocketRoute("/msgpack", Shop, value_type="msgpack"),
            WebSocketRoute("/any-json", Anything, value_type="json"),
            WebSocketRoute("/any-msgpack", Anything, value_type="msgpack"),
        ],
        groups=Groups("memory://", [shop]),
    )


class Target:
    """An application, and a connection to it by one of the ways.

    What the application raises is raised by `hit`.
    """

    def __init__(self, way: str) -> None:
        """Aim at one of the `WAYS`."""
        self._framed = way.startswith("v1")
        self._path = "/json" if self._framed else f"/{way}"
        self._untyped = way.startswith("any")
        self._protocols = [way.replace("v1", VERSION)] if self._framed else []
        self.codec = "msgpack" if way.endswith("msgpack") else "json"
        """How messages are read."""
        self.seeds = FRAMES if self._framed else MESSAGES
        """What is right."""
        self.answered = self.closed = 0
        """How many messages were answered by an error, and how many by a close."""
        self._application = AsyncExitStack()
        self._connection = AsyncExitStack()
        self._ws: ClientConnection | None = None

    async def __aenter__(self) -> Self:
        client = TestClient(make_app())
        self._client = await self._application.enter_async_context(client)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._connection.aclose()
        await self._application.aclose()

    async def hit(self, data: str | bytes) -> None:
        """Send a message and then one that is right.

        Raises:
            AssertionError: The connection ended by another code than a client's fault
                may have, or what is right was not answered.
        """
        if self._ws is None or self._sent >= _REUSED:
            await self._connect()
        assert self._ws is not None
        self._sent += 1
        code = None
        try:
            await self._ws.send(data)
            await self._probe(self._ws)
        except Closed as closed:
            code, self._ws = closed.code, None
        if code is not None:
            assert code in CLOSES, f"{code} for {data!r}"
            self.closed += 1

    async def _connect(self) -> None:
        await self._connection.aclose()
        self._sent = 0
        self._ws = await self._connection.enter_async_context(
            self._client.connect(self._path, subprotocols=self._protocols)
        )
        if self._framed:
            assert (await self._receive(self._ws))["type"] == "welcome"

    async def _receive(self, ws: ClientConnection) -> Any:
        data: Any = await ws.receive()
        if self.codec == "json":
            return msgspec.json.decode(data)
        return msgspec.msgpack.decode(data)

    async def _probe(self, ws: ClientConnection) -> None:
        send = ws.send_json if self.codec == "json" else ws.send_msgpack
        message = {"type": "count", "to": 0}
        if self._untyped:
            await send("probe")
        elif self._framed:
            await send({"type": "request", "id": _PROBE, "message": message})
        else:
            await send({**message, "id": _PROBE})
        while not self._is_answer(await self._receive(ws)):
            pass

    def _is_answer(self, got: Any) -> bool:
        if self._untyped:
            return bool(got == "probed")
        error = got.get("error")
        if got.get("type") == "error":
            error = got
        if error is not None:
            assert error["code"] in FAULTS
            self.answered += 1
        return got.get("id") == _PROBE and "done" in (*got, *got.values())
