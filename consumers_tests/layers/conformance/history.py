"""What a history keeps, and that it says when something is missing."""

from consumers.history import History, Position

from .tools import (
    FEW,
    KEEP,
    LONG,
    PAST,
    SHORT,
    MakeLayer,
    Note,
    PassTime,
    messages,
    publish,
    started,
    two,
)


async def test_asking_begins_a_history(make_layer: MakeLayer) -> None:
    """Where there was none, it begins at 0, and goes on from there."""
    async with started(make_layer) as (layer, _):
        assert await layer.positions(["a"]) == [None]
        begun = await layer.history("a", KEEP)
        assert (begun.kept, begun.position.offset) == ((), 0)
        assert not begun.complete
        assert (await layer.history("a", KEEP, since=begun.position)).complete

        positions = await publish(layer, 1, history=None)
        assert positions == [Position(1, begun.position.epoch)]


async def test_what_is_transient_is_carried_and_not_kept(
    make_layer: MakeLayer,
) -> None:
    """It has no position, whatever the group keeps, and takes nobody's place."""
    async with started(make_layer) as (layer, heard):
        await layer.subscribe("a")
        first = await publish(layer, 1)
        assert await layer.publish([Note("a", "gone", transient=True)]) == [None]
        second = await publish(layer, 2)

        assert await heard.until(3) == [1, "gone", 2]
        assert [each.position for each in heard.deliveries] == [*first, None, *second]
        assert messages((await layer.history("a", KEEP)).kept) == [1, 2]


async def test_all_is_returned_in_order_with_positions(make_layer: MakeLayer) -> None:
    """Without a limit it is everything that is kept, as it was published."""
    async with started(make_layer) as (layer, _):
        positions = await publish(layer, 1, "two", [3])
        replay = await layer.history("a", KEEP)

        assert messages(replay.kept) == [1, "two", [3]]
        assert [each.position for each in replay.kept] == positions
        assert replay.position == positions[-1]
        assert not replay.complete


async def test_the_latest_few_can_be_asked_for(make_layer: MakeLayer) -> None:
    """A limit alone means the latest, still in order."""
    async with started(make_layer) as (layer, _):
        await publish(layer, 1, 2, 3, 4)

        assert messages((await layer.history("a", KEEP, limit=2)).kept) == [3, 4]
        assert messages((await layer.history("a", KEEP, limit=9)).kept) == [1, 2, 3, 4]
        nothing = await layer.history("a", KEEP, limit=0)
        assert (nothing.kept, nothing.position.offset) == ((), 4)


async def test_what_came_after_a_position_is_complete(make_layer: MakeLayer) -> None:
    """Whoever returns gets all after its position, or nothing if it missed nothing."""
    async with started(make_layer) as (layer, _):
        begun = (await layer.history("a", KEEP)).position
        positions = [begun, *await publish(layer, 1, 2, 3)]

        for missed, since in zip(([1, 2, 3], [2, 3], [3], []), positions, strict=True):
            replay = await layer.history("a", KEEP, since=since)
            assert (messages(replay.kept), replay.complete) == (missed, True)
            assert replay.position == positions[-1]


async def test_a_replay_can_be_read_in_parts(make_layer: MakeLayer) -> None:
    """With a position a limit means the next few: each part continues the last."""
    async with started(make_layer) as (layer, _):
        since = (await layer.history("a", KEEP)).position
        await publish(layer, *range(7))
        read: list[object] = []
        for _ in range(4):
            part = await layer.history("a", KEEP, since=since, limit=2)
            assert part.complete
            assert part.position.offset == 7
            read += messages(part.kept)
            since = part.kept[-1].position

        assert read == list(range(7))
        nothing = await layer.history("a", KEEP, since=since, limit=0)
        assert (nothing.kept, nothing.complete) == ((), True)


async def test_no_more_is_kept_than_declared(make_layer: MakeLayer) -> None:
    """Beyond its size a history forgets the oldest, and says so to who missed it."""
    async with started(make_layer) as (layer, _):
        positions = await publish(layer, 1, 2, 3, 4, 5, history=FEW)

        assert messages((await layer.history("a", FEW)).kept) == [3, 4, 5]
        edge = await layer.history("a", FEW, since=positions[1])
        assert (messages(edge.kept), edge.complete) == ([3, 4, 5], True)
        trimmed = await layer.history("a", FEW, since=positions[0])
        assert not trimmed.complete
        assert not (await layer.history("a", FEW, since=positions[0], limit=1)).complete


