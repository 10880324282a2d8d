"""One call of the application: its task, its error, and where it waits."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable, Coroutine, Iterator
from types import FrameType
from typing import Any, Final

import anyio
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["Call"]


class Call:
    """The application, called once, in a task of its own."""

    def __init__(
        self,
        app: ASGIApp,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        prepare: Callable[[], None],
        on_end: Callable[[], None] = lambda: None,
        forgives: Callable[[BaseException], bool] = lambda error: False,
    ) -> None:
        self._app = app
        self._arguments = (scope, receive, send)
        self._prepare = prepare
        self._on_end = on_end
        self._forgives = forgives
        self._cancel_scope = anyio.CancelScope()
        self._coroutine: Coroutine[Any, Any, None] | None = None
        self._task_id: int | None = None
        self.error: BaseException | None = None
        """What the application raised and nobody has taken yet."""
        self.ended = anyio.Event()
        """Set when the application has returned or raised."""

    async def run(self) -> None:
        """Call the application. Never raises: see :attr:`error`."""
        self._prepare()
        self._task_id = anyio.get_current_task().id
        self._coroutine = self._call()
        try:
            with self._cancel_scope:
                await self._coroutine
        except anyio.get_cancelled_exc_class():
            # Nothing comes after it in this task. If the application cancelled its own
            # task natively, the tasks of other connections must live on.
            pass
        except BaseException as error:
            if not self._forgives(error):
                self.error = error
        finally:
            self._on_end()
            self.ended.set()

    async def _call(self) -> None:
        await self._app(*self._arguments)

    def cancel(self) -> None:
        """Cancel the application."""
        self._cancel_scope.cancel()

    async def stop(self, seconds: float) -> bool:
        """Cancel the application and wait; tell whether it ended in time.

        Not cancelled itself: the caller may be on its way out by a cancellation.
        """
        self.cancel()
        with anyio.move_on_after(seconds, shield=True):
            await self.ended.wait()
        return self.ended.is_set()

    def take_error(self) -> BaseException | None:
        """Return what the application raised, the first time that it is asked for."""
        error, self.error = self.error, None
        return error

    def where(self) -> str:
        """Tell where the application waits, as a traceback would, for all its tasks."""
        if self.ended.is_set():
            return "the application has returned"
        if self._coroutine is None:
            return "the application has not started"
        children: dict[int | None, list[anyio.TaskInfo]] = {}
        for task in anyio.get_running_tasks():
            children.setdefault(task.parent_id, []).append(task)
        parts = [_stack(self._coroutine)]
        parents = [self._task_id]
        for parent in parents:
            for task in children.get(parent, ()):
                parents.append(task.id)
                parts.append(f"  and in its task {task.name} at\n{_stack(task.coro)}")
        return "the application waits at\n" + "\n".join(parts)


# What a reader looks for is not in here.
_HIDDEN: Final = frozenset(
    {"anyio", "asyncio", "trio", __name__, f"{__package__}.transport"}
)


def _stack(coroutine: object) -> str:
    """Return the stack of a suspended coroutine, without what lies below it."""
    frames = [
        (frame, frame.f_lineno)
        for frame in _frames(coroutine)
        if _HIDDEN.isdisjoint(_modules(frame))
    ]
    return "".join(traceback.StackSummary.extract(iter(frames)).format()).rstrip()


def _modules(frame: FrameType) -> tuple[str, str]:
    """Return the module that a frame runs in, and the package at its top."""
    name: str = frame.f_globals.get("__name__", "")
    return name, name.partition(".")[0]


def _frames(awaitable: object) -> Iterator[FrameType]:
    """Yield the frames from a coroutine down to what it waits for."""
    while awaitable is not None:
        for prefix, below in (("cr", "await"), ("gi", "yieldfrom"), ("ag", "await")):
            frame = getattr(awaitable, f"{prefix}_frame", None)
            if frame is not None:
                yield frame
                awaitable = getattr(awaitable, f"{prefix}_{below}")
                break
        else:
            awaitable = _wrapped(awaitable)


def _wrapped(awaitable: object) -> object:
    """Return the coroutine in what ``coroutine.__await__()`` or ``__anext__`` made.

    These have no attribute for it; what they refer to is found by the collector.
    """
    if type(awaitable).__name__ not in ("coroutine_wrapper", "async_generator_asend"):
        return None
    return next(
        (
            part
            for part in gc.get_referents(awaitable)
            if hasattr(part, "cr_frame") or hasattr(part, "ag_frame")
        ),
        None,
    )
