"""A site for a soak: servers of several kinds, a broker, and clients, all killable."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import ClassVar, Final, Self

from consumers_tests.valkey import Valkey

from .jobs import Open, Publish, Settings, Visited, Visiting, Writing, Written
from .processes import FaultError, Server, Talker
from .soak_served import LOAD, ROOMS
from .stage import Crowd, Program, connected, until

__all__ = ["KINDS", "Load", "Site", "Soaked"]

STAYING: Final = ("uvloop", "trio")
"""What the servers run on that are never killed."""
MORTAL: Final = ("asyncio", "trio")
"""And those that are."""
KINDS: Final = ("clients", "server by -9", "server by TERM", "broker")
"""What is killed."""
OVER, GRACEFUL = 2.0, 5.0
"""Seconds of `--drain-timeout` and `--graceful-timeout`."""
PATIENCE = 60.0
"""Seconds that anything may take, on a machine that is busy."""
CARRYING: Final = 32 * 1024
"""Bytes of what those are sent who do not read."""


@dataclass(frozen=True)
class Load:
    """How much goes on."""

    members: int = 160
    """Of recoverable groups."""
    writers: int = 20
    pause: float = 1.0
    """Seconds between two messages of one writer, on average."""
    visitors: int = 3
    """How many times as many as the least: 14 at a time."""
    stalled: float = 40.0
    """Seconds that a slow reader does not read, at most."""
    away: float = 3.0
    """Seconds that what was killed stays away, at most."""
    leak: int = 4096
    """Bytes of each message that the control keeps."""


class Soaked(Server):
    """A server of a soak; ``name`` says what it runs on."""

    app: ClassVar = "consumers_tests.faults.soak_served:app"

    def __init__(self, name: str, settings: Settings, port: int = 0) -> None:
        self.name = name
        super().__init__(
            *(name, settings, "--drain-timeout", str(OVER)),
            *("--graceful-timeout", str(GRACEFUL)),
            port=port,
        )

    def memory(self) -> int:
        """Return the bytes that are its own: neither files nor shared."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        (line,) = (line for line in lines if line.startswith("RssAnon"))
        return int(line.split()[1]) * 1024

    def held(self) -> dict[str, int]:
        """Return what has to be as before when all have left."""
        state = self.state("consumers=")
        return {
            "tasks": state.tasks,
            "files": state.files,
            "consumers": state.consumers,
        }


class Clients:
    """Members in a process that may be killed, and is back with the notes it kept."""

    def __init__(self, commands: list[Open]) -> None:
        self._commands = commands
        self.start()

    def start(self) -> None:
        """Bring all of them in."""
        self._talker = Talker("crowd")
        self.crowd = Crowd(self._talker)
        try:
            for command in self._commands:
                self.crowd.open(command)
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """End them, as ``kill -9`` does."""
        self._talker.kill()


class Visitors:
    """Clients that come and go, in a process that may be killed."""

    def __init__(self, plan: Visiting) -> None:
        self._plan = plan
        self.sum = Visited()
        self.start()

    def start(self) -> None:
        """Let them in."""
        self._talker = Talker("visitors")
        self._talker.write(self._plan)

    def count(self) -> Visited:
        """Return what they did, all of them so far."""
        self._talker.write(Visited())
        some = self._talker.read(Visited, PATIENCE)
        self.sum.visits += some.visits
        self.sum.answers += some.answers
        self.sum.cut += some.cut
        self.sum.wrong += some.wrong
        return self.sum

    def kill(self) -> None:
        """End them, as ``kill -9`` does."""
        self._talker.kill()


