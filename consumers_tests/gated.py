"""A consumer whose messages wait for the test, for tests of dispatch."""

from typing import Any

import anyio
import msgspec

from consumers import WebSocketConsumer, receives
from consumers_tests.doubles import Journal


class Ask(msgspec.Struct, tag="ask", weakref=True):
    text: str
    room: str = ""


class Say(msgspec.Struct, tag="say"):
    text: str


class Gated(WebSocketConsumer):
    """Answers once the test opens the message's gate."""

    journal: Journal
    gates: dict[str, anyio.Event]
    instances: list[WebSocketConsumer]

    async def on_connect(self) -> None:
        self.instances.append(self)

    async def answer(self, text: str) -> str:
        """Wait for a gate."""
        self.journal.add(f"begin {text}")
        try:
            await self.gates.setdefault(text, anyio.Event()).wait()
        finally:
            self.journal.add(f"end {text}")
        return text

    async def on_disconnect(self, code: int) -> None:
        self.journal.add(code)


def gated(**options: Any) -> type[Gated]:
    """Return a class whose `ask` has these options, and that has gates of its own."""

    class Asking(Gated):
        journal = Journal()
        gates = {}  # noqa: RUF012
        instances = []  # noqa: RUF012

        @receives(**options)
        async def ask(self, message: Ask) -> str:
            return await self.answer(message.text)

        @receives
        async def say(self, message: Say) -> str:
            return await self.answer(message.text)

    return Asking


def open_all(consumer: type[Gated]) -> None:
    """Open all gates that there are."""
    for gate in consumer.gates.values():
        gate.set()


async def ask(ws: Any, text: str, room: str = "") -> None:
    """Send a message."""
    await ws.send({"type": "ask", "text": text, "room": room, "id": text})
