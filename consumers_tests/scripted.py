"""A connection that goes by a script, and a run of it that is cancelled at one tick.

A tick is one pass of the event loop through all tasks that are ready. The script needs
no timer and no other task to go on, so that a run takes the same ticks each time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import anyio
from anyio.lowlevel import checkpoint

from consumers import App, Groups, WebSocketConsumer, WebSocketRoute
from consumers.clock import VirtualClock, current_clock
from consumers.runtime.answered import current_answered
from consumers.runtime.dispatch import Dispatch
from consumers.runtime.heartbeats import current_heartbeats
from consumers.runtime.registry import current_registry
from consumers.runtime.session import Session
from consumers.runtime.watchdog import current_watchdog

MOST_TICKS = 400
"""No script takes that many."""

Kind = Literal["scope", "native", "twice"]


def text(message: str) -> dict[str, Any]:
    """Return a client's message."""
    return {"type": "websocket.receive", "text": message}


class ScriptedServer:
    """What an application gets as `receive` and `send`; each call takes some ticks."""

    def __init__(self, events: Iterable[dict[str, Any]], *, stalls: bool) -> None:
        self._events = [{"type": "websocket.connect"}, *events]
        self._stalls = stalls
        self._resumed = anyio.Event()
        self.sent: list[str] = []

    async def receive(self) -> dict[str, Any]:
        """Return the script's next event; after the last one wait for ever."""
        await checkpoint()
        if not self._events:
            await anyio.sleep_forever()
        event = self._events[0]
        if event["type"] == "script.resume":
            self._resumed.set()
            event = self._events[1]
            del self._events[0]
        del self._events[0]
        return event

    async def send(self, event: Any) -> None:
        """Take an event; a stalled client takes no message until the script resumes."""
        await checkpoint()
        if self._stalls and event["type"] == "websocket.send":
            await self._resumed.wait()
        self.sent.append(event["type"])


@dataclass
class Outcome:
    """What is left after a run."""

    interrupted: bool
    """Whether it was cancelled before its end."""
    entered: bool
    """Whether a hook was entered, so that on_disconnect was due."""
    ended: list[str]
    """What on_disconnect noted; ``began, finished`` if it ran once, to its end."""
    left: dict[str, Any] = field(default_factory=dict)
    """``{what: how much of it is left}``; nothing should be."""


@dataclass
class Script:
    """One connection: who serves it, and what the client does."""

    make: Callable[[list[str]], type[WebSocketConsumer] | Callable[..., Any]]
    """Returns the consumer; it notes ``entered`` and ``began, finished``."""
    events: list[dict[str, Any]]
    stalls: bool = False
    """Whether the client takes no message before the event ``script.resume``."""
    offers: tuple[str, ...] = ()
    """The subprotocols that the client offers."""


async def run(script: Script, tick: int, kind: Kind, again: int = 1) -> Outcome:
    """Run a script; cancel it at one tick, and natively again some ticks later."""
    journal: list[str] = []
    route = WebSocketRoute("/", script.make(journal))
    consumers: list[WebSocketConsumer] = []
    dispatches: list[Dispatch | None] = []

    class Watched(route.consumer):  # type: ignore[name-defined, misc]
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            consumers.append(self)

    async def accepted(self: Any) -> None:
        try:
            await WebSocketConsumer._accepted(self)
        finally:  # at its end the connection lets go of it
            dispatches.append(self._runtime._dispatch)

    Watched._accepted = accepted
    plan = route.consumer._plan
    if route.consumer._view is not None or plan.begins_idle:
        Watched._plan = plan
    groups = Groups(declared=getattr(route.consumer, "declared", ()))
    app = App([WebSocketRoute("/", Watched)], groups=groups)
    server = ScriptedServer(script.events, stalls=script.stalls)
    scope = {
        "type": "websocket",
        "path": "/",
        "query_string": b"",
        "headers": [],
        "subprotocols": [*script.offers],
    }
    before = len(anyio.get_running_tasks())
    lives = set(current_registry().lives)
    ended = anyio.Event()
    task: asyncio.Task[None] | None = None
    interrupted = False

    async def serve() -> None:
        nonlocal task
        if kind != "scope":
            task = asyncio.current_task()
        try:
            await app(scope, server.receive, server.send)
        except anyio.get_cancelled_exc_class():
            if kind == "scope":
                raise
        finally:
            ended.set()

    current_clock.set(VirtualClock())
    async with anyio.create_task_group() as group:
        handle = group.start_soon(serve)
        for number in range(1, MOST_TICKS):
            await checkpoint()
            if ended.is_set():
                break
            if number == tick or (kind == "twice" and number == tick + again):
                interrupted = True
                cancel = handle.cancel if task is None else task.cancel
                cancel()
        else:
            raise AssertionError(f"a run took more than {MOST_TICKS} ticks")
    watchdog = current_watchdog()
    sessions = [each for each in dispatches if isinstance(each, Session)]
    left = {
        "groups": list((await app.groups._here()).hub.members),
        "tasks": len(anyio.get_running_tasks()) - before,
        "outboxes": [each._outbox for each in consumers if each._outbox is not None],
        "looked after": len(current_heartbeats()),
        "watched": len(watchdog) + watchdog.awake,
        "asked": [len(each.asking) for each in sessions if len(each.asking)],
        "calls": [each._calls for each in sessions if each._calls],
        "keys": list(current_answered()._working),
        "registered": current_registry().lives - lives,
    }
    return Outcome(
        interrupted,
        "entered" in journal,
        [entry for entry in journal if entry != "entered"],
        {what: rest for what, rest in left.items() if rest},
    )


async def until_it_ends_by_itself(
    one: Callable[[int], Awaitable[Outcome]],
) -> list[Outcome]:
    """Cancel a run at each tick in turn, until one ends before it is cancelled."""
    outcomes = []
    for tick in range(1, MOST_TICKS):
        outcomes.append(await one(tick))
        if not outcomes[-1].interrupted:
            break
    return outcomes
