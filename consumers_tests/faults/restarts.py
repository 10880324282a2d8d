"""Rolling restarts: of two processes the older is ended by SIGTERM, again and again.

They share one listening socket, as processes behind a balancer share an address. A new
one is there before an old one ends, as in a deploy.
"""

from __future__ import annotations

import socket
import time
from collections import Counter
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import ClassVar

from consumers import Groups
from consumers_tests.server.live import handshake
from consumers_tests.stopwatch import Stopwatch
from consumers_tests.valkey import Valkey

from .jobs import Settings, Writing, Written
from .processes import FaultError, Server, Talker
from .report import Outcome
from .restarts_served import kept
from .stage import until

__all__ = ["Rolling", "restarts"]

GRACE = 1.0
"""Seconds that a process may end later than its limit, while it has a processor."""

_PATIENCE = 90.0
_LOOK = 0.01


@dataclass(frozen=True)
class Rolling:
    """How much goes on in a run."""

    clients: int = 500
    restarts: int = 10
    pause: float = 2.0
    """Seconds between two messages of one client, on average; and before an end."""
    over: float = 5.0
    """Seconds of `--drain-timeout`."""
    graceful: float = 10.0
    """Seconds of `--graceful-timeout`."""


class Shared(Server):
    """A server on a socket that others listen on, too."""

    app: ClassVar = "consumers_tests.faults.restarts_served:app"

    def ready(self) -> None:
        """Wait until it serves: who asks may get another one's answer."""
        until("starting", lambda: "serving on" in self.log(), 30.0)

    def end(self, limit: float) -> float:
        """End it by SIGTERM, and return the seconds that it took.

        Not those in which it was ready to run and others had the processors: on a busy
        machine, with many tests beside this one, these say nothing of it.
        """
        watch, late = Stopwatch(self.pid), time.monotonic() + limit
        self.terminate()
        while self.status is None and time.monotonic() < late:
            watch.look()
            time.sleep(_LOOK)
        took = watch.seconds()
        self.wait(0)
        return took


class Site:
    """The processes behind one address."""

    def __init__(self, backend: str, settings: Settings, load: Rolling) -> None:
        self.backend, self.settings, self.load = backend, settings, load
        self.stack = ExitStack()
        self.listener = self.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.servers: list[Shared] = []
        self.stalled: list[socket.socket] = []

    @property
    def port(self) -> int:
        """Where they listen."""
        port: int = self.listener.getsockname()[1]
        return port

    def start(self) -> None:
        """Start one more."""
        fd, load = self.listener.fileno(), self.load
        server = Shared(
            *(self.backend, self.settings, "--fd", str(fd), "--log-level", "info"),
            *("--drain-timeout", str(load.over)),
            *("--graceful-timeout", str(load.graceful)),
            pass_fds=[fd],
        )
        self.servers.append(self.stack.enter_context(server))
        server.ready()

    def stall(self) -> None:
        """Connect a client that reads nothing."""
        stalled = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        stalled.sendall(handshake("/flood"))
        self.stalled.append(self.stack.enter_context(stalled))

    def end_oldest(self) -> float:
        """End one by SIGTERM; return the seconds that it took."""
        oldest = self.servers.pop(0)
        took = oldest.end(_PATIENCE)
        if "Traceback" in oldest.log() or oldest.status:
            raise FaultError(f"a server ended with {oldest.status}: {oldest.log()}")
        return took


def restarts(backend: str, seed: int, load: Rolling, control: str = "") -> Outcome:
    """Restart one process after the other, while clients write what must be kept."""
    with ExitStack() as stack:
        broker = stack.enter_context(Valkey(append=True))
        settings = Settings(url=broker.url, without=control)
        site = Site(backend, settings, load)
        stack.enter_context(site.stack)
        site.start()
        writers = stack.enter_context(Talker("writers", settings=settings))
        plan = Writing([site.port], load.clients, load.pause, seed)
        writers.write(plan)
        took = []
        groups = stack.enter_context(closing(Groups(broker.url, [kept]).sync))

        def count() -> int:
            return groups.history("kept").position.offset

        # The first has all of them, and after each restart the other one has.
        until("the first writing", lambda: count() >= load.clients, 60.0)
        for _ in range(load.restarts):
            site.stall()
            site.start()
            time.sleep(load.pause)
            took.append(site.end_oldest())
        writers.write(plan)
        written = writers.read(Written, _PATIENCE)
        found = Counter(
            one.message["number"] for one in groups.history("kept").publications
        )
        return judged(backend, seed, load, control, (written, found, took))


def judged(
    backend: str,
    seed: int,
    load: Rolling,
    control: str,
    seen: tuple[Written, Counter[int], list[float]],
) -> Outcome:
    """Compare what was acknowledged with what is kept."""
    written, found, took = seen
    lost = sum(number not in found for number in written.acknowledged)
    twice = sum(count > 1 for count in found.values())
    limit, longest = load.over + load.graceful, max(took)
    outcome = Outcome(backend, seed, control=control)
    outcome.cells |= {
        "clients": load.clients,
        "restarts": load.restarts,
        "acknowledged": len(written.acknowledged),
        "lost": lost,
        "kept twice": twice,
        "reconnects": written.connections - load.clients,
        "longest request, s": written.longest,
        "limit, s": limit,
        "longest end, s": longest,
    }
    if lost:
        outcome.problems.append(f"{lost} acknowledged were lost")
    if twice:
        outcome.problems.append(f"{twice} are kept twice")
    if longest > limit + GRACE:
        outcome.problems.append(f"a process took {longest:.1f} s to end")
    if written.connections <= load.clients:
        outcome.problems.append("nobody had to reconnect: proves nothing")
    return outcome