async def test_publications_are_forgotten_and_the_position_is_not(
    make_layer: MakeLayer, pass_time: PassTime
) -> None:
    """After its ttl nothing is kept; who missed nothing is still told so."""
    short = History(size=100, ttl=SHORT, remember=LONG)
    async with started(make_layer) as (layer, _):
        positions = await publish(layer, 1, 2, history=short)
        await pass_time(PAST)

        replay = await layer.history("a", short)
        assert (replay.kept, replay.position) == ((), positions[1])
        assert (await layer.history("a", short, since=positions[1])).complete
        assert not (await layer.history("a", short, since=positions[0])).complete
        assert not (
            await layer.history("a", short, since=positions[0], limit=0)
        ).complete

        third = await publish(layer, 3)
        assert third == [Position(3, positions[0].epoch)]
        after = await layer.history("a", KEEP, since=positions[1])
        assert (messages(after.kept), after.complete) == ([3], True)
        assert not (await layer.history("a", KEEP, since=positions[0])).complete


async def test_a_publication_keeps_those_before_it(
    make_layer: MakeLayer, pass_time: PassTime
) -> None:
    """The ttl counts from the latest publication, for all of them."""
    async with started(make_layer) as (layer, _):
        await publish(layer, 1, history=KEEP)
        await publish(layer, 2, history=History(size=100, ttl=SHORT, remember=LONG))
        await publish(layer, 3, history=KEEP)
        kept = messages((await layer.history("a", KEEP)).kept)
        await pass_time(PAST)

        # A machine that took longer than the ttl has forgotten the first two.
        assert kept in ([1, 2, 3], [3])
        assert messages((await layer.history("a", KEEP)).kept) == kept


async def test_a_forgotten_position_is_another_history(
    make_layer: MakeLayer, pass_time: PassTime
) -> None:
    """When the position is forgotten too, offsets begin again, in another epoch."""
    brief = History(size=100, ttl=SHORT, remember=SHORT)
    async with started(make_layer) as (layer, _):
        before = (await publish(layer, 1, history=brief))[0]
        await pass_time(PAST)

        assert await layer.positions(["a"]) == [None]
        assert not (await layer.history("a", KEEP, since=before)).complete
        after = (await publish(layer, 2))[0]
        assert after.offset == 1
        assert after.epoch != before.epoch
        assert not (await layer.history("a", KEEP, since=before)).complete


async def test_a_position_is_remembered_while_it_is_asked_for(
    make_layer: MakeLayer, pass_time: PassTime
) -> None:
    """Members may sit in a silent group for longer than its position outlives it."""
    async with started(make_layer) as (layer, _):
        for pause in (PAST, 1.0, 3.0):
            brief, group = History(size=5, ttl=SHORT, remember=3 * pause), f"a-{pause}"
            [position] = await publish(layer, 1, history=brief, group=group)
            told = []
            for _ in range(5):
                await pass_time(pause)
                told.append((await layer.history(group, brief, limit=0)).position)
            # A machine that stood still for two pauses gets another try.
            if told == [position] * 5:
                break
        assert told == [position] * 5
        assert (await layer.history(group, brief)).kept == ()


async def test_a_group_may_lose_its_history(
    make_layer: MakeLayer, pass_time: PassTime
) -> None:
    """Where it is forgotten, parcels that declare nothing have no position again."""
    async with started(make_layer) as (layer, _):
        await publish(layer, 1, history=History(ttl=SHORT, remember=SHORT))
        await pass_time(PAST)

        assert await publish(layer, 2, history=None) == []


async def test_a_position_that_never_was_is_not_complete(
    make_layer: MakeLayer,
) -> None:
    """One beyond the top, or of another epoch, is not known, whatever its offset."""
    async with started(make_layer) as (layer, _):
        top = (await publish(layer, 1, 2))[-1]

        for since in (
            Position(3, top.epoch),
            Position(10**15 - 1, top.epoch),
            Position(1, "another"),
            Position(2, "another"),
            Position(0, "another"),
        ):
            replay = await layer.history("a", KEEP, since=since)
            assert not replay.complete
            assert replay.position == top
            assert not (await layer.history("a", KEEP, since=since, limit=1)).complete


async def test_each_group_has_a_history_of_its_own(make_layer: MakeLayer) -> None:
    """Offsets, epochs and what is kept are one group's; each is asked in one call."""
    async with started(make_layer) as (layer, _):
        a = await publish(layer, 1, 2, group="a")
        b = await publish(layer, 3, group="b")

        assert a[0].epoch != b[0].epoch
        assert (a[-1].offset, b[-1].offset) == (2, 1)
        assert await layer.positions(["b", "none", "a"]) == [b[-1], None, a[-1]]
        assert messages((await layer.history("b", KEEP)).kept) == [3]


async def test_processes_share_histories(make_layer: MakeLayer) -> None:
    """What one publishes another reads; both count in one row."""
    async with two(make_layer) as (here, there):
        first = await publish(here, 1)
        second = await publish(there, 2)

        assert second == [Position(2, first[0].epoch)]
        assert messages((await there.history("a", KEEP)).kept) == [1, 2]
        assert await here.positions(["a"]) == second
