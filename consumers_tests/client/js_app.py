"""The application that the JavaScript client's tests talk to."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import anyio
from msgspec import Struct
from starlette.exceptions import HTTPException

from consumers import (
    App,
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
    room: str
    text: str


class Said(Struct, tag="said"):
    text: str


class Ask(Struct, tag="count"):
    to: int
    name: str = ""
    pause: bool = False


class Question(Struct, tag="question"):
    text: str


class Answer(Struct, tag="answer"):
    text: str


rooms = Group("room.{room}", sends=Said, history=History(size=1000, ttl=3600))


class Talk(WebSocketConsumer):
    """Echoes, counts, publishes and asks."""

    effects: ClassVar[Counter[str]] = Counter()
    stopped: ClassVar[Counter[str]] = Counter()

    @receives("echo")
    async def echo(self, text: str) -> str:
        return text

    @receives("fail")
    async def fail(self, code: str) -> None:
        raise MessageError(code, {"asked": code})

    @receives("crash")
    async def crash(self) -> None:
        raise ZeroDivisionError("what nobody foresaw")

    @receives("push")
    async def push(self, text: str) -> None:
        await self.send(Said(text))

    @receives
    async def say(self, message: Say) -> int:
        self.effects[message.room] += 1
        await self.publish(rooms(message.room), Said(message.text))
        return self.effects[message.room]

    @receives(concurrency=4)
    async def count(self, message: Ask) -> AsyncIterator[int]:
        try:
            for n in range(message.to):
                yield n
                if message.pause:
                    await anyio.sleep_forever()
        finally:
            self.stopped[message.name] += 1

    @receives("stopped")
    async def stops(self, name: str) -> int:
        return self.stopped[name]

    @receives("quiz")
    async def quiz(self) -> str:
        try:
            answer: Answer = await self.request(Question("6 times 7?"), returns=Answer)
        except MessageError as error:
            return error.code
        return answer.text

    @receives("token")
    async def its_token(self) -> str | None:
        return self.token

    @receives("join")
    async def put_in(self, room: str) -> None:
        await self.join(rooms(room))

    @receives("leave")
    async def kick(self, room: str) -> None:
        await self.leave(rooms(room))

    @subscribes(rooms)
    async def watch(self, room: str) -> dict[str, int]:
        if room == "closed":
            raise NotAllowed("nobody may")
        return {"effects": self.effects[room]}


class Forbidden(WebSocketConsumer):
    """Lets nobody in."""

    async def on_handshake(self) -> None:
        await self.reject(403, "go away")


class Number(WebSocketConsumer):
    """Wants a number in its address."""

    async def on_connect(self, number: int = 0) -> None:
        self.number = number


async def authenticate(connection: WebSocket) -> Identity | None:
    """Know who has a token such as `ann` or, for so many seconds, `ann:1.5`."""
    name, _, seconds = (connection.token or "").partition(":")
    if name == "nobody":
        raise HTTPException(401, "this token is nobody's")
    if not seconds:
        return Identity(name) if name else None
    ends = datetime.now(UTC) + timedelta(seconds=float(seconds))
    return Identity(name, expires=ends)


def make_app() -> App:
    """Return the application, without a past."""
    return App(
        [
            WebSocketRoute("/talk", Talk),
            WebSocketRoute(
                "/restless",
                Talk,
                limits=Limits(heartbeat=0.2, heartbeat_timeout=1.0),
            ),
            WebSocketRoute("/forbidden", Forbidden),
            WebSocketRoute("/number", Number),
        ],
        groups=Groups("memory://", [rooms]),
        authenticate=authenticate,
    )
