"""What can be measured: the peers, the servers and the workloads."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from consumers_tests.benchmarks.jobs import Plan
from consumers_tests.benchmarks.processes import Command

TEXT = "x" * 64
MESSAGE = {"type": "chat.message", "text": "jackdaws love my big sphinx of quartz"}
REPLY = {**MESSAGE, "type": "chat.reply"}


@dataclass(frozen=True)
class Peer:
    """An application in one framework's style."""

    name: str
    """How the tables call it."""

    app: str
    """MODULE:APP, an ASGI application with the routes that `peers` describes."""


@dataclass(frozen=True)
class Workload:
    """What the clients do, and how the tables explain it."""

    title: str
    plan: Plan


def uvicorn(ws: str, loop: str) -> Command:
    """Stock uvicorn; clients offer no compression, so it is off."""

    def command(app: str, port: int) -> Sequence[str]:
        flags = ["--ws", ws, "--loop", loop, "--log-level", "warning"]
        return ["uvicorn", app, "--port", str(port), *flags, "--no-access-log"]

    return command


def _peer(name: str, module: str) -> Peer:
    return Peer(name, f"consumers_tests.benchmarks.peers.{module}:app")


REFERENCE = _peer("raw ASGI", "raw")
PEERS = [
    REFERENCE,  # a pair with itself: its spread is the noise
    _peer("consumers", "consumers_app"),
    _peer("Starlette", "starlette_app"),
    _peer("Channels", "channels_app"),
]

SERVERS = {
    f"uvicorn-{ws}-{loop}": uvicorn(ws, loop)
    for ws in ("websockets-sansio", "websockets", "wsproto")
    for loop in ("uvloop", "asyncio")
}
STOCK = "uvicorn-websockets-sansio-uvloop"

WORKLOADS = {
    "echo1": Workload(
        "Echo of 64 bytes, 64 connections, 1 in flight on each (per message)",
        Plan("echo", "/echo", TEXT, connections=64, window=1),
    ),
    "echo16": Workload(
        "Echo of 64 bytes, 64 connections, 16 in flight on each (per message)",
        Plan("echo", "/echo", TEXT, connections=64, window=16),
    ),
    "json": Workload(
        "Echo of JSON, one field changed, 64 connections, 16 in flight (per message)",
        Plan("echo", "/json", json.dumps(MESSAGE), REPLY, connections=64, window=16),
    ),
    "broadcast": Workload(
        "Broadcast of 64 bytes to 500 members, 1 in flight (per delivery)",
        Plan("broadcast", "/broadcast", TEXT, connections=500),
    ),
    "churn": Workload(
        "Open and close, 16 at a time (per connection)",
        Plan("churn", "/echo", connections=16),
    ),
    "memory": Workload(
        "Resident memory, 2000 idle connections (per connection)",
        Plan("memory", "/echo", connections=2000),
    ),
}
