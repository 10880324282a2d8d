"""Sockets that are waited for by one task, and what is done at the end of a turn."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from itertools import chain

import pytest
import trio
import trio.testing

from consumers.server.trio_poller import (
    EpollPoller,
    Poller,
    TaskPoller,
    TurnEnd,
    best_poller,
)
from consumers_tests.server.live import PATIENCE

RESET = struct.pack("ii", 1, 0)

on_each = pytest.mark.parametrize(
    "make",
    [
        pytest.param(
            EpollPoller,
            marks=[
                pytest.mark.may_skip,
                pytest.mark.skipif(sys.platform != "linux", reason="epoll is Linux's"),
            ],
        ),
        TaskPoller,
    ],
)


class Owner:
    """Notes what it is told, and reads."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.told: list[object] = []
        self.changed = trio.Event()

    def _note(self, what: object) -> None:
        self.told.append(what)
        self.changed.set()

    def readable(self) -> None:
        self._note(self.sock.recv(100))

    def writable(self) -> None:
        self._note("writable")

    def hung_up(self) -> None:
        self._note("hung up")

    async def until(self, what: object) -> None:
        while what not in self.told:
            self.changed = trio.Event()
            await self.changed.wait()


def run(make: Callable[[], Poller], test: Callable[..., Awaitable[None]]) -> None:
    """Run a test beside a poller, with a pair of sockets."""

    async def main() -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        poller = make()
        with ours, theirs, trio.fail_after(PATIENCE):
            async with trio.open_nursery() as nursery:
                await nursery.start(poller.run)
                await test(poller, Owner(ours), theirs)
                nursery.cancel_scope.cancel()

    trio.run(main)


@on_each
def test_it_tells_when_to_read(make: Callable[[], Poller]) -> None:
    """As often as something comes, and while it is wanted."""

    async def test(poller: Poller, owner: Owner, theirs: socket.socket) -> None:
        fd = owner.sock.fileno()
        poller.watch(fd, owner, True, False)
        for data in (b"one", b"two"):
            theirs.send(data)
            await owner.until(data)
        poller.watch(fd, owner, False, False)
        theirs.send(b"three")
        await trio.testing.wait_all_tasks_blocked()
        assert owner.told == [b"one", b"two"]

        poller.watch(fd, owner, True, False)
        await owner.until(b"three")
        poller.forget(fd)
        poller.forget(fd)

    run(make, test)


@pytest.mark.may_skip
@pytest.mark.skipif(sys.platform != "linux", reason="epoll is Linux's")
def test_who_has_something_to_say_is_not_behind_all_who_left() -> None:
    """Where many leave at once, they are taken leave of over several turns."""

    class Leaving(Owner):
        def readable(self) -> None:
            super().readable()
            poller.forget(self.sock.fileno())
            gone.append(self)

    poller = EpollPoller()
    gone: list[Owner] = []

    async def main() -> None:
        with ExitStack() as stack, trio.fail_after(PATIENCE):
            pairs = [socket.socketpair() for _ in range(300)]
            for sock in chain.from_iterable(pairs):
                stack.enter_context(sock)
            for ours, theirs in pairs[:-1]:
                poller.watch(ours.fileno(), Leaving(ours), True, False)
                theirs.close()
            ours, theirs = pairs[-1]
            speaker = Owner(ours)
            poller.watch(ours.fileno(), speaker, True, False)
            theirs.send(b"here")
            async with trio.open_nursery() as nursery:
                await nursery.start(poller.run)
                await speaker.until(b"here")
                assert 0 < len(gone) <= 200

                await trio.testing.wait_all_tasks_blocked()
                assert len(gone) == 299
                nursery.cancel_scope.cancel()

    trio.run(main)


@on_each
def test_it_tells_when_to_write(make: Callable[[], Poller]) -> None:
    """Once there is room, in one direction and in both."""

    async def test(poller: Poller, owner: Owner, theirs: socket.socket) -> None:
        fd = owner.sock.fileno()
        with suppress(BlockingIOError):
            while True:
                owner.sock.send(b"x" * 65536)
        poller.watch(fd, owner, True, True)
        theirs.send(b"one")
        await owner.until(b"one")
        assert owner.told == [b"one"]
        while "writable" not in owner.told:
            theirs.recv(65536)
            await trio.lowlevel.checkpoint()
        poller.forget(fd)

    run(make, test)


@pytest.mark.may_skip
@pytest.mark.skipif(sys.platform != "linux", reason="epoll is Linux's")
def test_it_tells_of_an_end_that_nobody_waits_for() -> None:
    """A connection that is reset is known at once, though nothing is read."""

    async def test(poller: Poller, owner: Owner, theirs: socket.socket) -> None:
        poller.watch(owner.sock.fileno(), owner, False, False)
        theirs.close()
        await owner.until("hung up")
        poller.forget(owner.sock.fileno())

    run(EpollPoller, test)


def test_the_best_one_is_the_kernel_s() -> None:
    """Linux has one, others get trio's way."""
    assert type(best_poller()) is (
        EpollPoller if sys.platform == "linux" else TaskPoller
    )


def test_the_turn_s_end_comes_after_who_can_run() -> None:
    """What is added by several tasks of one turn is done together, after them."""
    done: list[str] = []

    async def main() -> None:
        end = TurnEnd()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(end.run)
            await trio.testing.wait_all_tasks_blocked()
            for turn in range(2):
                end.add(lambda: done.append("first"))
                end.add(lambda: done.append("second"))
                done.append(f"turn {turn}")
                await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        end.add(done.clear)  # nobody does it any more, and nobody fails

    trio.run(main)

    assert done == ["turn 0", "first", "second", "turn 1", "first", "second"]


def test_what_is_added_at_a_turn_s_end_is_for_the_next_one() -> None:
    """Those that a function lets go on have their turn before it comes again."""
    done: list[str] = []

    async def main() -> None:
        end = TurnEnd()

        def function() -> None:
            done.append("end")
            if len(done) < 100:
                end.add(function)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(end.run)
            end.add(function)
            for _ in range(5):
                await trio.lowlevel.checkpoint()
                done.append("turn")
            nursery.cancel_scope.cancel()

    trio.run(main)

    assert 1 < done.count("end") <= 6
