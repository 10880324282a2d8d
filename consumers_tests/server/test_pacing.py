"""How much is sent before others have their turn: by script, and on each server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from consumers import App, WebSocketConsumer, WebSocketRoute
from consumers.server.asyncio_writing import LoopPace as AsyncioPace
from consumers.server.frames import close_frame
from consumers.server.pacing import LONG, MOST, SLICE, SPARE, Pace, Paced
from consumers.server.trio_poller import LoopPace as TrioPace
from consumers.server.trio_poller import TurnEnd
from consumers_tests.conftest import without_uvloop
from consumers_tests.server.live import KINDS, PATIENCE, Kind, handshake, in_thread

SENDERS, MESSAGES, SIZE = 50, 16, 4 * 1024
ALLOWED = 4 * MOST // (1 + SIZE // LONG)
"""Messages of that size while a task has two turns. On trio, where tasks have no
order, these are parts of three turns of the loop, and the first may take twice."""
GOODBYE = close_frame(1000)


class ScriptedPace(Pace[str]):
    """A pace whose turns the test makes; waiters are names."""

    def __init__(self) -> None:
        self.due: list[Callable[[], None]] = []
        self.woken: list[str] = []
        super().__init__(self.due.append)

    async def wait(self, amount: int) -> None:
        self.add("somebody", amount)

    def add(self, name: str, amount: int = SPARE) -> None:
        self._add(amount, name)

    def _wake(self, waiter: str) -> None:
        self.woken.append(waiter)

    def turn(self) -> list[str]:
        """Have a turn of the loop; return who may go on."""
        due = [*self.due]
        self.due.clear()
        self.woken.clear()
        for function in due:
            function()
        return [*self.woken]

    def takings(self, amount: int = SPARE) -> int:
        """Return how often it can be taken of while others wait now and then."""
        for number in range(10 * MOST):
            self.is_alone = False
            if not self.take(amount):
                return number
        return -1


def test_who_sends_alone_waits_after_a_slice() -> None:
    """Nobody else was seen to wait, so that it must be this one; again and again."""
    pace = ScriptedPace()
    for _ in range(30):
        assert all(pace.take(SPARE) for _ in range(SLICE // SPARE))
        assert not any(pace.take(SPARE) for _ in range(10))
        pace.add("alone")
        assert pace.turn() == ["alone"]
        assert not pace.due


def test_what_is_sent_in_many_turns_is_not_held_up() -> None:
    """Where others wait in between, there is always a turn before much is used."""
    pace = ScriptedPace()
    for _ in range(20 * MOST):
        pace.is_alone = False
        assert pace.take(SPARE)
        pace.turn()


def test_a_turn_is_over_when_its_measure_is_full() -> None:
    """The first of several takes two measures at most, those that follow take one."""
    pace = ScriptedPace()

    assert MOST < pace.takings() * SPARE <= 2 * MOST + SPARE
    assert pace.takings() == 0
    pace.turn()
    assert pace.takings() * SPARE <= 2 * MOST + SPARE
    for number in range(4 * MOST // SPARE):
        pace.add(f"{number}")
    for _ in range(3):
        assert len(pace.turn()) * SPARE == MOST
        assert pace.takings() == 0


def test_who_waits_goes_first_come_first_served() -> None:
    """Nobody who comes later is before those who wait."""
    pace = ScriptedPace()
    names = [f"{number}" for number in range(200)]
    for name in names:
        pace.add(name)

    done = pace.turn()
    assert done == names[: MOST // SPARE]
    assert not pace.take(SPARE)
    pace.add("late")
    while more := pace.turn():
        done += more

    assert done == [*names, "late"]
    assert not pace.due


def test_a_long_message_has_a_turn_of_its_own() -> None:
    """What is longer than the measure is sent all the same, one in a turn."""
    pace = ScriptedPace()
    for name in "abc":
        pace.add(name, 3 * MOST)

    assert [pace.turn() for _ in range(4)] == [["a"], ["b"], ["c"], []]


async def test_who_has_waited_has_what_it_waited_for() -> None:
    """The message that had to wait is sent, however much others send."""
    pace = ScriptedPace()
    paced = Paced(pace)
    pace.takings()

    assert not paced._takes(40 * LONG)
    await paced._turn()
    pace.turn()
    pace.takings()

    paced._spare -= 1
    assert paced._takes(40 * LONG)
    paced._spare -= 1
    assert not paced._takes(0)


@pytest.fixture(
    params=["own", pytest.param("own-uvloop", marks=without_uvloop), "trio"]
)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Run a test on each loop."""
    return KINDS[request.param]


