"""The workloads: what clients do, with which peers, and how the tables explain it."""

import json
import random
import resource
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from consumers_tests.benchmarks import rows
from consumers_tests.benchmarks.jobs import Plan
from consumers_tests.benchmarks.rows import TEXT, Peer

MESSAGE = {"type": "chat.message", "text": "jackdaws love my big sphinx of quartz"}
SAY = {"type": "say", "text": "jackdaws love my big sphinx of quartz"}
SAID = {**SAY, "type": "said"}
REPLY = {**MESSAGE, "type": "chat.reply"}
# The same words in an order without sense: half of it is left when it is compressed,
# about as much as of what people write.
WORDS = (
    "the room is open and three people wait for her to say when they can begin with "
    "what was left undone yesterday because nobody had brought the key so this time "
    "Anna holds it"
)
KIBIBYTE = " ".join(random.Random(1).choices(WORDS.split(), k=300))[:1024]
OPEN_FILES = 100  # that the load generator has beside its connections


@dataclass(frozen=True)
class Curve:
    """What a workload is one point of, by the number of its connections."""

    name: str
    """How files call it."""

    axis: str
    """What grows."""

    unit: str
    """What is counted."""


MEMBERS = Curve("members", "members of the group", "us per delivery")
CONNECTIONS = Curve("connections", "connections, all busy", "us per message")


@dataclass(frozen=True)
class Workload:
    """What the clients do, with which peers."""

    title: str

    plan: Plan

    peers: Sequence[Peer]
    """The first is the reference."""

    processes: int = 1
    """How many servers an application has."""

    broker: bool = False
    """Whether each application has a broker, too; `BROKER_URL` tells where."""

    curve: Curve | None = None

    @property
    def reference(self) -> Peer:
        """What the others are compared with."""
        return self.peers[0]

    @property
    def unit(self) -> str:
        """What a cost is counted in."""
        return "KiB" if self.plan.kind == "memory" else "us of CPU"


