"""Machines that call two layers of one place in any order, beside the reference."""

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from consumers.clock import VirtualClock, current_clock
from consumers.history import History, Position
from consumers.layers import (
    Layer,
)
from consumers_tests.layers.conformance.tools import (
    LONG,
    Heard,
    Note,
    messages,
    read,
)
from consumers_tests.layers.model import (
    ReferenceHistory,
)

BRIEF = 0.005
"""Seconds of what shall run out before the next call."""
GONE = 0.015
"""Seconds after which it has."""

SIZE = 3
KEPT = History(size=SIZE, ttl=LONG, remember=LONG)
EXPIRES = History(size=SIZE, ttl=BRIEF, remember=LONG)
FORGOTTEN = History(size=SIZE, ttl=BRIEF, remember=BRIEF)

PROCESSES = (0, 1)
LOGS = ("log.a", "log.b")
PLAIN = "plain"
ROOM = "room"
BARRIER = "barrier"

processes = st.sampled_from(PROCESSES)
logs = st.sampled_from(LOGS)
groups = st.sampled_from((*LOGS, PLAIN))
keys = st.sampled_from(("k1", "k2"))
counts = st.integers(1, 5)
connections = st.integers(0, 3)
tellings = st.sampled_from((b"\x01", b"\x02"))


@dataclass
class Place:
    """Where layers are: how to make one, to let time pass, to lose all data."""

    make: Callable[[], Layer]
    pass_time: Callable[[float], Any]
    wipe: Callable[[], Any]
    clock: VirtualClock | None = None