class Site:
    """All of it. Its end is that of every process.

    Args:
        seed: Of everybody's choices.
        load: How much goes on.
        without: The guard that is taken out.
    """

    def __init__(self, seed: int, load: Load, without: str = "") -> None:
        self.random = Random(seed)
        self.load = load
        self._stack = ExitStack()
        self._notes = self._stack.enter_context(tempfile.TemporaryDirectory())
        self.broker = self._stack.enter_context(Valkey(append=True))
        self.settings = Settings(self.broker.url, without, leak=load.leak)
        self.staying: list[Soaked] = []
        self.mortal: list[Soaked] = []
        self.clients: list[Clients] = []
        self.visitors: Visitors
        self.faults: list[str] = []
        """What servers have logged that they should not, and how they ended."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for clients in self.clients:
            clients.kill()
        for server in (*self.staying, *self.mortal):
            server.kill()
        self._stack.close()

    # -- starting ----------------------------------------------------------------------

    def start_servers(self) -> None:
        """Start all, and have each make what it makes only once."""
        for names, servers in ((STAYING, self.staying), (MORTAL, self.mortal)):
            servers += [Soaked(name, self.settings) for name in names]
        for server in (*self.staying, *self.mortal):
            server.ready()
        for server in self.staying:
            for path in ("/told/room.0", "/present/room.1", "/echo"):
                with connected(server, path) as client:
                    if path == "/echo":
                        client.send("first")
                    client.recv(timeout=PATIENCE)

    def base(self) -> dict[str, dict[str, int]]:
        """Return the least that the servers hold, while nobody is there."""
        least: dict[str, dict[str, int]] = {}
        # What ends a while after the last one has left must have ended.
        for _ in range(10):
            for server in self.staying:
                held = server.held()
                known = least.setdefault(server.name, held)
                for what, count in held.items():
                    known[what] = min(known[what], count)
            time.sleep(self.settings.lease / 6)
        return least

    def start_clients(self) -> None:
        """Bring in members first, so that they miss nothing, then all others."""
        everywhere = [server.port for server in (*self.staying, *self.mortal)]
        rooms = [f"room.{n}" for n in range(ROOMS)]
        paths = ("told", "member"), ("told", "present")
        each = self.load.members // 4
        for number, some in enumerate(paths):
            commands = []
            for path in some:
                notes = Path(self._notes, f"{number}-{path}")
                notes.mkdir()
                seed = self.random.randrange(10**6)
                where = f"/{path}/{{group}}"
                commands.append(
                    Open(everywhere, where, rooms, each, seed, notes=str(notes))
                )
            self.clients.append(Clients(commands))
        seed, load = self.random.randrange(10**6), self.load
        plan = Visiting(everywhere, seed, load.visitors, load.stalled)
        self.visitors = Visitors(plan)
        self._stack.callback(self.visitors.kill)
        self._writers = Talker("writers", settings=self.settings)
        self._stack.callback(self._writers.kill)
        self._writing = Writing(everywhere, load.writers, load.pause, seed)
        self._writers.write(self._writing)
        program = Talker("publishing", "asyncio", settings=self.settings)
        self._stack.callback(program.kill)
        endless = Publish(999, [LOAD], 10**6, 8.0, filling=CARRYING)
        self.program = Program(endless, program)

    # -- breaking ----------------------------------------------------------------------

    def break_one(self, kind: str, meanwhile: Callable[[float], object]) -> None:
        """Kill something of a kind, and start it again.

        Args:
            kind: One of `KINDS`.
            meanwhile: Is called with the seconds that it stays away, and waits.
        """
        away = self.random.uniform(0.1, self.load.away)
        if kind == "broker":
            self.broker.kill()
            meanwhile(away)
            self.broker.restart()
        elif kind == "clients":
            all_of_them: list[Clients | Visitors] = [*self.clients, self.visitors]
            some = self.random.choice(all_of_them)
            if isinstance(some, Visitors):
                some.count()
            some.kill()
            meanwhile(away)
            some.start()
        else:
            place = self.random.randrange(len(self.mortal))
            server = self.mortal[place]
            if kind == "server by TERM":
                self._end(server)
            else:
                server.kill()
                self._read_log(server)
                meanwhile(away)
            new = self.mortal[place] = Soaked(server.name, self.settings, server.port)
            new.ready()

    def _end(self, server: Soaked) -> None:
        server.terminate()
        server.wait(PATIENCE)
        if server.status:
            self.faults.append(f"{server.name} ended with {server.status}")
        self._read_log(server)

    def _read_log(self, server: Soaked) -> None:
        # Nothing of it is expected: a broker that is away is told by warnings.
        lines = server.log().splitlines()
        bad = [line for line in lines if "Traceback" in line or "ERROR" in line]
        self.faults += [f"{server.name} logged: {line}" for line in bad]
        server.__exit__()

    # -- ending ------------------------------------------------------------------------

    def stop_writing(self) -> Written:
        """Have the writers finish what they are about to say; return what they said."""
        self._writers.write(self._writing)
        return self._writers.read(Written, 2 * PATIENCE)

    def leave(self) -> None:
        """Have all clients leave at once."""
        for clients in self.clients:
            clients.kill()
        self.visitors.kill()
        self._writers.kill()

    def settled(
        self, before: dict[str, dict[str, int]], seconds: float
    ) -> dict[str, dict[str, int]]:
        """Wait until all is as before, or for so long; return how it is then."""
        after: dict[str, dict[str, int]] = {}

        def back() -> bool:
            for server in self.staying:
                after[server.name] = server.held()
            return all(
                held[what] <= before[name][what]
                for name, held in after.items()
                for what in held
            )

        try:
            until("settling", back, seconds)
        except FaultError:
            self.faults.append(
                f"before {json.dumps(before)}, after {json.dumps(after)}"
            )
        return after

    def nobody_is_present(self) -> None:
        """Wait until presence has forgotten all who left."""
        server = self.staying[0]
        try:
            until("presence", lambda: not server.state("present=").present, PATIENCE)
        except FaultError:
            self.faults.append(f"still present: {server.state('present=').present}")

    def end_servers(self) -> None:
        """End those that are left by SIGTERM, and read what they have logged."""
        for server in (*self.staying, *self.mortal):
            self._end(server)
