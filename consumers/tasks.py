"""The tasks of one connection: all live in its task group, and end with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar, Token
from typing import Any, Final, Protocol, TypeAlias

from anyio import TaskHandle, get_cancelled_exc_class
from anyio.abc import TaskGroup

__all__ = ["MAIN", "Handles", "Task", "Tasks"]

Task: TypeAlias = object
"""Names one task of a connection."""

MAIN: Final[Task] = object()
"""The one that the server started."""

Handles: TypeAlias = dict[Task, TaskHandle[Any]]
"""``{task: its handle}``."""


class Owner(Protocol):
    """A connection, as far as its tasks know it."""

    def ended_by(self, error: BaseException) -> None:
        """Take what a task has raised."""
        ...


class Tasks:
    """The tasks of one connection, by what ends them."""

    __slots__ = ("_owner", "group", "handlers", "over", "services", "work")

    def __init__(self, owner: Owner) -> None:
        """Begin with none, for whoever is told what they raise."""
        self._owner = owner
        self.group: TaskGroup
        """Where they live; set once it is open."""
        self.over = False
        """Whether none may start any more."""
        self.work: Handles = {}
        """The application's: it ends when the client leaves."""
        self.handlers: Handles = {}
        """What handles messages, where that is several at once."""
        self.services: Handles = {}
        """What serves the connection, until all else has ended."""

    def start(
        self,
        handles: Handles,
        function: Callable[..., Awaitable[Any]],
        *args: Any,
        name: object = None,
        group: TaskGroup | None = None,
    ) -> TaskHandle[Any]:
        """Start a task; what it raises goes to the owner, and nowhere else."""
        task: Task = object()

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
                handles.pop(task, None)

        handle = (group or self.group).start_soon(
            run, name=name or getattr(function, "__qualname__", repr(function))
        )
        handles[task] = handle
        return handle

    def cancel(self, handles: Handles, keep: Task | None = None) -> None:
        """Cancel tasks of one kind."""
        for task, handle in list(handles.items()):
            if task is not keep:
                handle.cancel()

    def end(self) -> None:
        """Cancel them all, and let none start any more."""
        self.over = True
        for handles in (self.work, self.handlers, self.services):
            self.cancel(handles)

    def enter(self) -> Token[tuple[Tasks, Task] | None]:
        """Count the current task as the main one; return what :meth:`leave` takes."""
        return _current.set((self, MAIN))

    def leave(self, token: Token[tuple[Tasks, Task] | None]) -> None:
        """Count the current task as what it was before."""
        _current.reset(token)

    def caller(self) -> Task | None:
        """Return which of the connection's tasks calls; ``None``: somebody else."""
        current = _current.get()
        return current[1] if current is not None and current[0] is self else None


_current: Final[ContextVar[tuple[Tasks, Task] | None]] = ContextVar(
    "consumers.current", default=None
)
"""Whose work the current task does."""
