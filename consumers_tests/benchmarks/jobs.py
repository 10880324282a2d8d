"""What a measurement is asked to do, and what it answers: passed between processes."""

from typing import Any, Literal

import msgspec


class Plan(msgspec.Struct, frozen=True):
    """What the clients do."""

    kind: Literal["echo", "broadcast", "churn", "memory"]
    """Which of the crowds in `clients` comes, or `memory` in `load`."""

    path: str
    """The route of the peer's application."""

    body: str = ""
    """The message. With `reply` left empty it is what comes back, too."""

    reply: dict[str, Any] | None = None
    """The JSON object that comes back, however it is written."""

    subprotocol: str = ""
    """What the clients offer."""

    compress: bool = False
    """Whether they offer compression, as browsers do, and compress if it is taken."""

    hello: str = ""
    """What each client says before anything is counted."""

    welcome: int = 0
    """How many messages the server sends to each before that."""

    connections: int = 1
    """How many are open at once."""

    window: int = 1
    """How many messages of one connection are on their way at once."""

    settle: float = 0.3
    """Seconds for a server to finish what nobody can see from outside."""

    pace: float = 0.0
    """Seconds from one broadcast to the next; 0: at once when all have the last."""

    passing: int = 0
    """How many groups a second are joined and left beside the broadcasts."""

    def plain(self) -> "Plan":
        """Return the same without compression."""
        return msgspec.structs.replace(self, compress=False)


class Server(msgspec.Struct, frozen=True):
    """A server that accepts connections."""

    pid: int
    """The process that is measured, with those that it has started."""

    port: int
    """Where it listens, on 127.0.0.1."""


class Side(msgspec.Struct, frozen=True):
    """One of those that take turns: an application, and what to do there."""

    plan: Plan

    servers: list[Server]
    """All its processes. Connections are spread over them evenly."""


class Job(msgspec.Struct, frozen=True):
    """What is to be measured in turns."""

    sides: list[Side]

    seconds: float
    """How long to measure each; in all below the 20 s after which servers ping."""

    patience: float = 10.0
    """How long to wait for replies that are still due, in seconds."""


class Sample(msgspec.Struct, frozen=True):
    """What a measurement gave."""

    cost: float
    """Microseconds of the server's CPU time per unit, or KiB of its memory."""

    rate: float | None = None
    """Units per second of wall-clock time, where time is measured."""

    busy: float | None = None
    """Share of that time in which the client had something to do, 0 to 1."""

    median: float | None = None
    """Half of the deliveries came within so many milliseconds, of broadcasts."""

    slowest: float | None = None
    """Of a hundred deliveries 99 came within so many milliseconds."""

    passed: float | None = None
    """Groups that were joined and left per second beside them."""

    compressed: bool | None = None
    """Whether the server took the offer to compress, where there was one."""


class Done(msgspec.Struct, frozen=True, tag="done"):
    """A job's results."""

    samples: list[Sample]
    """One for each side, in the job's order."""


class Failure(msgspec.Struct, frozen=True, tag="failure"):
    """Why there are no results."""

    reason: str