class Crowd:
    """An application where all send once all are there, as much as they can."""

    def __init__(self) -> None:
        self.most = 0
        """Messages while another task has two turns."""
        self._sent = 0
        self._sends: list[Any] = []
        self._over = anyio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "websocket":
            return
        await receive()
        await send({"type": "websocket.accept"})
        self._sends.append(send)
        if len(self._sends) < SENDERS:
            await self._over.wait()
            return
        async with anyio.create_task_group() as group:
            for each in self._sends:
                group.start_soon(self._push, each)
            counts = [0, 0]
            while counts[-2] < SENDERS * MESSAGES:
                await checkpoint()
                counts.append(self._sent)
                self.most = max(self.most, counts[-1] - counts[-3])
        self._over.set()

    async def _push(self, send: Any) -> None:
        for _ in range(MESSAGES):
            await send({"type": "websocket.send", "bytes": b"x" * SIZE})
            self._sent += 1


def most_in_two_turns(kind: Kind) -> int:
    crowd = Crowd()
    with in_thread(crowd, kind) as server:
        socks = [server.raw(handshake()) for _ in range(SENDERS)]
        for sock in socks:
            with sock:
                got = b""
                while not got.endswith(GOODBYE):
                    got += sock.recv(1 << 20)
                assert len(got) > MESSAGES * SIZE
    return crowd.most


def test_many_senders_let_others_run(kind: Kind) -> None:
    """50 loops that begin at once send no more in a turn than is allowed for all."""
    assert 0 < most_in_two_turns(kind) <= ALLOWED


def test_without_a_pace_they_do_not(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A control: where all may be taken all is sent at once, which is more."""
    assert SENDERS * MESSAGES > ALLOWED
    monkeypatch.setattr(Pace, "take", lambda self, amount: True)

    assert most_in_two_turns(kind) == SENDERS * MESSAGES


@pytest.mark.parametrize("paced", [True, False])
def test_a_loop_in_a_hook_lets_others_run(
    kind: Kind, paced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every 64th short message; without a pace, for a control, at none."""
    if not paced:
        monkeypatch.setattr(Pace, "take", lambda self, amount: True)
    seen = []

    class Sending(WebSocketConsumer):
        turns = 0

        async def on_connect(self) -> None:
            self.start_soon(self.count)
            await checkpoint()
            before = self.turns
            for _ in range(640):
                await self.send("x")
            seen.append(self.turns - before)
            await self.close()

        async def count(self) -> None:
            while True:
                self.turns += 1
                await checkpoint()

    app = App([WebSocketRoute("/", Sending)])
    with in_thread(app, kind) as server, server.connect("/") as client:
        assert [*client] == ["x"] * 640

    assert (seen[0] >= 9) is paced


def test_who_is_cancelled_notices_while_it_waits(kind: Kind) -> None:
    """The 64th message at the latest is taken back, and the next one can be sent."""
    sent: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            with anyio.CancelScope() as scope:
                scope.cancel()
                while True:
                    await send({"type": "websocket.send", "text": f"{len(sent)}"})
                    sent.append(len(sent))
            await send({"type": "websocket.send", "text": "end"})

    with in_thread(app, kind) as server, server.connect("/") as client:
        got = [*client]

    assert got == [*map(str, sent), "end"]
    assert 0 < len(sent) < 64


async def test_who_is_cancelled_holds_nobody_up(anyio_backend_name: str) -> None:
    """Whoever waits behind it has a turn."""
    pace: Pace[Any]
    async with anyio.create_task_group() as group:
        if anyio_backend_name == "trio":
            end = TurnEnd()
            group.start_soon(end.run)
            pace = TrioPace(end.add)
        else:
            pace = AsyncioPace(asyncio.get_running_loop())
        with anyio.CancelScope() as scope:
            scope.cancel()
            await pace.wait(SPARE)
        assert scope.cancelled_caught
        with anyio.fail_after(PATIENCE):
            await pace.wait(SPARE)
        group.cancel_scope.cancel()
