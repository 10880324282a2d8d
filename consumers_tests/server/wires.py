"""Transports on trio to try: one end of a connection, with a test at the other."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable

import trio

from consumers.server.trio_poller import Poller, best_poller
from consumers.server.trio_transport import Loop, Transport
from consumers_tests.server.live import PATIENCE


class Receiver:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.data = b""
        self.told: list[str] = []
        self.changed = trio.Event()
        self.closes = True

    def _note(self, what: str) -> None:
        self.told.append(what)
        self.changed.set()

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.changed.set()
        if data == b"fail":
            raise ZeroDivisionError

    def eof_received(self) -> None:
        self._note("eof")

    def has_room(self) -> None:
        self._note("room")

    def lost(self) -> None:
        self._note("lost")

    def timed_out(self) -> None:
        self._note("timed out")
        raise ZeroDivisionError

    async def until(self, test: Callable[[], bool]) -> None:
        while not test():
            self.changed = trio.Event()
            await self.changed.wait()

    async def until_told(self, what: str) -> None:
        await self.until(lambda: what in self.told)


Test = Callable[[Transport, Receiver, socket.socket], Awaitable[None]]


def run(test: Test, poller: Callable[[], Poller] = best_poller) -> None:
    """Run a test with a connected transport, whose peer's buffers are small."""

    async def main() -> None:
        loop = Loop(poller())
        with (
            socket.create_server(("127.0.0.1", 0)) as listener,
            socket.socket() as peer,
        ):
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            peer.connect(listener.getsockname())
            peer.settimeout(PATIENCE)
            sock = listener.accept()[0]
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
            transport, receiver = Transport(sock, loop), Receiver()
            transport.receiver = receiver
            with trio.fail_after(PATIENCE):
                async with trio.open_nursery() as nursery:
                    await nursery.start(loop.run)
                    transport.start()
                    await test(transport, receiver, peer)
                    transport.abort()
                    assert receiver.told.count("lost") == 1
                    nursery.cancel_scope.cancel()

    trio.run(main)


def read(peer: socket.socket) -> bytes:
    data = bytearray()
    while piece := peer.recv(65536):
        data += piece
    return bytes(data)
