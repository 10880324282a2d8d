"""What a run needs: broker, servers, clients, publishers; all of it goes at the end."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Self

import msgspec
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from consumers_tests.proxy import Proxy
from consumers_tests.valkey import Valkey

from .jobs import (
    Answer,
    Command,
    Judged,
    Note,
    Open,
    Progress,
    Publish,
    Settings,
    Status,
    Wait,
)
from .processes import FaultError, Server, Talker
from .verdict import Kept

__all__ = ["Crowd", "InServer", "Program", "Publisher", "Stage", "connected", "until"]

_ANSWER = 90.0
"""Seconds that a crowd has beyond those that it was asked to take."""


def until(what: str, condition: Callable[[], object], seconds: float) -> float:
    """Wait until a condition holds; return how many seconds that took.

    Raises:
        FaultError: It took too long.
    """
    begun = time.monotonic()
    while not condition():
        if time.monotonic() > begun + seconds:
            raise FaultError(f"{what} took more than {seconds:.0f} s")
        time.sleep(0.02)
    return time.monotonic() - begun


@contextmanager
def connected(server: Server, path: str) -> Iterator[ClientConnection]:
    """Connect a client that may leave what it gets unread for long."""
    url = f"ws://127.0.0.1:{server.port}{path}"
    with connect(
        url,
        proxy=None,
        compression=None,
        open_timeout=20,
        close_timeout=1,
        # A full queue would keep pongs waiting too, and then either side gives up.
        max_queue=None,
        ping_interval=None,
    ) as client:
        yield client


class Crowd:
    """Clients in a process of their own."""

    def __init__(self, process: Talker) -> None:
        self._process = process

    def perform(self, command: Command, seconds: float = 0.0) -> Answer:
        """Have it do something.

        Raises:
            FaultError: It failed.
        """
        self._process.write(command)
        answer = self._process.read(Answer, seconds + _ANSWER)
        if answer.failure:
            raise FaultError(f"the clients failed: {answer.failure}")
        return answer

    def open(self, command: Open) -> None:
        """Bring clients in, and wait until they have joined."""
        self.perform(command)

    def note(self) -> Note:
        """Ask what happened so far."""
        note = self.perform(Status()).note
        assert note is not None
        return note

    def judged(
        self,
        sent: Mapping[str, Mapping[int, int]],
        histories: Mapping[str, Kept | None],
        limit: float,
    ) -> Judged:
        """Wait until all have got all, or nothing comes; return the verdict."""
        plan = {group: dict(by) for group, by in sent.items()}
        judged = self.perform(Wait(plan, dict(histories), limit), limit).judged
        assert judged is not None
        return judged


class Publisher(ABC):
    """Somebody who publishes; how far it is, and what came of it."""

    def __init__(self, plan: Publish) -> None:
        self.plan = plan
        self.progress = Progress(0)

    @abstractmethod
    def look(self) -> Progress:
        """Return how far it is now."""

    def finish(self, seconds: float) -> Progress:
        """Wait until it has published all."""
        until("publishing", lambda: self.look().over, seconds)
        return self.progress


class Program(Publisher):
    """A program of its own that publishes."""

    def __init__(self, plan: Publish, process: Talker) -> None:
        super().__init__(plan)
        self._process = process
        process.write(plan)

    def look(self) -> Progress:
        for line in () if self.progress.over else self._process.lines(0):
            self.progress = msgspec.json.decode(line, type=Progress)
        return self.progress


class InServer(Publisher):
    """A connection whose consumer publishes, from inside a server."""

    def __init__(self, plan: Publish, client: ClientConnection) -> None:
        super().__init__(plan)
        self._client = client
        client.send(msgspec.json.encode(plan), text=True)

    def look(self) -> Progress:
        try:
            while not self.progress.over:
                data = self._client.recv(timeout=0)
                self.progress = msgspec.json.decode(data, type=Progress)
        except TimeoutError:
            pass
        except ConnectionClosed as error:
            raise FaultError(f"a publisher was disconnected: {error}") from error
        return self.progress

    def finish(self, seconds: float) -> Progress:
        """Wait until it has published all, then leave."""
        progress = super().finish(seconds)
        self.stop()
        return progress

    def stop(self) -> None:
        """Leave, and so publish no more."""
        self._client.close()


class Stage:
    """Starts the parts of a run, and ends them.

    Args:
        backend: What the servers run on.
        settings: How the application is served; its URL is set here.
    """

    def __init__(self, backend: str, settings: Settings | None = None) -> None:
        self.backend = backend
        self.settings = settings or Settings()
        self._stack = ExitStack()
        self.servers: list[Server] = []
        self.broker: Valkey
        self.proxy: Proxy

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def start_broker(self, *, proxied: bool = False) -> None:
        """Start a broker that writes all it gets to its file."""
        self.broker = self._stack.enter_context(Valkey(append=True))
        url = self.broker.url
        if proxied:
            self.proxy = self._stack.enter_context(Proxy(self.broker.port))
            url = f"redis://127.0.0.1:{self.proxy.port}"
        self.settings = msgspec.structs.replace(self.settings, url=url)

    def start_servers(self, count: int, *arguments: str) -> None:
        """Start servers, and wait until they serve."""
        new = [
            self._stack.enter_context(Server(self.backend, self.settings, *arguments))
            for _ in range(count)
        ]
        for server in new:
            server.ready()
        self.servers += new

    def ports(self) -> list[int]:
        """Return where the servers listen."""
        return [server.port for server in self.servers]

    def crowd(self) -> Crowd:
        """Start a process for clients."""
        return Crowd(self._stack.enter_context(Talker("crowd")))

    def program(self, plan: Publish) -> Program:
        """Start a program that publishes."""
        backend = "trio" if self.backend == "trio" else "asyncio"
        process = Talker("publishing", backend, settings=self.settings)
        return Program(plan, self._stack.enter_context(process))

    def in_server(self, plan: Publish, server: Server) -> InServer:
        """Have a server publish."""
        client = self._stack.enter_context(connected(server, "/publisher"))
        return InServer(plan, client)

    def logged(self) -> list[str]:
        """Return the errors that servers have logged."""
        return [
            line
            for server in self.servers
            for line in server.log().splitlines()
            if "Traceback" in line or "ERROR" in line
        ]


def total(publishers: Sequence[Publisher]) -> int:
    """Return how many publications are out."""
    return sum(publisher.look().done for publisher in publishers)