class Layers(RuleBasedStateMachine):
    """Two layers of one place."""

    portal: ClassVar[BlockingPortal]
    place: ClassVar[Place]

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self.layers: list[Layer] = []
        self.heard: list[Heard] = []

    def call(self, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
        async def run() -> Any:
            with anyio.fail_after(20):
                return await function(*args, **named)

        return self.portal.call(run)

    @initialize()
    def start(self) -> None:
        """Start two processes in an empty place."""
        self.place.wipe()
        for _ in PROCESSES:
            layer, heard = self.place.make(), Heard()
            self._stack.enter_context(
                self.portal.wrap_async_context_manager(
                    running(layer, heard, self.place.clock)
                )
            )
            self.layers.append(layer)
            self.heard.append(heard)
            self.call(layer.subscribe, BARRIER)

    def teardown(self) -> None:
        """Stop them."""
        self._stack.close()


class Publications(Layers):
    """What is published, kept, delivered and replayed."""

    def __init__(self) -> None:
        super().__init__()
        self.expected: list[list[tuple[str, object, Position | None]]] = [[], []]
        self.subscribed: list[set[str]] = [set(), set()]
        self.histories = {group: ReferenceHistory(SIZE) for group in LOGS}
        self.epochs: set[str] = set()
        self.brief: set[str] = set()
        self.keys: dict[tuple[str, str], Position | None] = {}
        self.left: dict[tuple[int, str], Position] = {}
        self.number = 0

    # -- publications

    @rule(process=processes, group=groups, count=counts)
    def publish(self, process: int, group: str, count: int) -> None:
        """Publish some in one call."""
        history = None if group == PLAIN else KEPT
        self._publish(process, [self._note(group, history) for _ in range(count)])

    @rule(process=processes, counts=st.tuples(counts, counts))
    def publish_to_several(self, process: int, counts: tuple[int, int]) -> None:
        """Publish to several groups in one call."""
        notes = [self._note(group, KEPT) for group in LOGS * counts[0]]
        self._publish(process, [*notes, *[self._note(PLAIN) for _ in range(counts[1])]])

    @rule(process=processes, group=groups)
    def publish_undeclared(self, process: int, group: str) -> None:
        """Publish without saying what is kept, if that is not for a short time."""
        if group not in self.brief:
            self._publish(process, [self._note(group)])

    @rule(process=processes, group=groups)
    def publish_transient(self, process: int, group: str) -> None:
        """Publish what is not to be kept, between two that are."""
        kept = None if group == PLAIN else KEPT
        passing = Note(group, "passing", kept, transient=True)
        notes = [self._note(group, kept), passing, self._note(group, kept)]
        self._publish(process, notes)

    @rule(process=processes, group=groups, key=keys)
    def publish_once(self, process: int, group: str, key: str) -> None:
        """Publish with a key that may have been used."""
        self._publish(
            process, [self._note(group, None if group == PLAIN else KEPT, key)]
        )

    def _note(
        self, group: str, history: History | None = None, key: str | None = None
    ) -> Note:
        self.number += 1
        return Note(group, self.number, history, key)

    def _publish(self, process: int, notes: Sequence[Note]) -> None:
        positions = self.call(self.layers[process].publish, notes)
        assert len(positions) == len(notes)
        for note, position in zip(notes, positions, strict=True):
            key = (note.group, note.idempotency_key or "")
            if key in self.keys:
                assert position == self.keys[key]
                continue
            history = self.histories.get(note.group)
            expected = None
            if (
                history is not None
                and not note.transient
                and (note.history or history.epoch)
            ):
                if history.epoch is None:
                    self._begun(note.group, position)
                assert history.epoch is not None
                expected = Position(history.say(note.message), history.epoch)
                self.brief -= {note.group}
            assert position == expected
            if note.idempotency_key:
                self.keys[key] = position
            for listener in PROCESSES:
                hears = listener == process or not self.layers[listener].local
                if hears and note.group in self.subscribed[listener]:
                    self.expected[listener].append((note.group, note.message, expected))
        self._compare()

    def _begun(self, group: str, position: Position | None) -> None:
        assert position is not None
        assert position.epoch not in self.epochs
        self.epochs.add(position.epoch)
        self.histories[group].begin(position.epoch)

    def _compare(self) -> None:
        """Compare what was delivered, after all that was published has been."""
        # What is published next arrives next, so nothing else is on its way then.
        for layer in self.layers if self.layers[0].local else self.layers[:1]:
            self.call(layer.publish, [Note(BARRIER, "next")])
        for heard, expected in zip(self.heard, self.expected, strict=True):
            self.call(heard.until, 1, BARRIER)
            got = [
                (each.group, read(each.carried), each.position)
                for each in heard.deliveries
                if each.group != BARRIER
            ]
            assert got == expected
            heard.deliveries.clear()
            expected.clear()

    # -- who listens

    @rule(process=processes, group=groups)
    def join(self, process: int, group: str) -> None:
        """Subscribe, and take up where this process left off: none twice or lost."""
        self.call(self.layers[process].subscribe, group)
        self.subscribed[process].add(group)
        if group != PLAIN:
            self._replay(process, group, self.left.pop((process, group), None), None)

    @rule(process=processes, group=groups)
    def leave(self, process: int, group: str) -> None:
        """Unsubscribe, and remember the position."""
        self.call(self.layers[process].unsubscribe, group)
        self.subscribed[process].discard(group)
        history = self.histories.get(group)
        if history is not None and history.epoch is not None:
            self.left[process, group] = Position(len(history.said), history.epoch)

    @rule(
        process=processes,
        group=logs,
        behind=st.integers(-1, SIZE + 1),
        limit=st.none() | st.integers(0, SIZE + 1),
    )
    def resume(self, process: int, group: str, behind: int, limit: int | None) -> None:
        """Ask what came after a position, or one that never was."""
        history = self.histories[group]
        since = Position(
            max(len(history.said) - behind, 0), history.epoch or "never-was"
        )
        self._replay(process, group, since, limit)

    @rule(process=processes, group=logs, limit=st.none() | st.integers(0, SIZE + 1))
    def latest(self, process: int, group: str, limit: int | None) -> None:
        """Ask for the latest."""
        self._replay(process, group, None, limit)

    def _replay(
        self, process: int, group: str, since: Position | None, limit: int | None
    ) -> None:
        replay = self.call(
            self.layers[process].history, group, KEPT, since=since, limit=limit
        )
        history = self.histories[group]
        if history.epoch is None:
            self._begun(group, replay.position)
        assert history.epoch is not None
        assert replay.position == Position(len(history.said), history.epoch)
        assert replay.complete == (since is not None and history.complete(since))
        wanted = history.latest(SIZE)
        if since is None:
            wanted = history.latest(SIZE if limit is None else limit)
        elif replay.complete:
            wanted = history.latest(len(history.said) - since.offset)[:limit]
        else:
            wanted = wanted[:limit]
        got = zip(
            [each.position.offset for each in replay.kept],
            messages(replay.kept),
            strict=True,
        )
        assert list(got) == wanted
        assert {each.position.epoch for each in replay.kept} <= {history.epoch}

    @rule(process=processes)
    def positions(self, process: int) -> None:
        """Ask where all stand."""
        positions = self.call(self.layers[process].positions, [*LOGS, PLAIN])
        expected = [
            None
            if history.epoch is None
            else Position(len(history.said), history.epoch)
            for history in self.histories.values()
        ]
        assert positions == [*expected, None]

    # -- what is lost

    @rule(process=processes, group=logs, loss=st.sampled_from(("log", "epoch", "all")))
    def lose(self, process: int, group: str, loss: str) -> None:
        """Let what is kept run out, or the position too; or all that anybody kept."""
        if loss == "all":
            self.place.wipe()
            for history in self.histories.values():
                history.epoch = None
            self.keys.clear()
            return
        # Time is too short for others: one more publication is kept for a short time.
        brief = EXPIRES if loss == "log" else FORGOTTEN
        self._publish(process, [self._note(group, brief)])
        self.place.pass_time(GONE)
        self.histories[group].kept = 0
        if loss == "log":
            self.brief.add(group)
        else:
            self.histories[group].epoch = None


@asynccontextmanager
async def running(
    layer: Layer, heard: Heard, clock: VirtualClock | None
) -> AsyncIterator[None]:
    """Run a layer, by a clock if one is given."""
    if clock is not None:
        current_clock.set(clock)
    async with layer.running(heard):
        yield


def explore(
    machine: type[Layers],
    place: Place,
    backend: str,
    examples: int,
    *,
    shrink: bool = True,
) -> None:
    """Try so many orders of calls in a place."""
    with start_blocking_portal(backend) as portal:
        try_out(
            type("Machine", (machine,), {"portal": portal, "place": place}),
            examples,
            shrink=shrink,
        )


def try_out(
    machine: type[RuleBasedStateMachine], examples: int, *, shrink: bool = True
) -> None:
    """Run a machine so many times.

    In the same ways each time; ``CONSUMERS_MODEL_EXAMPLES=1000`` has it try so many
    others.
    """
    wanted = os.environ.get("CONSUMERS_MODEL_EXAMPLES")
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=int(wanted or examples),
            stateful_step_count=30,
            deadline=None,
            derandomize=wanted is None,
            database=None,
            phases=[Phase.generate, Phase.shrink] if shrink else [Phase.generate],
            print_blob=False,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
