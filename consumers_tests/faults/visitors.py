"""A process of clients that do a bit of everything a server meets in a day.

It reads a `Visiting` from its standard input, and answers each further line with what
was done since the last one: a `Visited`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from random import Random

import msgspec
import uvloop
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from consumers_tests.server.live import handshake

from .jobs import Visited, Visiting

__all__ = ["main"]

ANSWER = 30.0
"""Seconds after which an answer that has not come is missing."""
LARGE = 100 * 1024
_AGAIN = 0.3
_COUNTS = {"passing": 4, "staying": 4, "carrying": 2, "present": 2, "stalling": 2}
"""How many of each kind there are at a time, at the least."""


class Visitors:
    """The clients, and what they did."""

    def __init__(self, plan: Visiting) -> None:
        self.plan = plan
        self.random = Random(plan.seed)
        self.visited = Visited()

    def report(self) -> Visited:
        """Return what was done, and begin anew."""
        visited, self.visited = self.visited, Visited()
        return visited

    async def again(self, visit: Callable[[], Awaitable[None]]) -> None:
        """Visit again and again; a server that is away is no mistake."""
        while True:
            try:
                await visit()
                self.visited.visits += 1
            except (OSError, WebSocketException) as error:
                if isinstance(error, TimeoutError):
                    self.visited.wrong.append(f"no answer in {ANSWER:g} s")
                self.visited.cut += 1
            await asyncio.sleep(self.random.uniform(0, 2 * _AGAIN))

    def _connect(self, path: str, *, compress: bool = True) -> connect:
        port = self.random.choice(self.plan.ports)
        return connect(
            f"ws://127.0.0.1:{port}{path}",
            proxy=None,
            compression="deflate" if compress else None,
            open_timeout=ANSWER,
            close_timeout=1,
            ping_interval=None,
        )

    async def _ask(self, client: ClientConnection, said: str) -> None:
        async with asyncio.timeout(ANSWER):
            await client.send(said)
            heard = await client.recv()
        if heard != said:
            self.visited.wrong.append(f"said {said[:40]!r}, heard {heard[:40]!r}")
        self.visited.answers += 1

    async def passing(self) -> None:
        """Say something, and go, with or without a goodbye."""
        async with self._connect("/echo") as client:
            for n in range(self.random.randrange(4)):
                await self._ask(client, f"{n} {time.monotonic()}")
            if self.random.random() < 0.5:
                client.transport.abort()

    async def staying(self) -> None:
        """Say something now and then, for a minute or so."""
        async with self._connect("/echo") as client:
            for n in range(self.random.randrange(20, 200)):
                await self._ask(client, f"{n} {time.monotonic()}")
                await asyncio.sleep(self.random.uniform(0.1, 0.7))

    async def carrying(self) -> None:
        """Say much at once, compressed or not."""
        compress = self.random.random() < 0.5
        async with self._connect("/echo", compress=compress) as client:
            for _ in range(self.random.randrange(1, 5)):
                words = [str(self.random.random()) for _ in range(64)]
                said = " ".join(words)
                await self._ask(client, (said * (LARGE // len(said) + 1))[:LARGE])
                await asyncio.sleep(self.random.uniform(0.5, 2))

    async def present(self) -> None:
        """Be seen for a while, and listen meanwhile."""
        path = f"/present/room.{self.random.randrange(4)}"
        async with self._connect(path) as client:
            try:
                async with asyncio.timeout(self.random.uniform(0.2, 4)) as while_there:
                    async for _ in client:
                        pass
            except TimeoutError:
                if not while_there.expired():
                    raise

    async def stalling(self) -> None:
        """Read nothing of what comes, then go."""
        loop = asyncio.get_running_loop()
        with socket.socket() as sock:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
            port = self.random.choice(self.plan.ports)
            await loop.sock_connect(sock, ("127.0.0.1", port))
            await loop.sock_sendall(sock, handshake("/loaded"))
            await asyncio.sleep(self.random.uniform(0.2, self.plan.stalled))


async def main() -> None:
    """Do what standard input says."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    plan = msgspec.json.decode(await lines.readline(), type=Visiting)
    visitors = Visitors(plan)
    async with asyncio.TaskGroup() as group:
        for kind, count in _COUNTS.items():
            for _ in range(count * plan.times):
                group.create_task(visitors.again(getattr(visitors, kind)))
        while await lines.readline():
            sys.stdout.buffer.write(msgspec.json.encode(visitors.report()) + b"\n")
            sys.stdout.flush()
        os._exit(0)  # without goodbyes: all is over


if __name__ == "__main__":
    uvloop.run(main())
