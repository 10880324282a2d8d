"""The application is cancelled at each tick in turn, and nothing of it is left.

By a scope, as trio's servers and middleware do, and by a native ``Task.cancel()``, as
uvicorn does at the end of its patience, once and twice.
"""

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import anyio
import msgspec
import pytest
from anyio.lowlevel import checkpoint

from consumers import (
    Group,
    Limits,
    Provide,
    WebSocketConsumer,
    receives,
    subscribes,
)
from consumers.runtime.runtime import Runtime
from consumers_tests.scripted import (
    MOST_TICKS,
    Outcome,
    Script,
    run,
    text,
    until_it_ends_by_itself,
)

LEAVES = {"type": "websocket.disconnect", "code": 1000}


class Ending(WebSocketConsumer):
    """Ends in some ticks, and publishes in its end."""

    journal: list[str]

    async def on_disconnect(self, code: int) -> None:
        self.journal.append("began")
        for _ in range(3):
            await checkpoint()
        await self.publish("room", "bye")
        self.journal.append("finished")


def _hooks(journal: list[str]) -> type[WebSocketConsumer]:
    class Hooks(Ending):
        async def on_handshake(self) -> None:
            journal.append("entered")
            await checkpoint()

        async def on_connect(self) -> None:
            await self.join("room", "lobby")
            self.start_soon(self.work)
            async with self.joining("snapshot"):
                await self.send("snapshot")

        async def work(self) -> None:
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await checkpoint()

        async def on_receive(self, message: str) -> None:
            await self.send(message)
            await self.publish("room", message)

    Hooks.journal = journal
    return Hooks


def _idle(journal: list[str]) -> type[WebSocketConsumer]:
    class Idle(Ending):
        async def on_receive(self, message: str) -> None:
            journal.append("entered")
            await self.join("room")

    Idle.journal = journal
    return Idle


def _view(journal: list[str]) -> Callable[..., Any]:
    async def view(ws: Any) -> None:
        journal.append("entered")
        try:
            async with ws.joining("room"):
                await ws.send("hello")
            ws.start_soon(anyio.sleep_forever)
            async for message in ws:
                await ws.publish("room", message)
        finally:
            # Its own clean-up; whether it is cancelled is the view's affair.
            journal.extend(["began", "finished"])

    return view


def _concurrent(journal: list[str]) -> type[WebSocketConsumer]:
    class Concurrent(Ending):
        concurrency = 3

        async def on_connect(self) -> None:
            journal.append("entered")
            await self.join("room")

        async def on_receive(self, message: str) -> None:
            for _ in range(3):
                await checkpoint()
            await self.send(message)

    Concurrent.journal = journal
    return Concurrent


def _typed(journal: list[str]) -> type[WebSocketConsumer]:
    class Typed(Ending):
        async def on_connect(self) -> None:
            journal.append("entered")
            await self.join("room")

        @receives("say")
        async def say(self, text: str) -> str:
            await checkpoint()
            return text

        @receives("ask", concurrency=2, key="room")
        async def ask(self, room: str) -> str:
            for _ in range(2):
                await checkpoint()
            return room

        @receives("count")
        async def count(self) -> AsyncIterator[int]:
            try:
                yield 1
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await checkpoint()

    Typed.journal = journal
    return Typed


def _stalled(journal: list[str]) -> type[WebSocketConsumer]:
    class Stalled(Ending):
        limits = Limits(outbox_messages=3)

        async def on_connect(self) -> None:
            journal.append("entered")
            await self.join("room")

        async def on_receive(self, message: str) -> None:
            await self.publish("room", message)
            if message == "three":
                self.start_soon(self.send, "waits its turn")

    Stalled.journal = journal
    return Stalled


def _denying(journal: list[str]) -> type[WebSocketConsumer]:
    class Denying(Ending):
        async def on_handshake(self) -> None:
            journal.append("entered")
            await checkpoint()
            await self.reject(401, "who are you")

    Denying.journal = journal
    return Denying


def _providing(journal: list[str]) -> type[WebSocketConsumer]:
    async def resource() -> AsyncIterator[str]:
        await checkpoint()
        journal.append("began")
        try:
            yield "resource"
        finally:
            await checkpoint()
            journal.append("finished")

    class Providing(WebSocketConsumer):
        async def on_connect(
            self, resource: Annotated[str, Provide(resource, scope="connection")]
        ) -> None:
            journal.append("entered")
            await self.join("room")

        async def on_receive(self, message: str) -> None:
            await self.send(message)

    return Providing


class Work(msgspec.Struct, tag="work"):
    name: str


def _framed(journal: list[str]) -> type[WebSocketConsumer]:
    room = Group("room")

    class Framed(Ending):
        declared = (room,)

        async def on_connect(self) -> None:
            journal.append("entered")
            await self.join("lobby")

        @receives
        async def work(self, message: Work) -> str:
            await self.publish("room", message.name)
            return message.name

        @receives("ask", concurrency=2)
        async def ask(self) -> str:
            answer: str = await self.request("why?", returns=str)
            return answer

        @subscribes(room)
        async def watch(self) -> str:
            await checkpoint()
            return "snapshot"

    Framed.journal = journal
    return Framed


def frame(kind: str, **fields: Any) -> dict[str, Any]:
    """Return a client's frame."""
    return text(msgspec.json.encode({"type": kind, **fields}).decode())


