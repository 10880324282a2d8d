"""What a measurement is asked to do, and what it answers: passed between processes."""

from typing import Literal

import msgspec


class Plan(msgspec.Struct, frozen=True):
    """What the clients do."""

    kind: Literal["echo", "broadcast", "churn", "memory"]
    """Which of the crowds in `clients` comes, or `memory` in `load`."""

    path: str
    """The route of the peer's application."""

    body: str = ""
    """The message. With `reply` left empty it is what comes back, too."""

    reply: dict[str, str] | None = None
    """The JSON object that comes back, however it is written."""

    connections: int = 1
    """How many are open at once."""

    window: int = 1
    """How many messages of one connection are on their way at once."""


class Server(msgspec.Struct, frozen=True):
    """A server that accepts connections."""

    pid: int
    """The process that does the work: its CPU time and memory are measured."""

    port: int
    """Where it listens, on 127.0.0.1."""


class Job(msgspec.Struct, frozen=True):
    """A plan, and the servers to run it against in turns."""

    plan: Plan
    servers: list[Server]
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


class Done(msgspec.Struct, frozen=True, tag="done"):
    """A job's results."""

    samples: list[Sample]
    """One for each server, in the job's order."""


class Failure(msgspec.Struct, frozen=True, tag="failure"):
    """Why there are no results."""

    reason: str
