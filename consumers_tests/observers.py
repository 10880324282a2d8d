"""What tests of observers share: one that keeps a journal, and consumers for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from consumers import (
    CloseEvent,
    Limits,
    MessageError,
    Publication,
    Rate,
    WebSocketConsumer,
    receives,
)
from consumers.groups import Groups
from consumers.observing import Observer
from consumers.runtime.traffic import traffic_of


class Say(msgspec.Struct, tag="say"):
    text: str


class Fail(msgspec.Struct, tag="fail"):
    pass


class Chat(WebSocketConsumer):
    """Publishes what it is told, answers with an error, or fails."""

    async def on_connect(self) -> None:
        await self.join("lobby")

    @receives
    async def say(self, message: Say) -> None:
        if message.text == "rude":
            raise MessageError("rude")
        await self.publish("lobby", message)

    @receives
    async def fail(self, message: Fail) -> None:
        raise RuntimeError("as it was asked to")


class Echo(WebSocketConsumer):
    async def on_receive(self, message: str) -> None:
        await self.send(message)


class Metered(Echo):
    """Closes at the third message at once."""

    limits = Limits(message_rate=Rate(per_second=1, burst=2), over_rate="close")


class Watching(Observer):
    """Keeps what it is told, without times."""

    counts_traffic = True

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def names(self) -> list[str]:
        """Return the names of what it was told."""
        return [entry[0] for entry in self.told]

    def attached(self, groups: Groups) -> None:
        self.told.append(("attached", groups))

    def opening(self, connection: WebSocketConsumer) -> None:
        self.told.append(("opening",))

    def opened(self, connection: WebSocketConsumer, seconds: float) -> None:
        assert 0 <= seconds < 60
        self.told.append(("opened", type(connection).__name__))

    def refused(
        self, connection: WebSocketConsumer, status: int | None, seconds: float
    ) -> None:
        self.told.append(("refused", status))

    def closed(
        self, connection: WebSocketConsumer, event: CloseEvent, seconds: float
    ) -> None:
        traffic = traffic_of(connection)
        counts = (traffic.messages_in, traffic.messages_out)
        self.told.append(("closed", event.code, event.initiator, *counts))

    def failed(self, connection: WebSocketConsumer, error: BaseException) -> None:
        self.told.append(("failed", type(error)))

    def handling(self, connection: WebSocketConsumer, name: str) -> None:
        self.told.append(("handling", name))

    def handled(
        self,
        connection: WebSocketConsumer,
        name: str,
        seconds: float,
        error: BaseException | None,
    ) -> None:
        self.told.append(("handled", name, None if error is None else type(error)))

    def publishing(self, publications: Sequence[Publication]) -> None:
        self.told.append(("publishing", [each.message for each in publications]))

    def published(
        self,
        publications: Sequence[Publication],
        seconds: float,
        error: BaseException | None,
    ) -> None:
        self.told.append(("published", None if error is None else type(error)))

    def delivered(self, publication: Publication, members: int, seconds: float) -> None:
        self.told.append(("delivered", publication.group, members))
