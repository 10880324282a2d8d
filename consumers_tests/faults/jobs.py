"""What passes between the processes of a run, as lines of JSON."""

from __future__ import annotations

import msgspec

from .verdict import Kept, Verdict

__all__ = [
    "Answer",
    "Command",
    "Heard",
    "Judged",
    "Note",
    "Numbered",
    "Open",
    "Progress",
    "Publish",
    "Settings",
    "State",
    "Status",
    "Visited",
    "Visiting",
    "Wait",
    "Watch",
    "Writing",
    "Written",
]


# -- the application -------------------------------------------------------------------


class Settings(msgspec.Struct, frozen=True):
    """How the application is served."""

    url: str = "memory://"
    """Of its groups."""
    without: str = ""
    """The guard that is taken out: see `guards`."""
    lease: float = 3.0
    """Seconds, of presence and of the source."""
    ttl: float = 3600.0
    """Seconds that histories are kept."""
    remember: float | None = None
    """Seconds that their positions are."""
    outbox_messages: int = 1000
    outbox_bytes: int = 1024 * 1024
    leak: int = 4096
    """Bytes of each message that are kept for ever, in the control that forgets."""


class State(msgspec.Struct):
    """What a server's process holds."""

    pid: int
    tasks: int
    files: int
    """Open file descriptors."""
    resident: int
    """Bytes of memory."""
    cpu: float
    """Seconds of the processor's time so far."""
    members: int
    """Of the group that was asked for."""
    blocks: int = 0
    """Of memory that Python has given to objects."""
    connections: int = 0
    """Of any kind that are open."""
    consumers: int = 0
    """Instances of consumers, if asked for: it takes a while."""
    present: dict[str, int] = {}
    """``{process id: connections that are present in the hall}``."""


class Numbered(msgspec.Struct, frozen=True):
    """A publication."""

    number: int
    """Whose, and which: see `verdict`."""
    at: float
    """When it was due, by the monotonic clock that the processes of a machine share."""
    filling: str = ""


class Heard(msgspec.Struct):
    """What a member reads: a publication, or how its joining went.

    A group without history sends the publication's fields themselves.
    """

    position: str | None = None
    message: Numbered | None = None
    recovered: bool | None = None
    number: int | None = None
    at: float = 0.0


# -- publishers ------------------------------------------------------------------------


class Publish(msgspec.Struct, frozen=True):
    """What one publisher does."""

    publisher: int
    groups: list[str]
    count: int
    """Publications to each group."""
    rate: float
    """Publications per second, to all groups together; who is late hurries."""
    filling: int = 0
    """Characters that each carries for nothing."""
    naive: bool = False
    """Whether it sends to each member by itself, and waits for it. A control."""


class Progress(msgspec.Struct, frozen=True):
    """How far a publisher is."""

    done: int
    failed: int = 0
    """How many could not be published."""
    why: str = ""
    seconds: float = 0.0
    over: bool = False


# -- the crowd -------------------------------------------------------------------------


class Open(msgspec.Struct, frozen=True, tag="open"):
    """Bring clients in; answered when all have joined."""

    ports: list[int]
    """Servers. Each client begins at the next one, and comes back to any."""
    path: str
    """Where to, with ``{group}``."""
    groups: list[str]
    """Each client is in the next one."""
    clients: int
    seed: int
    resume: bool = True
    """Whether they come back with their position. A control."""
    buffer: int | None = None
    """Bytes of each client's receive buffer, where it should be small."""
    notes: str = ""
    """A folder where their notes are kept, so that they outlive the process."""


class Watch(msgspec.Struct, frozen=True, tag="watch"):
    """Forget the delays until now, or return them."""

    forget: bool = False


class Wait(msgspec.Struct, frozen=True, tag="wait"):
    """Wait until each client has got all, or nothing comes any more; then judge."""

    sent: dict[str, dict[int, int]]
    """``{group: {publisher: count}}``."""
    histories: dict[str, Kept | None]
    """Of each group, in the end."""
    seconds: float
    quiet: float = 5.0
    """After so many seconds in which nobody got anything, nothing will come."""


class Status(msgspec.Struct, frozen=True, tag="status"):
    """Ask how many are there."""


Command = Open | Watch | Wait | Status


class Note(msgspec.Struct):
    """What happened to the clients so far."""

    clients: int = 0
    joined: int = 0
    """How many are members at the moment."""
    received: int = 0
    returns: int = 0
    """How often one came back."""
    told: int = 0
    """How many were told that they missed something."""
    closes: dict[str, int] = {}
    """``{close code: how often}``."""


class Judged(msgspec.Struct):
    """How it went."""

    note: Note
    verdict: Verdict
    wronged: int
    """How many clients have something to complain about."""
    disagreeing: int
    """Groups whose members did not get one and the same order."""
    seconds: float
    """How long the last one took."""
    example: str = ""
    """One complaint."""


class Answer(msgspec.Struct):
    """What a crowd answers: one of these."""

    note: Note | None = None
    judged: Judged | None = None
    delays: list[float] | None = None
    """Seconds from publishing to reading: the percentiles 0, 1, ... 100."""
    failure: str = ""


# -- writers, and what they were told --------------------------------------------------


class Writing(msgspec.Struct):
    """Clients that write numbers, each until it is acknowledged."""

    ports: list[int]
    """Each client is at the next one."""
    clients: int
    pause: float
    """Seconds between an acknowledgement and the next number, on average."""
    seed: int


class Written(msgspec.Struct):
    """What the clients were told."""

    acknowledged: list[int] = []
    blocks: int = 0
    """Of memory that Python has given to objects."""
    connections: int = 0
    longest: float = 0.0
    """Seconds that a number took to be acknowledged."""


# -- visitors, who do a bit of everything ----------------------------------------------


class Visiting(msgspec.Struct):
    """Clients that come and go, or stay, and compare what they get with what is due."""

    ports: list[int]
    seed: int
    times: int
    """Of how many there are at the least."""
    stalled: float
    """Seconds that a slow reader does not read, at most."""


class Visited(msgspec.Struct):
    """What the visitors did since they were asked last."""

    visits: int = 0
    answers: int = 0
    """Messages that came back as they should."""
    cut: int = 0
    """Connections that were lost, or could not be made."""
    wrong: list[str] = []
    """What should not have happened."""
