"""A follower delivers each publication once and in order, or tells of a gap."""

from typing import Any, cast

import anyio
import pytest

from consumers.clock import VirtualClock, current_clock
from consumers.codecs import CODECS
from consumers.errors import LayerUnavailable, MessageNotEncodable
from consumers.groups.counters import Counters
from consumers.groups.follower import Follower
from consumers.groups.publication import Kind, Publication
from consumers.history import History, Position
from consumers.layers import Kept, Layer, Replay
from consumers.testing.settling import settle

HISTORY = History(size=10)


class ScriptedLayer:
    """Answers what a follower asks for, from a list of publications."""

    def __init__(self) -> None:
        self.epoch = "one"
        self.top = 0
        self.kept_from = 1  # the first offset that is still there
        self.fails = 0  # that many calls find no broker
        self.asked: list[Position | None] = []
        self.while_asked: Any = None  # called once, while the follower waits

    async def history(
        self, group: str, history: History, *, since: Position | None = None
    ) -> Replay:
        self.asked.append(since)
        await anyio.lowlevel.checkpoint()
        if self.fails:
            self.fails -= 1
            raise LayerUnavailable("not there")
        if self.while_asked is not None:
            self.while_asked, call = None, self.while_asked
            call()
        top = Position(self.top, self.epoch)
        assert since is not None
        if (
            since.epoch != self.epoch
            or not self.kept_from - 1 <= since.offset <= top.offset
        ):
            return Replay((), top, False)
        kept = [
            Kept(Position(offset, self.epoch), publication(offset))
            for offset in range(since.offset + 1, top.offset + 1)
        ]
        return Replay(tuple(kept), top, True)


def publication(offset: int) -> Publication:
    return Publication("a", offset)


class Following:
    """A follower of a scripted layer, and what it has delivered."""

    def __init__(self) -> None:
        self.layer = ScriptedLayer()
        self.delivered: list[Any] = []
        self.counters = Counters()
        self.follower = Follower(
            "a",
            HISTORY,
            cast("Layer", self.layer),
            read=lambda kept: cast("Publication", kept.carried),
            deliver=self.deliver,
            counters=self.counters,
        )

    def deliver(self, publication: Publication) -> None:
        gap = publication.kind is Kind.GAP
        self.delivered.append("gap" if gap else publication.message)

    def take(self, *offsets: int, epoch: str = "one") -> list[bool]:
        """Have publications come from the layer."""
        self.layer.top = max(self.layer.top, *offsets)
        return [
            self.follower.take(publication(offset), Position(offset, epoch))
            for offset in offsets
        ]


def test_what_comes_in_order_is_delivered_at_once() -> None:
    """The common case asks the layer for nothing."""
    it = Following()
    it.follower.begin(Position(0, "one"))

    assert it.take(1, 2, 3) == [False] * 3
    assert it.delivered == [1, 2, 3]
    assert it.layer.asked == []


def test_doubles_are_dropped_and_counted() -> None:
    """What was delivered is not delivered again."""
    it = Following()
    it.follower.begin(Position(0, "one"))

    it.take(1, 2, 1, 2, 3)

    assert it.delivered == [1, 2, 3]
    assert it.counters.doubles == 2


def test_what_comes_before_the_position_is_known_waits_for_it() -> None:
    """A subscription is heard before the layer has said where the history stands."""
    it = Following()

    it.take(4, 5, 6)
    assert it.delivered == []
    it.follower.begin(Position(5, "one"))

    assert it.delivered == [6]


async def test_a_gap_is_fetched_and_delivered_in_order() -> None:
    """What is missing comes from the history, before what showed that it is."""
    it = Following()
    it.follower.begin(Position(0, "one"))

    assert it.take(1, 4, 5) == [False, True, False]
    assert it.delivered == [1]
    await it.follower.recover()

    assert it.delivered == [1, 2, 3, 4, 5]
    assert it.layer.asked == [Position(1, "one")]
    assert (it.counters.gaps, it.counters.recovered) == (1, 4)


async def test_what_comes_while_it_recovers_is_neither_lost_nor_doubled() -> None:
    """Also what the history does not have yet when it is asked."""
    it = Following()
    it.follower.begin(Position(0, "one"))
    it.take(1, 4)

    def later() -> None:
        for offset in (5, 6):  # 6 is published after the layer has looked
            it.follower.take(publication(offset), Position(offset, "one"))
        it.layer.top = 5

    it.layer.while_asked = later
    await it.follower.recover()

    assert it.delivered == [1, 2, 3, 4, 5, 6]
    assert it.follower.position == Position(6, "one")


async def test_a_second_gap_is_found_while_it_recovers() -> None:
    """Recovering goes on until nothing is missing."""
    it = Following()
    it.follower.begin(Position(0, "one"))
    it.take(3)

    def later() -> None:
        it.follower.take(publication(7), Position(7, "one"))
        it.layer.top = 3

        def again() -> None:
            it.layer.top = 7

        it.layer.while_asked = again

    it.layer.while_asked = later
    await it.follower.recover()

    assert it.delivered == [1, 2, 3, 4, 5, 6, 7]
    assert it.layer.asked == [Position(0, "one"), Position(3, "one")]


async def test_what_was_trimmed_is_told_as_a_gap() -> None:
    """Publications that can't be had any more are never passed over in silence."""
    it = Following()
    it.follower.begin(Position(1, "one"))
    it.layer.kept_from = 5

    it.take(9)
    await it.follower.recover()
    it.take(10)

    assert it.delivered == ["gap", 10]
    assert it.counters.lost_continuity == 1


