"""Outboxes with their accounts, and a server that can be stalled."""

import anyio

from consumers.codecs import Event
from consumers.groups import Group, Publication
from consumers.limits import DEFAULT_LIMITS, Limits
from consumers.queues.backlog import Ledger
from consumers.queues.outbox import Late, Outbox
from consumers.queues.policies import Loss, Policy


def text(data: str) -> Event:
    return {"type": "websocket.send", "text": data}


class Waiting(Outbox):
    """An outbox with its accounts, and ways to publish in few words."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.losses: dict[Loss, int] = {}
        super().__init__(self.ledger, self.encode, self.losses.__setitem__)

    def encode(self, publication: Publication) -> tuple[Event, int]:
        return text(publication.message), len(publication.message)

    def publish(
        self,
        message: str,
        policy: Policy | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> bool:
        publication = self.publication(message, policy)
        return self.put(*self.encode(publication), publication, limits)

    def publish_late(
        self, late: Late, size: int = 1, limits: Limits = DEFAULT_LIMITS
    ) -> bool:
        return self.put_late(late, size, self.publication("late"), limits)

    def publication(self, message: str, policy: Policy | None = None) -> Publication:
        return Publication("group", message, declared=Group("group", outbox=policy))


class Server:
    """A server's side of `send`: keeps what it gets, and waits while it is stalled."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.begun: list[str] = []
        self.error: Exception | None = None
        self._flows = anyio.Event()
        self._flows.set()

    def stall(self) -> None:
        self._flows = anyio.Event()

    def flow(self) -> None:
        self._flows.set()

    async def send(self, event: Event) -> None:
        self.begun.append(event["text"])
        await self._flows.wait()
        if self.error is not None:
            raise self.error
        self.sent.append(event["text"])