OFFERS = ("consumers.v1+json",)
FRAMES = [
    frame("subscribe", id=1, group="room"),
    frame("ping"),
    frame("request", id=2, message={"type": "work", "name": "a"}, key="a-1"),
    frame("request", id=3, message={"type": "work", "name": "a"}, key="a-1"),
    frame("request", id=4, message={"type": "ask"}),
    frame("request", id=5, message={"type": "ask"}, key="a-2"),
    frame("cancel", id=5),
    frame("reply", id=1, message="because"),
    frame("unsubscribe", id=6, group="room"),
    frame("subscribe", id=7, group="room"),
    LEAVES,
]

SCRIPTS = {
    "hooks": Script(_hooks, [text("one"), text("two"), LEAVES]),
    "idle": Script(_idle, [text("one"), LEAVES]),
    "silent": Script(_idle, [LEAVES]),
    "view": Script(_view, [text("one"), LEAVES]),
    "concurrency": Script(_concurrent, [*map(text, "abcde"), LEAVES]),
    "typed": Script(
        _typed,
        [
            text('{"type": "say", "text": "a", "id": 1}'),
            *(text(f'{{"type": "ask", "room": "{room}", "id": 2}}') for room in "aab"),
            text('{"type": "count", "id": 5}'),
            text('{"type": "say", "text": "b", "id": 6}'),
            text('{"cancel": 6}'),
            text('{"cancel": 5}'),
            text('{"type": "count", "id": 7}'),
            LEAVES,
        ],
    ),
    "stalled": Script(
        _stalled,
        [*map(text, ("one", "two", "three")), {"type": "script.resume"}, LEAVES],
        stalls=True,
    ),
    "denial": Script(_denying, []),
    "provider": Script(_providing, [text("one"), LEAVES]),
    "frames": Script(_framed, FRAMES, offers=OFFERS),
}
asyncio_only = pytest.mark.parametrize(
    "anyio_backend", ["asyncio", ("asyncio", {"use_uvloop": True})], ids=str
)
all_scripts = pytest.mark.parametrize("name", SCRIPTS)


def _wrong(outcomes: list[Outcome]) -> dict[int, Outcome]:
    """Return ``{tick: outcome}`` of the runs that left something or were cut short."""
    full = ["began", "finished"]
    return {
        tick: outcome
        for tick, outcome in enumerate(outcomes, 1)
        if outcome.left
        or outcome.ended not in ([full] if outcome.entered else [[], full])
    }


@all_scripts
async def test_cancelled_by_a_scope_at_each_tick(name: str) -> None:
    """Groups, tasks and outboxes are back to zero, and on_disconnect ran to its end."""
    script = SCRIPTS[name]

    outcomes = await until_it_ends_by_itself(lambda tick: run(script, tick, "scope"))

    assert len(outcomes) > 5
    assert _wrong(outcomes) == {}


@asyncio_only
@all_scripts
async def test_cancelled_natively_once_at_each_tick(name: str) -> None:
    """A native Task.cancel(), which no shield stops, changes nothing about that."""
    script = SCRIPTS[name]

    outcomes = await until_it_ends_by_itself(lambda tick: run(script, tick, "native"))

    assert len(outcomes) > 5
    assert _wrong(outcomes) == {}


@asyncio_only
@pytest.mark.parametrize("again", [1, 2, 5])
@all_scripts
async def test_cancelled_natively_twice_at_each_tick(name: str, again: int) -> None:
    """Nor does a second one, some ticks later."""
    script = SCRIPTS[name]

    outcomes = await until_it_ends_by_itself(
        lambda tick: run(script, tick, "twice", again)
    )

    assert _wrong(outcomes) == {}


async def test_a_client_that_leaves_after_any_frame_leaves_nothing() -> None:
    """Whatever it had asked for, or been asked, by then."""
    outcomes = []
    for count in range(len(FRAMES)):
        script = Script(_framed, [*FRAMES[:count], LEAVES], offers=OFFERS)
        outcomes.append(await run(script, MOST_TICKS, "scope"))

    assert _wrong(outcomes) == {}
    assert not any(outcome.interrupted for outcome in outcomes)


# Controls: without the guard these tests fail.


class InTheServersTask(Runtime):
    """Runs on_disconnect in the task that the server cancels, under the same shield."""

    __slots__ = ()

    async def _say_farewell(self) -> None:
        pass

    async def run(self) -> None:
        try:
            await super().run()
        finally:
            if self._entered:
                await self.end_it()

    async def end_it(self) -> None:
        with anyio.CancelScope(shield=True):
            await self.consumer.on_disconnect(1012)


class Unshielded(InTheServersTask):
    """Runs on_disconnect there without a shield."""

    __slots__ = ()

    async def end_it(self) -> None:
        await self.consumer.on_disconnect(1012)


async def test_without_a_shield_a_scope_cuts_on_disconnect_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Control: without the shield it is cancelled at its first await."""
    monkeypatch.setattr("consumers.runtime.observed.Runtime", Unshielded)

    hooks = SCRIPTS["hooks"]
    outcomes = await until_it_ends_by_itself(lambda tick: run(hooks, tick, "scope"))

    assert ["began"] in [outcome.ended for outcome in _wrong(outcomes).values()]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_without_a_task_of_its_own_a_native_cancel_cuts_it_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Control: a shield alone does not keep a second Task.cancel() from it."""
    monkeypatch.setattr("consumers.runtime.observed.Runtime", InTheServersTask)

    hooks = SCRIPTS["hooks"]
    outcomes = await until_it_ends_by_itself(lambda tick: run(hooks, tick, "twice", 2))

    assert ["began"] in [outcome.ended for outcome in _wrong(outcomes).values()]
