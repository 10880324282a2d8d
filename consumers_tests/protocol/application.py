"""The application that the examples of `docs/reference/protocol.md` are held with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Annotated

import anyio
from msgspec import Meta, Struct
from starlette.exceptions import HTTPException

from consumers import (
    App,
    Coalesce,
    Group,
    Groups,
    History,
    Identity,
    Limits,
    MessageError,
    NotAllowed,
    WebSocket,
    WebSocketConsumer,
    WebSocketRoute,
    receives,
    subscribes,
)


class Say(Struct, tag="say"):
    channel: str
    text: str


class Receipt(Struct, tag="receipt"):
    number: int


class Said(Struct, tag="said"):
    text: str


class Ask(Struct, tag="ask"):
    text: str
    pause: bool = False


class Word(Struct, tag="word"):
    word: str


class Tick(Struct, tag="tick"):
    prices: dict[str, float]


class Price(Struct, tag="price"):
    symbol: str
    price: float


class Quiz(Struct, tag="quiz"):
    pass


class Question(Struct, tag="question"):
    text: str


class Answer(Struct, tag="answer"):
    text: str


class Score(Struct, tag="score"):
    points: int


class Slow(Struct, tag="slow"):
    pass


class Crash(Struct, tag="crash"):
    pass


class Kick(Struct, tag="kick"):
    group: str


class Topic(Struct):
    topic: str


room = Group("chat.{channel}", sends=Said, history=History(size=100, ttl=3600))
log = Group("log.{channel}", sends=Said, history=History(size=100, ttl=3600))
latest = Coalesce("symbol", every=1.0, batch=True)
prices = Group("prices", sends=Price, outbox=latest)


class Chat(WebSocketConsumer):
    """Does what the page says of each message."""

    sends = Said | Score

    async def on_connect(
        self, name: Annotated[str, Meta(max_length=20)] = "somebody"
    ) -> None:
        self.name = name

    @receives
    async def say(self, message: Say) -> Receipt:
        if message.channel == "nowhere":
            raise MessageError("no_such_channel", {"channel": message.channel})
        if message.channel == "attic":
            raise NotAllowed("nobody is allowed into the attic")
        await self.publish(log(message.channel), Said(message.text))
        position = await self.publish(room(message.channel), Said(message.text))
        assert position is not None
        return Receipt(position.offset)

    @receives(concurrency=4)
    async def ask(self, message: Ask) -> AsyncIterator[Word]:
        for word in message.text.split():
            yield Word(word)
            if message.pause:
                await anyio.sleep_forever()

    @receives("rename")
    async def rename(self, name: Annotated[str, Meta(max_length=20)]) -> None:
        self.name = name

    @receives
    async def quiz(self, message: Quiz) -> None:
        try:
            answer = await self.request(Question("6 times 7?"), returns=Answer)
        except MessageError:
            await self.send(Score(0))
        else:
            await self.send(Score(int(answer.text == "42")))

    @receives(timeout=5.0)
    async def slow(self, message: Slow) -> None:
        await anyio.sleep_forever()

    @receives
    async def crash(self, message: Crash) -> None:
        raise ZeroDivisionError("what nobody foresaw")

    @receives
    async def kick(self, message: Kick) -> None:
        await self.leave(message.group)

    @subscribes(room)
    async def watch(self, channel: str) -> Topic:
        if channel == "attic":
            raise NotAllowed("nobody is allowed into the attic")
        return Topic(channel)

    @receives
    async def tick(self, message: Tick) -> None:
        for symbol, price in message.prices.items():
            await self.publish(prices, Price(symbol, price))

    @subscribes(prices)
    async def trade(self) -> None:
        pass

    @subscribes(log, last=2)
    async def follow(self, channel: str) -> None:
        pass


class Full(WebSocketConsumer):
    """Has no room for anybody."""

    async def on_handshake(self) -> None:
        await self.reject(503, "try tomorrow", {"retry-after": "60"})


LIFETIMES = {
    "ann": timedelta(hours=1),
    "ann-briefly": timedelta(seconds=20),
    "ann-for-a-moment": timedelta(seconds=0.3),
}


async def authenticate(connection: WebSocket) -> Identity | None:
    """Know one user by her tokens. Who has none is somebody unknown."""
    token = connection.token
    if token is None:
        return None
    if token not in LIFETIMES:
        raise HTTPException(401, "this token is nobody's")
    return Identity("ann", expires=datetime.now(UTC) + LIFETIMES[token])


LIMITS = Limits(heartbeat=25.0, heartbeat_timeout=10.0, inbox=32)

RESTLESS = {
    "/patient": Limits(heartbeat=0.1, heartbeat_timeout=30.0),
    "/strict": Limits(heartbeat=0.1, heartbeat_timeout=0.4),
    "/calm": Limits(heartbeat=None),
}
"""Where time passes quickly, or not at all, over real sockets: ``{path: limits}``."""


def make_app() -> App:
    """Return one without a past."""
    return App(
        [
            WebSocketRoute("/chat", Chat),
            WebSocketRoute("/full", Full),
            *(
                WebSocketRoute(path, Chat, limits=limits, name=path)
                for path, limits in RESTLESS.items()
            ),
            # The plain wire is JSON if a class does not say otherwise.
            WebSocketRoute("/msgpack/chat", Chat, value_type="msgpack"),
        ],
        groups=Groups("memory://", [room, log, prices]),
        authenticate=authenticate,
        limits=LIMITS,
    )
