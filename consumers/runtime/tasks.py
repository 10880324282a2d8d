"""The tasks of one connection: all live in its task group, and end with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Final, Literal, Protocol, TypeAlias, get_args

from anyio import TaskHandle, create_task_group, get_cancelled_exc_class
from anyio.abc import TaskGroup

__all__ = ["MAIN", "Kind", "Task", "Tasks"]

Kind: TypeAlias = Literal["work", "handler", "service"]
"""What ends a task. ``work`` is the application's: it ends when the client leaves.
``handler`` is what handles messages, where that is several at once. ``service`` serves
the connection, until all else has ended."""

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

Task: TypeAlias = object
"""Names one task of a connection."""

MAIN: Final[Task] = object()
"""The one that the server started."""


class Owner(Protocol):
    """A connection, as far as its tasks know it."""

    def ended_by(self, error: BaseException) -> None:
        """Take what a task has raised."""
        ...


class Tasks:
    """The tasks of one connection, by what ends them."""

    __slots__ = ("_owner", "_started", "group", "over")

    def __init__(self, owner: Owner) -> None:
        """Begin with none, for whoever is told what they raise."""
        self._owner = owner
        self._started: dict[Task, tuple[Kind, TaskHandle[Any]]] | None = None
        self.group: TaskGroup | None = None
        """Where they live, once it is open."""
        self.over = False
        """Whether none may start any more."""

    async def open(self) -> None:
        """Open the group where they live; whoever calls leaves it at the end."""
        self.group = await create_task_group().__aenter__()

    def start(
        self,
        kind: Kind,
        function: Callable[..., Awaitable[Any]],
        *args: Any,
        name: object = None,
        group: TaskGroup | None = None,
    ) -> TaskHandle[Any]:
        """Start a task; what it raises goes to the owner, and nowhere else."""
        task: Task = object()
        if self._started is None:
            self._started = {}
        started = self._started

        async def run() -> Any:
            _current.set((self, task))
            try:
                return await function(*args)
            except get_cancelled_exc_class():
                raise
            except BaseException as error:
                # Not raised: SystemExit would end an asyncio loop right here, and the
                # group would wrap whatever it is.
                self._owner.ended_by(error)
            finally:
                started.pop(task, None)

        group = group or self.group
        assert group is not None
        handle = group.start_soon(
            run, name=name or getattr(function, "__qualname__", repr(function))
        )
        started[task] = (kind, handle)
        return handle

    def of(self, kind: Kind) -> dict[Task, TaskHandle[Any]]:
        """Return the tasks of one kind, ``{task: its handle}``."""
        started = self._started or {}
        return {task: each for task, (its, each) in started.items() if its == kind}

    def cancel(self, kind: Kind, keep: Task | None = None) -> None:
        """Cancel tasks of one kind."""
        if self._started:
            for task, handle in self.of(kind).items():
                if task is not keep:
                    handle.cancel()

    def end(self) -> None:
        """Cancel them all, and let none start any more."""
        self.over = True
        if self._started:
            for kind in KINDS:
                self.cancel(kind)

    def enter(self) -> object:
        """Count the current task as the main one; return what :meth:`leave` takes."""
        before = _current.get()
        _current.set(self)
        return before

    def leave(self, before: Any) -> None:
        """Count the current task as what it was before."""
        _current.set(before)  # a token to reset it would be kept all the while

    def caller(self) -> Task | None:
        """Return which of the connection's tasks calls; ``None``: somebody else."""
        current = _current.get()
        if current is self:
            return MAIN
        if isinstance(current, tuple) and current[0] is self:
            return current[1]
        return None


_current: Final[ContextVar[Tasks | tuple[Tasks, Task] | None]] = ContextVar(
    "consumers.current", default=None
)
"""Whose work the current task does: the main task's, or a started one's."""