async def test_a_new_epoch_is_a_gap() -> None:
    """A broker that has lost its data begins a new history, from 1."""
    it = Following()
    it.follower.begin(Position(7, "one"))
    it.layer.epoch, it.layer.top = "two", 1

    assert it.follower.take(publication(1), Position(1, "two"))
    await it.follower.recover()
    it.follower.take(publication(2), Position(2, "two"))

    assert it.delivered == ["gap", 2]


async def test_a_broker_that_is_away_is_asked_again(
    passing_time: VirtualClock,
) -> None:
    """Nothing is given up; the pauses grow."""
    it = Following()
    it.follower.begin(Position(0, "one"))
    it.layer.fails = 3
    it.take(2)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(it.follower.recover)
        for pause in (0.1, 0.2, 0.4):
            await settle()
            assert it.delivered == []
            passing_time.advance(pause)

    assert it.delivered == [1, 2]


@pytest.mark.parametrize(
    ("asked_at", "position", "due"),
    [
        (Position(5, "one"), Position(5, "one"), False),
        (Position(5, "one"), Position(6, "one"), True),
        (Position(3, "one"), Position(4, "one"), False),
        (Position(5, "one"), Position(4, "one"), True),
        (Position(5, "one"), Position(5, "two"), True),
        (Position(5, "one"), None, True),
        (Position(5, "zero"), None, False),
        (None, None, False),
    ],
    ids=[
        "up to date",
        "behind",
        "it has come while the layer was asked",
        "the history went back",
        "another history",
        "no history",
        "another one, which was noticed while the layer was asked",
        "not followed yet",
    ],
)
def test_positions_are_compared(
    asked_at: Position | None, position: Position | None, due: bool
) -> None:
    """A silent gap is found, and what is on its way is none."""
    it = Following()
    it.follower.begin(Position(5, "one"))

    assert it.follower.check(asked_at, position) is due
    assert it.follower.recovering is due


async def test_a_position_can_be_waited_for() -> None:
    """Until what has it was delivered, live or from the history; not in vain."""
    it = Following()
    it.follower.begin(Position(0, "one"))
    reached: list[int] = []

    async def wait(offset: int) -> None:
        await it.follower.reached(Position(offset, "one"))
        reached.append(offset)

    async with anyio.create_task_group() as tasks:
        for offset in (1, 3):
            tasks.start_soon(wait, offset)
        await settle()
        assert reached == []
        it.take(1)
        await settle()
        assert reached == [1]
        it.take(3)
        await it.follower.recover()
        await settle()
    assert reached == [1, 3]
    with anyio.fail_after(10):
        await it.follower.reached(Position(2, "one"))
        await it.follower.reached(Position(9, "another"))


async def test_who_waits_for_what_can_not_be_sent_waits_no_longer() -> None:
    """Its turn has come, whatever its members make of it."""
    it = Following()
    it.follower.begin(Position(0, "one"))

    def encode(publication: Publication) -> None:
        publication.encoded(CODECS["bytes"])

    it.follower._deliver = encode
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(it.follower.reached, Position(1, "one"))
            await settle()
            with pytest.raises(MessageNotEncodable):
                it.take(1)


async def test_one_that_has_ended_delivers_nothing_more() -> None:
    """Who joins meanwhile has another one, and would get things twice."""
    it = Following()
    it.follower.begin(Position(0, "one"))
    it.layer.while_asked = it.follower.end
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(it.follower.reached, Position(3, "one"))
            await settle()
            it.take(3)
            await it.follower.recover()

    assert it.delivered == []


async def test_one_that_ends_while_the_layer_is_asked_is_not_compared() -> None:
    """It would ask for its history for ever, and keep it from being forgotten."""
    it = Following()
    it.follower.begin(Position(1, "one"))
    asked_at = it.follower.position
    it.follower.end()  # its last member has left, and the position has run out

    assert not it.follower.check(asked_at, None)

    with anyio.fail_after(10):
        await it.follower.recover()
    assert it.layer.asked == []


async def test_one_may_end_by_what_it_delivers() -> None:
    """Its last member leaves because of the gap that it is told of."""
    it = Following()
    it.follower.begin(Position(1, "another"))

    def leave(publication: Publication) -> None:
        it.deliver(publication)
        it.follower.end()

    it.follower._deliver = leave
    it.take(3)
    it.take(5)
    await it.follower.recover()

    assert it.delivered == ["gap"]


def test_a_gap_that_shows_at_the_beginning_is_told() -> None:
    """What came before the position was known may have had a hole already."""
    it = Following()
    it.take(5, 7)

    assert it.follower.begin(Position(4, "one"))
    assert it.delivered == [5]


def test_what_waits_is_bounded_by_the_history() -> None:
    """Beyond its size the history has it, or nobody."""
    it = Following()
    it.follower.begin(Position(0, "one"))

    it.take(*range(5, 105))

    assert len(it.follower._pending) == HISTORY.size


async def test_one_that_cannot_be_sent_does_not_stop_the_rest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A failure while a gap is filled is logged; the publisher is not here."""
    it = Following()
    it.follower.begin(Position(0, "one"))
    deliver = it.deliver

    def failing(publication: Publication) -> None:
        if publication.message == 2:
            raise ValueError("not this one")
        deliver(publication)

    it.follower._deliver = failing
    it.take(3)
    await it.follower.recover()

    assert it.delivered == [1, 3]
    assert "a publication to a is dropped" in caplog.text


@pytest.fixture
def passing_time() -> Any:
    """Let the test say when time passes."""
    clock = VirtualClock()
    token = current_clock.set(clock)
    yield clock
    current_clock.reset(token)
