"""A consumer whose methods are cancelled, for tests of dispatch."""

from collections.abc import AsyncIterator
from typing import Any

import anyio
import msgspec

from consumers import WebSocketConsumer, receives
from consumers.testing import ClientConnection
from consumers_tests.doubles import Journal


class Work(msgspec.Struct, tag="work"):
    text: str


class Say(msgspec.Struct, tag="say"):
    text: str


class Working(WebSocketConsumer):
    """Works until it is cancelled, or until the test opens its gate."""

    journal: Journal
    gates: dict[str, anyio.Event]
    instances: list[Any]

    async def on_connect(self) -> None:
        self.instances.append(self)

    @receives
    async def work(self, message: Work) -> str:
        self.journal.add(f"begin {message.text}")
        try:
            await self.gates.setdefault(message.text, anyio.Event()).wait()
        except anyio.get_cancelled_exc_class():
            self.journal.add(f"cancelled {message.text}")
            raise
        return message.text

    @receives("stream")
    async def stream(self, text: str) -> AsyncIterator[str]:
        self.journal.add(f"begin {text}")
        try:
            yield text
            await self.gates.setdefault(text, anyio.Event()).wait()
        except anyio.get_cancelled_exc_class():
            self.journal.add(f"cancelled {text}")
            raise

    @receives
    async def say(self, message: Say) -> str:
        self.journal.add(message.text)
        return message.text


def working(concurrency: int = 1) -> type[Working]:
    """Return a class with a journal and gates of its own."""
    own = {"journal": Journal(), "gates": {}, "instances": []}
    return type("Working", (Working,), {**own, "concurrency": concurrency})


def cancelled(name: Any) -> Any:
    """Return the answer to what was cancelled."""
    return {"id": name, "error": {"code": "cancelled"}}


async def is_alive(ws: ClientConnection) -> None:
    """Check that the connection handles messages, and nothing else came before."""
    await ws.send({"type": "say", "text": "alive", "id": "alive"})
    assert await ws.receive_json() == {"id": "alive", "reply": "alive"}
