"""The clients of the load generator, in crowds: each crowd visits one application.

No task or future is made per message, and no reply is parsed.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import TypeVar, cast

from consumers_tests.benchmarks import frames
from consumers_tests.benchmarks.bench import Bench
from consumers_tests.benchmarks.frames import Opened, WrongReplyError
from consumers_tests.benchmarks.jobs import Side
from consumers_tests.benchmarks.processes import family


class Crowd(ABC):
    """All clients of one application, which work in turns: begin, then come to an end.

    Args:
        bench: Where the clients tell that they did something, or that it failed.
        side: Where they go, and what they do there.
    """

    def __init__(self, bench: Bench, side: Side) -> None:
        self.bench = bench
        self.side = side
        self.plan = side.plan
        self.running = False  # clients go on sending
        self.units = 0  # messages, deliveries or connections so far
        self.delays: list[float] = []  # of deliveries, in seconds
        self.compressed: bool | None = None
        self.pids: list[int] = []
        self.bursts: list[bytes] = []  # so many messages as the place in the list says

    async def prepare(self) -> None:
        """Make the connections, and find the processes that serve them.

        Some servers start a process for them, so it is looked for afterwards.

        Raises:
            WrongReplyError: The server refused a connection or answered wrongly.
            OSError: A connection failed or timed out.
        """
        await self.open()
        self.pids = [pid for server in self.side.servers for pid in family(server.pid)]

    @abstractmethod
    async def open(self) -> None:
        """Make the connections that stay open for all turns.

        Raises:
            WrongReplyError: The server refused a connection or answered wrongly.
            OSError: A connection failed or timed out.
        """

    @abstractmethod
    def begin(self) -> None:
        """Let the clients send."""

    @abstractmethod
    def pending(self) -> bool:
        """Tell if a client that no longer sends has still something to get."""

    def passed(self) -> int:
        """Return how many groups were joined and left beside it so far."""
        return 0


class Client(asyncio.Protocol, ABC):
    """One connection, handshake done: sends, and checks what comes back."""

    transport: asyncio.WriteTransport

    replies: frames.Replies | frames.CompressedReplies

    def __init__(self, crowd: Crowd, reply: bytes, opened: Opened) -> None:
        self.crowd = crowd
        if opened.compressed:
            self.replies = frames.CompressedReplies(frames.payload_of(reply))
        else:
            self.replies = frames.Replies(reply, crowd.plan.window)
        self.due = 0  # how many replies it must get in all

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not registered as this, and they are it.
        self.transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            count = self.replies.feed(data)
        except WrongReplyError as error:
            self.crowd.bench.fail(str(error))
            return
        self.crowd.bench.steps += 1
        self.crowd.units += count
        self.answered(count)

    @abstractmethod
    def answered(self, count: int) -> None:
        """Go on after so many replies, 0 where the read held only a part of one."""

    def connection_lost(self, exc: Exception | None) -> None:
        reason = f"expected the connection to stay, got its end: {exc!r}"
        self.crowd.bench.fail(reason)


ClientT = TypeVar("ClientT", bound=Client)


async def arrive(
    crowd: Crowd, make: Callable[[bytes, Opened], ClientT]
) -> list[ClientT]:
    """Connect the clients of a crowd, and build what they send.

    Raises:
        WrongReplyError: The server refused a connection or answered wrongly.
        OSError: A connection failed or timed out.
    """
    loop, plan = asyncio.get_running_loop(), crowd.plan
    reply = frames.first_reply(crowd.side)
    clients = []
    for opened in frames.connect_all(crowd.side):
        clients.append(make(reply, opened))
        await _attach(loop, clients[-1], opened)
        crowd.compressed = opened.compressed if plan.compress else None
    frame = frames.client_frame(plan.body.encode(), compressed=bool(crowd.compressed))
    crowd.bursts = [frame * count for count in range(plan.window + 1)]
    return clients


async def _attach(
    loop: asyncio.AbstractEventLoop, client: Client, opened: Opened
) -> None:
    await loop.create_connection(lambda: client, sock=opened.sock)


class Echoes(Crowd):
    """Each connection keeps a window of messages in flight."""

    async def open(self) -> None:
        self.clients = await arrive(self, partial(Echo, self))

    def begin(self) -> None:
        for client in self.clients:
            client.answered(self.plan.window)

    def pending(self) -> bool:
        return any(c.replies.received != c.due for c in self.clients)


class Echo(Client):
    """Sends as many messages as were answered."""

    def answered(self, count: int) -> None:
        if count and self.crowd.running:
            self.due += count
            self.transport.write(self.crowd.bursts[count])


class Visitors(Crowd):
    """Connections that are opened and closed, one after the other."""

    async def open(self) -> None:
        self.present = 0  # none stays open between turns

    def begin(self) -> None:
        for _ in range(self.plan.connections):
            self.present += 1
            self.bench.start(self._come())

    def pending(self) -> bool:
        return self.present > 0

    async def _come(self) -> None:
        loop = asyncio.get_running_loop()
        while self.running:
            _, visit = await loop.create_connection(
                lambda: Visit(self), "127.0.0.1", self.side.servers[0].port
            )
            await visit.ended
        self.present -= 1


class Visit(asyncio.Protocol):
    """Opens a connection and closes it at once, as RFC 6455 5.5.1 asks."""

    transport: asyncio.WriteTransport

    def __init__(self, crowd: Crowd) -> None:
        self.crowd = crowd
        self.received = b""
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.WriteTransport", transport)
        self.crowd.bench.steps += 1
        port = self.crowd.side.servers[0].port
        self.transport.write(frames.request_of(port, self.crowd.plan))

    def data_received(self, data: bytes) -> None:
        self.crowd.bench.steps += 1
        self.received += data
        if frames.accepted(self.received):
            self.received = b""
            self.transport.write(frames.client_frame(frames.BYE, frames.CLOSE))

    def connection_lost(self, exc: Exception | None) -> None:
        self.crowd.bench.steps += 1
        self.crowd.units += 1
        if self.received != frames.server_frame(frames.BYE, frames.CLOSE):
            reason = "expected a handshake and a close of 1000"
            self.crowd.bench.fail(f"{reason}, got {self.received[:200]!r}")
        self.ended.set_result(None)