def allowed(wanted: int, crowds: int = 1) -> int:
    """Return how many connections this machine allows, at most those that are wanted.

    Args:
        wanted: How many were wanted.
        crowds: So many times that one process opens them at once.
    """
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return wanted
    return min(wanted, (files - OPEN_FILES) // crowds)


def _number(wanted: int, crowds: int = 1) -> str:
    """Write how many connections there are, and why they are fewer than wanted."""
    found = allowed(wanted, crowds)
    if found == wanted:
        return f"{wanted:,}"
    return f"{found:,} (not {wanted:,}: no more files may be open)"


def _echo(body: str, connections: int = 64, window: int = 16) -> Plan:
    return Plan("echo", "/echo", body, connections=connections, window=window)


def _members(number: int) -> Workload:
    return Workload(
        f"Broadcast of 64 bytes to {number:,} members, 1 in flight (per delivery)",
        Plan("broadcast", "/broadcast", TEXT, connections=number),
        rows.FEW,
        curve=MEMBERS,
    )


def _connections(number: int) -> Workload:
    return Workload(
        f"Echo of 64 bytes, 1 in flight on each of {_number(number, 2)} connections "
        "(per message)",
        _echo(TEXT, allowed(number, 2), 1),
        rows.FEW,
        curve=CONNECTIONS,
    )


_JSON = Plan("echo", "/json", json.dumps(MESSAGE), REPLY, connections=64, window=16)
_TYPED = Plan("echo", "/typed", json.dumps(SAY), SAID, connections=64, window=16)
_REQUEST = Plan(
    "echo",
    "/request",
    json.dumps({"type": "request", "id": 1, "message": SAY}),
    {"type": "reply", "id": 1, "message": SAID},
    subprotocol="consumers.v1+json",
    welcome=1,
    connections=64,
    window=16,
)
_BROADCAST = Plan("broadcast", "/broadcast", TEXT, connections=500)
_SIZES = Plan("broadcast", "/broadcast", TEXT, connections=100)
_PASSING = Plan("broadcast", "/broadcast", TEXT, connections=50, pace=0.01)
_CHURN = Plan("churn", "/echo", connections=16)
_MEMORY = Plan("memory", "/echo", connections=2000)
_replace = msgspec.structs.replace

CORE = {
    "echo1": Workload(
        "Echo of 64 bytes, 64 connections, 1 in flight on each (per message)",
        _echo(TEXT, window=1),
        rows.ECHO,
    ),
    "echo16": Workload(
        "Echo of 64 bytes, 64 connections, 16 in flight on each (per message)",
        _echo(TEXT),
        rows.ECHO,
    ),
    "json": Workload(
        "Echo of JSON, one field changed, 64 connections, 16 in flight (per message)",
        _JSON,
        rows.JSON,
    ),
    "typed": Workload(
        "A message of two types, answered by one of a third, 16 in flight",
        _TYPED,
        rows.TYPED,
    ),
    "broadcast": Workload(
        "Broadcast of 64 bytes to 500 members, 1 in flight (per delivery)",
        _BROADCAST,
        rows.BROADCAST,
    ),
    "broadcast16": Workload(
        "Broadcast of 64 bytes to 500 members, 16 in flight (per delivery)",
        _replace(_BROADCAST, window=16),
        rows.BROADCAST,
    ),
    "churn": Workload(
        "Open and close, 16 at a time (per connection)", _CHURN, rows.FRAMEWORKS
    ),
    "memory": Workload(
        "Resident memory, 2,000 idle connections (per connection)",
        _MEMORY,
        rows.FRAMEWORKS,
    ),
}
"""What is measured where nothing else is asked for."""

WORKLOADS = {
    **CORE,
    "json1": Workload(
        "Echo of JSON, 1 in flight on each of 64 connections (per message)",
        _replace(_JSON, window=1),
        rows.JSON,
    ),
    "typed1": Workload(
        "A message of two types, 1 in flight on each of 64 connections (per message)",
        _replace(_TYPED, window=1),
        rows.TYPED,
    ),
    "request": Workload(
        "A request over consumers.v1 and its reply, 16 in flight (per request)",
        _REQUEST,
        rows.REQUEST,
    ),
    "request1": Workload(
        "The same, 1 in flight on each of 64 connections (per request)",
        _replace(_REQUEST, window=1),
        rows.REQUEST,
    ),
    "kibibyte": Workload(
        "Echo of 1 KiB, 64 connections, 16 in flight on each (per message)",
        _echo(KIBIBYTE),
        rows.FRAMEWORKS,
    ),
    "large": Workload(
        "Echo of 64 KiB, 16 connections, 1 in flight on each (per message)",
        _echo("x" * 65536, connections=16, window=1),
        rows.FRAMEWORKS,
    ),
    "compressed": Workload(
        "Echo of JSON, compression offered, 64 connections, 16 in flight (per message)",
        _replace(_JSON, compress=True),
        rows.FRAMEWORKS,
    ),
    "compressed-kibibyte": Workload(
        "Echo of 1 KiB, compression offered, 64 connections, 16 in flight",
        _replace(_echo(KIBIBYTE), compress=True),
        rows.FRAMEWORKS,
    ),
    "compressed-broadcast": Workload(
        "Broadcast of 1 KiB to 500 members, compression offered (per delivery)",
        _replace(_BROADCAST, body=KIBIBYTE, compress=True),
        rows.FRAMEWORKS,
    ),
    "compressed-memory": Workload(
        "Resident memory, 2,000 idle connections that compress (per connection)",
        _replace(_MEMORY, compress=True),
        rows.FRAMEWORKS,
    ),
    "idle": Workload(
        f"Resident memory, {_number(10_000)} idle connections (per connection)",
        _replace(_MEMORY, connections=allowed(10_000)),
        rows.FEW,
    ),
    **{
        f"servers-{name}": Workload(
            f"{CORE[name].title}, raw ASGI on each server",
            CORE[name].plan,
            rows.ON_SERVERS,
        )
        for name in ("echo1", "echo16", "broadcast", "churn", "memory")
    },
    **{f"members-{n}": _members(n) for n in (10, 100, 1000, 5000)},
    **{f"connections-{n}": _connections(n) for n in (100, 1000, 3000, 10_000)},
    "redis": Workload(
        "Broadcast through Valkey, 2 processes with 250 members each (per delivery)",
        _BROADCAST,
        rows.BY_BROKER,
        processes=2,
        broker=True,
    ),
    "sizes": Workload(
        "Broadcast in groups of different sizes (per delivery)", _SIZES, rows.SIZES
    ),
    "sizes-valkey": Workload(
        "The same through Valkey, 2 processes (per delivery)",
        _SIZES,
        rows.SIZES,
        processes=2,
        broker=True,
    ),
    "numbers": Workload(
        "250 deliveries, by one group or by 50 of many (per delivery)",
        _replace(_BROADCAST, connections=250),
        rows.NUMBERS,
    ),
    "numbers-valkey": Workload(
        "The same in each of 2 processes, through Valkey (per delivery)",
        _BROADCAST,
        rows.NUMBERS,
        processes=2,
        broker=True,
    ),
    "passing": Workload(
        "100 broadcasts a second to 50 members, beside others who come and go",
        _PASSING,
        rows.PASSING,
    ),
    "passing-valkey": Workload(
        "The same through Valkey, 2 processes",
        _PASSING,
        rows.PASSING,
        processes=2,
        broker=True,
    ),
}
