"""What can be measured: the peers, the servers and the workloads."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from consumers_tests.benchmarks.jobs import Plan
from consumers_tests.benchmarks.processes import Command

TEXT = "x" * 64
MESSAGE = {"type": "chat.message", "text": "jackdaws love my big sphinx of quartz"}
SAY = {"type": "say", "text": "jackdaws love my big sphinx of quartz"}
SAID = {**SAY, "type": "said"}
REPLY = {**MESSAGE, "type": "chat.reply"}


@dataclass(frozen=True)
class Peer:
    """An application in one framework's style."""

    name: str
    """How the tables call it."""

    app: str
    """MODULE:APP, an ASGI application with the routes that `peers` describes."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that its processes are started with."""

    changes: Mapping[str, Any] = field(default_factory=dict)
    """What its plan has otherwise than the workload's."""


@dataclass(frozen=True)
class Workload:
    """What the clients do, with which peers, and how the tables explain it."""

    title: str

    plan: Plan

    peers: Sequence[Peer]
    """The first is the reference. A pair of it with itself shows the noise."""

    processes: int = 1
    """How many servers an application has."""

    broker: bool = False
    """Whether each application has a broker, too; `BROKER_URL` tells where."""

    @property
    def reference(self) -> Peer:
        """What the others are compared with."""
        return self.peers[0]


def uvicorn(ws: str, loop: str) -> Command:
    """Stock uvicorn; clients offer no compression, so it is off."""

    def command(app: str, port: int) -> Sequence[str]:
        flags = ["--ws", ws, "--loop", loop, "--log-level", "warning"]
        return ["uvicorn", app, "--port", str(port), *flags, "--no-access-log"]

    return command


def _peer(name: str, module: str, **environment: str) -> Peer:
    app = f"consumers_tests.benchmarks.peers.{module}:app"
    return Peer(name, app, environment)


def _ours(name: str, **changes: Any) -> Peer:
    return Peer(name, "consumers_tests.benchmarks.peers.groups_app:app", {}, changes)


REFERENCE = _peer("raw ASGI", "raw")
OURS = _peer("consumers", "consumers_app")
PEERS = [
    REFERENCE,
    OURS,
    _peer("Starlette", "starlette_app"),
    _peer("Litestar", "litestar_app"),
    _peer("Channels", "channels_app"),
]
BROKER_PEERS = [
    OURS,
    _peer("Starlette by hand", "starlette_redis_app"),
    _peer("Litestar", "litestar_app"),
    _peer("Channels", "channels_app"),
    _peer("Channels, pub/sub", "channels_app", LAYER="pubsub"),
]
SIZES = [
    _ours("100 members"),
    _ours("10 members", connections=10),
    _ours("1,000 members", connections=1000),
]
NUMBERS = [
    _ours("one group of all", path="/broadcast"),
    _ours("50 groups of 5", path="/few/50"),
    _ours("10,000 groups of 5", path="/few/10000", settle=3.0),
]
PASSING = [
    _ours("deliveries alone"),
    _ours("beside 500 joins and leaves a second", passing=500),
]

SERVERS = {
    f"uvicorn-{ws}-{loop}": uvicorn(ws, loop)
    for ws in ("websockets-sansio", "websockets", "wsproto")
    for loop in ("uvloop", "asyncio")
}
STOCK = "uvicorn-websockets-sansio-uvloop"

_REQUEST = Plan(
    "echo",
    "/request",
    json.dumps({"type": "request", "id": 1, "message": SAY}),
    {"type": "reply", "id": 1, "message": SAID},
    subprotocol="consumers.v1+json",
    connections=64,
    window=16,
)
_BROADCAST = Plan("broadcast", "/broadcast", TEXT, connections=500)
_SIZES = Plan("broadcast", "/broadcast", TEXT, connections=100)
_PASSING = Plan("broadcast", "/broadcast", TEXT, connections=50, pace=0.01)
WORKLOADS = {
    "echo1": Workload(
        "Echo of 64 bytes, 64 connections, 1 in flight on each (per message)",
        Plan("echo", "/echo", TEXT, connections=64, window=1),
        PEERS,
    ),
    "echo16": Workload(
        "Echo of 64 bytes, 64 connections, 16 in flight on each (per message)",
        Plan("echo", "/echo", TEXT, connections=64, window=16),
        PEERS,
    ),
    "json": Workload(
        "Echo of JSON, one field changed, 64 connections, 16 in flight (per message)",
        Plan("echo", "/json", json.dumps(MESSAGE), REPLY, connections=64, window=16),
        PEERS,
    ),
    "typed": Workload(
        "A message of two types, answered by one of a third, 16 in flight",
        Plan("echo", "/typed", json.dumps(SAY), SAID, connections=64, window=16),
        [REFERENCE, OURS],
    ),
    "typed1": Workload(
        "The same, 1 in flight on each of 64 connections (per message)",
        Plan("echo", "/typed", json.dumps(SAY), SAID, connections=64, window=1),
        [REFERENCE, OURS],
    ),
    "request": Workload(
        "A request over consumers.v1 and its reply, 16 in flight (per request)",
        _REQUEST,
        [REFERENCE, OURS],
    ),
    "request1": Workload(
        "The same, 1 in flight on each of 64 connections (per request)",
        msgspec.structs.replace(_REQUEST, window=1),
        [REFERENCE, OURS],
    ),
    "broadcast": Workload(
        "Broadcast of 64 bytes to 500 members, 1 in flight (per delivery)",
        _BROADCAST,
        PEERS,
    ),
    "churn": Workload(
        "Open and close, 16 at a time (per connection)",
        Plan("churn", "/echo", connections=16),
        PEERS,
    ),
    "memory": Workload(
        "Resident memory, 2000 idle connections (per connection)",
        Plan("memory", "/echo", connections=2000),
        PEERS,
    ),
    "redis": Workload(
        "Broadcast through Valkey, 2 processes with 250 members each (per delivery)",
        _BROADCAST,
        BROKER_PEERS,
        processes=2,
        broker=True,
    ),
    "sizes": Workload(
        "Broadcast in groups of different sizes (per delivery)", _SIZES, SIZES
    ),
    "sizes-valkey": Workload(
        "The same through Valkey, 2 processes (per delivery)",
        _SIZES,
        SIZES,
        processes=2,
        broker=True,
    ),
    "numbers": Workload(
        "250 deliveries, by one group or by 50 of many (per delivery)",
        msgspec.structs.replace(_BROADCAST, connections=250),
        NUMBERS,
    ),
    "numbers-valkey": Workload(
        "The same in each of 2 processes, through Valkey (per delivery)",
        _BROADCAST,
        NUMBERS,
        processes=2,
        broker=True,
    ),
    "passing": Workload(
        "100 broadcasts a second to 50 members, beside others who come and go",
        _PASSING,
        PASSING,
    ),
    "passing-valkey": Workload(
        "The same through Valkey, 2 processes",
        _PASSING,
        PASSING,
        processes=2,
        broker=True,
    ),
}
