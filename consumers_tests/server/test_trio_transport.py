"""A connection's bytes: what is written when, and how it ends."""

from __future__ import annotations

import gc
import logging
import socket
from collections.abc import Callable

import pytest
import trio
import trio.testing

from consumers.server import trio_transport
from consumers.server.trio_poller import Poller, TaskPoller, best_poller
from consumers.server.trio_transport import HIGH, Transport
from consumers_tests.server.hostile import RESET
from consumers_tests.server.wires import Receiver, read, run


@pytest.mark.parametrize("poller", [best_poller, TaskPoller])
def test_what_is_written_arrives_in_order(
    poller: Callable[[], Poller],
) -> None:
    """Much more than the buffers hold arrives whole, and its writer is held up."""

    async def test(
        transport: Transport, receiver: Receiver, peer: socket.socket
    ) -> None:
        parts = [bytes([number]) * 100_000 for number in range(100)]
        transport.write(b"first")
        transport.gather(b"second")
        async with trio.open_nursery() as nursery:

            async def write() -> None:
                for part in parts:
                    transport.write(part)
                    await transport.drain()
                transport.close()
                transport.write(b"too late")
                transport.gather(b"too late")

            nursery.start_soon(write)
            await trio.testing.wait_all_tasks_blocked()
            assert transport.is_full
            data = await trio.to_thread.run_sync(read, peer)
        assert data == b"firstsecond" + b"".join(parts)
        await receiver.until_told("lost")

    run(test, poller)


def test_what_is_gathered_shares_a_write() -> None:
    """It goes out at the end of the turn, or before what is written at once."""

    async def test(
        transport: Transport, receiver: Receiver, peer: socket.socket
    ) -> None:
        transport.gather(b"a")
        transport.gather(b"b")
        peer.setblocking(False)
        with pytest.raises(BlockingIOError):
            peer.recv(100)
        await trio.testing.wait_all_tasks_blocked()
        assert peer.recv(100) == b"ab"

        transport.gather(b"c")
        transport.write(b"d")
        assert peer.recv(100) == b"cd"

        transport.gather(b"e")
        transport.flush()
        assert peer.recv(100) == b"e"

        transport.gather(b"f" * (HIGH + 1))
        assert peer.recv(100) == b"f" * 100

    run(test)


def test_reading_can_be_paused() -> None:
    """What comes meanwhile comes later."""

    async def test(
        transport: Transport, receiver: Receiver, peer: socket.socket
    ) -> None:
        transport.pause_reading()
        transport.pause_reading()
        peer.sendall(b"hello")
        await trio.testing.wait_all_tasks_blocked()
        assert receiver.data == b""
        transport.resume_reading()
        await receiver.until(lambda: receiver.data == b"hello")

    run(test)


def test_a_reset_is_told_after_what_came_before_it() -> None:
    """Though nobody read then; what is written meanwhile is dropped."""

    async def test(
        transport: Transport, receiver: Receiver, peer: socket.socket
    ) -> None:
        transport.pause_reading()
        peer.sendall(b"hello")
        await trio.testing.wait_all_tasks_blocked()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        peer.close()
        await trio.testing.wait_all_tasks_blocked()
        assert transport.is_gone
        transport.write(b"x")
        await transport.drain()
        assert receiver.told == []
        transport.resume_reading()
        await receiver.until_told("lost")
        assert receiver.told == ["lost"]

    run(test)


def test_the_client_s_end_is_told() -> None:
    """The other direction stays open until it is closed."""

    async def test(
        transport: Transport, receiver: Receiver, peer: socket.socket
    ) -> None:
        peer.sendall(b"hello")
        peer.shutdown(socket.SHUT_WR)
        await receiver.until_told("eof")
        assert receiver.data == b"hello"
        transport.write(b"bye")
        transport.close()
        transport.close()
        assert receiver.told == ["eof", "lost"]
        assert read(peer) == b"bye"

    run(test)


def test_last_words_reach_a_client_that_sends_on() -> None:
    """Lingering reads and forgets what comes, until the client has read and left."""

    async def test(
        transport: Transport, receiver: Receiver, peer: socket.socket
    ) -> None:
        peer.sendall(b"x" * 1000)
        transport.write(b"bye")
        transport.close(linger=True)
        peer.sendall(b"x" * 1000)
        assert read(peer) == b"bye"
        peer.sendall(b"x" * 1000)
        await trio.testing.wait_all_tasks_blocked()
        assert (receiver.data, receiver.told) == (b"", [])
        peer.close()
        await receiver.until_told("lost")

    run(test)


@pytest.mark.parametrize("linger", [False, True])
def test_a_client_that_does_not_read_our_last_words(
    linger: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is cut off after a while, with a reset: what it has is not all."""
    monkeypatch.setattr(trio_transport, "STALL_TIMEOUT", 0.05)

    async def test(
        transport: Transport, receiver: Receiver, peer: socket.socket
    ) -> None:
        transport.write(b"x" * 10**7)
        transport.close(linger=linger)
        await receiver.until_told("lost")
        with pytest.raises(ConnectionResetError):
            read(peer)

    run(test)


def test_what_fails_ends_its_connection_only(caplog: pytest.LogCaptureFixture) -> None:
    """A receiver that raises is one warning in one line."""

    async def fed(
        transport: Transport, receiver: Receiver, peer: socket.socket
    ) -> None:
        peer.sendall(b"fail")
        await receiver.until_told("lost")

    async def late(
        transport: Transport, receiver: Receiver, peer: socket.socket
    ) -> None:
        transport.timer.set(0.01)
        await receiver.until_told("lost")

    for test in (fed, late):
        run(test)
        assert [r.getMessage() for r in caplog.records if r.levelno > logging.INFO] == [
            "a connection was dropped: ZeroDivisionError()"
        ]
        caplog.clear()


def test_it_lets_go_of_who_it_told() -> None:
    """A connection that is over needs no garbage collector; what is late is ignored."""

    async def test(
        transport: Transport, receiver: Receiver, peer: socket.socket
    ) -> None:
        transport.abort()

        assert receiver not in gc.get_referents(transport)
        transport.writable()

    run(test)
