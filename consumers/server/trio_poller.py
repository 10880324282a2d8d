"""Waiting for many sockets with one task, and doing things at the end of a turn.

trio's own way, a task for each thing that waits, costs a task per connection beside the
application's, two switches for every read, and a call of the kernel to wait again.
"""

from __future__ import annotations

import select
import sys
from collections.abc import Callable
from typing import Any, Final, Protocol

import trio

from consumers.server.pacing import Pace

__all__ = ["LoopPace", "Pollable", "Poller", "TaskPoller", "TurnEnd", "best_poller"]

_MOST: Final = 512
"""Sockets that are served before other tasks get their turn."""

_OVER: Final = 64
"""Of them, those whose client is gone: where thousands leave in one moment, who has
something to say does not wait until all of them are taken leave of."""

_SEEN: Final = 8192
"""Sockets that are looked through for those where `_MOST` are not all."""


class Pollable(Protocol):
    """What waits for a socket. None of it may raise."""

    def readable(self) -> None:
        """There is something to read, an end, or an error."""

    def writable(self) -> None:
        """There is room to write."""

    def hung_up(self) -> None:
        """The connection is over, though nobody waits to read or to write."""


class Poller(Protocol):
    """Tells sockets' owners when to read and to write."""

    def watch(self, fd: int, owner: Pollable, read: bool, write: bool) -> None:
        """Tell ``owner`` from now on, and nobody else, when the socket is ready."""

    def forget(self, fd: int) -> None:
        """Tell nobody any more; before the socket is closed."""

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Do so, until cancelled."""


class EpollPoller:
    """Where the kernel has it: sockets in a set of our own, which trio waits for."""

    def __init__(self) -> None:
        self._epoll: Any = select.epoll()
        self._owners: dict[int, Pollable] = {}

    def watch(self, fd: int, owner: Pollable, read: bool, write: bool) -> None:
        """See :class:`Poller`."""
        flags = (select.EPOLLIN if read else 0) | (select.EPOLLOUT if write else 0)
        if fd in self._owners:
            self._epoll.modify(fd, flags)
        else:
            self._epoll.register(fd, flags)
            self._owners[fd] = owner

    def forget(self, fd: int) -> None:
        """See :class:`Poller`."""
        if self._owners.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """See :class:`Poller`."""
        own = self._epoll.fileno()
        poll, owners = self._epoll.poll, self._owners
        readable, writable = select.EPOLLIN, select.EPOLLOUT
        gone = select.EPOLLHUP | select.EPOLLERR
        seen = _MOST
        wait = trio.lowlevel.wait_readable
        task_status.started()
        try:
            while True:
                await wait(own)
                events = poll(0, seen)
                seen = _MOST if len(events) < seen else _SEEN
                living, over = _MOST, _OVER
                for fd, flags in events:
                    owner = owners.get(fd)
                    if owner is None:
                        continue  # what was served before it has ended it
                    # Who is passed over is told of again by the next `poll`.
                    if flags & gone:
                        over -= 1
                        if over < 0:
                            continue
                    else:
                        living -= 1
                        if living < 0:
                            break
                    if flags & readable:
                        owner.readable()
                    if flags & writable:
                        owner.writable()
                    elif not flags & readable:
                        owner.hung_up()
        finally:
            self._epoll.close()


class TaskPoller:
    """Where it does not: a task for each direction of a socket, in trio's own way."""

    def __init__(self) -> None:
        self._nursery: trio.Nursery | None = None
        self._scopes: dict[tuple[int, Callable[[int], Any]], trio.CancelScope] = {}

    def watch(self, fd: int, owner: Pollable, read: bool, write: bool) -> None:
        """See :class:`Poller`."""
        self._set(fd, read, trio.lowlevel.wait_readable, owner.readable)
        self._set(fd, write, trio.lowlevel.wait_writable, owner.writable)

    def forget(self, fd: int) -> None:
        """See :class:`Poller`."""
        for wait in (trio.lowlevel.wait_readable, trio.lowlevel.wait_writable):
            scope = self._scopes.pop((fd, wait), None)
            if scope is not None:
                scope.cancel()  # takes it out of trio's own set before it returns

    def _set(
        self,
        fd: int,
        wanted: bool,
        wait: Callable[[int], Any],
        tell: Callable[[], None],
    ) -> None:
        scope = self._scopes.get((fd, wait))
        if wanted and scope is None:
            assert self._nursery is not None
            scope = self._scopes[fd, wait] = trio.CancelScope()
            self._nursery.start_soon(self._tell, scope, fd, wait, tell)
        elif not wanted and scope is not None:
            del self._scopes[fd, wait]
            scope.cancel()

    async def _tell(
        self,
        scope: trio.CancelScope,
        fd: int,
        wait: Callable[[int], Any],
        tell: Callable[[], None],
    ) -> None:
        with scope:
            # Once it is cancelled the number may be another file's.
            while not scope.cancel_called:
                await wait(fd)
                if not scope.cancel_called:
                    tell()

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """See :class:`Poller`."""
        async with trio.open_nursery() as self._nursery:
            task_status.started()
            await trio.sleep_forever()


def best_poller() -> Poller:
    """Return what is the fastest here."""
    return EpollPoller() if sys.platform == "linux" else TaskPoller()


class TurnEnd:
    """Has things done once the tasks that can run now have run.

    What they write to one client can share a call of the kernel by that.
    """

    __slots__ = ("_due", "_task")

    def __init__(self) -> None:
        self._due: list[Callable[[], None]] = []
        self._task: trio.lowlevel.Task | None = None

    def add(self, function: Callable[[], None]) -> None:
        """Call ``function`` then. It must not raise."""
        self._due.append(function)
        if self._task is not None:
            trio.lowlevel.reschedule(self._task)
            self._task = None

    async def run(self) -> None:
        """Do so, until cancelled."""
        while True:
            if self._due:
                # One of them has added it: those that this lets go on come first.
                await trio.lowlevel.checkpoint()
            else:
                self._task = trio.lowlevel.current_task()
                await trio.lowlevel.wait_task_rescheduled(self._give_up)
            due, self._due = self._due, []
            for function in due:
                function()

    def _give_up(self, _: Any) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED


class LoopPace(Pace[trio.Event]):
    """What may be sent on one of trio's loops."""

    __slots__ = ()

    async def wait(self, amount: int) -> None:
        """See :class:`~consumers.server.pacing.Pace`."""
        waiter = trio.Event()
        self._add(amount, waiter)
        await waiter.wait()

    def _wake(self, waiter: trio.Event) -> None:
        waiter.set()
