"""The peers, and which of them a table has as rows.

The first row of each table is the reference. A pair of it with itself shows the noise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from consumers_tests.benchmarks.servers import SERVERS, STOCK, Recipe, absent, alone

TEXT = "x" * 64
MODULES = "consumers_tests.benchmarks.peers"


@dataclass(frozen=True)
class Peer:
    """An application in one framework's style."""

    name: str
    """How the tables call it."""

    app: str
    """MODULE:APP, an ASGI application with the routes that `peers` describes, or the
    module of one that brings its own server."""

    server: Recipe | None = None
    """What it is served by, if not by what all are."""

    needs: Sequence[str] = ()
    """Modules that must be there, beside the server's."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that its processes are started with."""

    changes: Mapping[str, Any] = field(default_factory=dict)
    """What its plan has otherwise than the workload's."""

    tree: Path | None = None
    """Where `consumers` is taken from, if not from here: a folder that has it."""

    def missing(self) -> list[str]:
        """Return the modules that it needs and that are not there."""
        needs = [*self.needs, *(self.server.needs if self.server else ())]
        return absent(needs, self.tree)


def _peer(name: str, module: str, *needs: str, **environment: str) -> Peer:
    return Peer(name, f"{MODULES}.{module}:app", None, needs, environment)


def _alone(name: str, module: str, *needs: str, flags: Sequence[str] = ()) -> Peer:
    return Peer(name, f"{MODULES}.{module}", alone(*flags), needs)


def _ours(name: str, server: str) -> Peer:
    return Peer(name, OURS.app, SERVERS[server])


def _groups(name: str, **changes: Any) -> Peer:
    return Peer(name, f"{MODULES}.groups_app:app", changes=changes)


def _socketio(event: str) -> Peer:
    changes = {
        "path": "/socket.io/?EIO=4&transport=websocket",
        "hello": "40",
        "welcome": 2,
        "body": f'42["{event}","{TEXT}"]',
    }
    needs = ("socketio",)
    return Peer(
        "python-socketio", f"{MODULES}.socketio_app:app", needs=needs, changes=changes
    )


REFERENCE = _peer("raw ASGI", "raw")
OURS = _peer("consumers", "consumers_app")
OWN_SERVER = _ours("consumers (own server)", "uvicorn-own-uvloop")
OWN_ASYNCIO = _ours("consumers (own on asyncio)", "uvicorn-own-asyncio")
OWN_TRIO = _ours("consumers (trio)", "consumers-trio")
OF_OURS = [OURS, OWN_SERVER, OWN_ASYNCIO, OWN_TRIO]

STDLIB = _peer("raw ASGI with json and gather", "raw_stdlib")
STARLETTE = _peer("Starlette endpoint", "starlette_endpoint_app")
LITESTAR = _peer("Litestar", "litestar_app", "litestar")
FAST_CHANNELS = _peer("fast-channels", "fast_channels_app", "fast_channels")
CHANNELS = _peer("Channels", "channels_app", "channels")
BROADCASTER = _peer("broadcaster", "broadcaster_app", "broadcaster")
PICOWS = _alone("picows alone", "picows_server", "picows")
CHANX = Peer(
    "chanx",
    f"{MODULES}.chanx_app:app",
    needs=("chanx",),
    changes={
        "body": f'{{"action": "say", "payload": {{"text": "{TEXT[:37]}"}}}}',
        "reply": {"action": "said", "payload": {"text": TEXT[:37]}},
    },
)
FRAMEWORKS = [
    REFERENCE,
    *OF_OURS,
    STARLETTE,
    _peer("Starlette function", "starlette_function_app"),
    _peer("FastAPI", "fastapi_app", "fastapi"),
    _peer("BlackSheep", "blacksheep_app", "blacksheep"),
    LITESTAR,
    _peer("Falcon", "falcon_app", "falcon"),
    CHANNELS,
    FAST_CHANNELS,
    _alone("Tornado", "tornado_server", "tornado"),
    PICOWS,
    _alone("system calls alone", "floor_server"),
]
ECHO = [*FRAMEWORKS, _socketio("echo")]
JSON = [*FRAMEWORKS, STDLIB]
TYPED = [REFERENCE, *OF_OURS, CHANX]
REQUEST = [REFERENCE, *OF_OURS]
BROADCAST = [
    *FRAMEWORKS,
    STDLIB,
    BROADCASTER,
    _socketio("cast"),
    _alone("picows (frame built once)", "picows_server", "picows", flags=["once"]),
]
FEW = [REFERENCE, *OF_OURS, STARLETTE, PICOWS]
ON_SERVERS = [
    REFERENCE,
    *(
        Peer(name, REFERENCE.app, recipe)
        for name, recipe in SERVERS.items()
        if name != STOCK
    ),
    PICOWS,
    _alone("picows on plain uvloop", "picows_server", "picows", flags=["plain"]),
]
BY_BROKER = [
    OURS,
    OWN_SERVER,
    OWN_TRIO,
    _peer("Starlette by hand", "starlette_redis_app"),
    LITESTAR,
    BROADCASTER,
    FAST_CHANNELS,
    CHANNELS,
    _peer("Channels pub/sub", "channels_app", "channels", LAYER="pubsub"),
]
SIZES = [
    _groups("100 members"),
    _groups("10 members", connections=10),
    _groups("1,000 members", connections=1000),
]
NUMBERS = [
    _groups("one group of all", path="/broadcast"),
    _groups("50 groups of 5", path="/few/50"),
    _groups("10,000 groups of 5", path="/few/10000", settle=3.0),
]
PASSING = [
    _groups("deliveries alone"),
    _groups("beside 500 joins and leaves a second", passing=500),
]
