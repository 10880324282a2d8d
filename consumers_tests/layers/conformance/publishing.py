"""What is published arrives: once, in order, where it is subscribed to."""

from anyio import create_task_group

from consumers.history import Position

from .tools import KEEP, MakeLayer, Note, publish, started


async def test_a_group_is_heard_after_subscribing(make_layer: MakeLayer) -> None:
    """When `subscribe` has returned, what is published from then on arrives once."""
    async with started(make_layer) as (layer, heard):
        await layer.subscribe("a")
        await layer.publish([Note("a", 1)])
        await layer.publish([Note("a", 2)])

        assert await heard.until(2) == [1, 2]
        await layer.publish([Note("a", 3)])
        assert await heard.until(3) == [1, 2, 3]


async def test_groups_are_kept_apart(make_layer: MakeLayer) -> None:
    """A publication arrives under the name of its own group."""
    names = ["a", "a.b", "A", "@user.%2E~|{}*?[a]:\\"]
    async with started(make_layer) as (layer, heard):
        await layer.subscribe(*names)
        await layer.publish([Note(name, name, KEEP) for name in names])

        for name in names:
            assert await heard.until(1, name) == [name]


async def test_a_group_without_subscribers_may_be_published_to(
    make_layer: MakeLayer,
) -> None:
    """Publishing to a group that nobody subscribes to is no error."""
    async with started(make_layer) as (layer, _):
        assert await layer.publish([Note("nobody", 1)]) == [None]


async def test_nothing_may_be_published(make_layer: MakeLayer) -> None:
    """No parcels have no positions, and no groups may be subscribed to."""
    async with started(make_layer) as (layer, _):
        await layer.subscribe()
        await layer.unsubscribe()
        assert await layer.publish([]) == []
        assert await layer.positions([]) == []
        assert await layer.renew({}) == {}


async def test_one_tasks_publications_keep_their_order(make_layer: MakeLayer) -> None:
    """What one task publishes to a group arrives in the order of its calls."""
    async with started(make_layer) as (layer, heard):
        await layer.subscribe("a")
        for number in range(100):
            await layer.publish([Note("a", number)])

        assert await heard.until(100) == list(range(100))


async def test_publications_of_several_tasks_all_arrive(make_layer: MakeLayer) -> None:
    """Several tasks may publish at once; each one's order is kept, and offsets rise."""

    async def say(letter: str) -> None:
        for number in range(20):
            await layer.publish([Note("a", f"{letter}{number:02}", KEEP)])

    async with started(make_layer) as (layer, heard):
        await layer.subscribe("a")
        async with create_task_group() as group:
            for letter in "xyz":
                group.start_soon(say, letter)
        messages = [str(message) for message in await heard.until(60)]

        for letter in "xyz":
            own = [message for message in messages if message.startswith(letter)]
            assert own == [f"{letter}{number:02}" for number in range(20)]
        offsets = [position and position.offset for position in heard.positions()]
        assert offsets == list(range(1, 61))


async def test_many_are_published_in_one_call(make_layer: MakeLayer) -> None:
    """Many parcels arrive in their order, and each has its own position."""
    async with started(make_layer) as (layer, heard):
        await layer.subscribe("a", "b")
        positions = await layer.publish(
            [
                Note("a", 1, KEEP),
                Note("b", 2),
                Note("a", 3, KEEP),
                *[Note("b", number) for number in range(4, 200)],
            ]
        )

        assert await heard.until(2) == [1, 3]
        assert await heard.until(197, "b") == [2, *range(4, 200)]
        assert [position and position.offset for position in positions[:4]] == (
            [1, None, 2, None]
        )


async def test_another_process_hears_what_is_published(make_layer: MakeLayer) -> None:
    """What one process publishes arrives at another, with its position."""
    async with started(make_layer) as (here, _), started(make_layer) as (there, heard):
        if here.local:
            return
        await there.subscribe("a", "b")
        positions = await here.publish([Note("a", 1, KEEP), Note("b", 2)])

        assert await heard.until(1, "b") == [2]
        assert await heard.until(1) == [1]
        assert heard.positions() == positions[:1]
        assert heard.positions("b") == [None]


async def test_positions_are_those_that_are_delivered(make_layer: MakeLayer) -> None:
    """What `publish` returns is what subscribers get: 1, 2, 3 in one epoch."""
    async with started(make_layer) as (layer, heard):
        await layer.subscribe("a")
        positions = await publish(layer, 1, 2) + await publish(layer, 3)

        await heard.until(3)
        assert heard.positions() == positions
        assert positions == [Position(n, positions[0].epoch) for n in (1, 2, 3)]
        assert Position.parse(str(positions[0])) == positions[0]


async def test_a_parcel_that_declares_nothing_is_kept_as_the_others(
    make_layer: MakeLayer,
) -> None:
    """In a group that has a history already, everything has a position."""
    async with started(make_layer) as (layer, heard):
        await layer.subscribe("a")
        first = await publish(layer, 1)
        second = await publish(layer, 2, history=None)

        await heard.until(2)
        assert second == [Position(2, first[0].epoch)]
        assert heard.positions() == [*first, *second]


async def test_a_repeated_key_is_not_carried(make_layer: MakeLayer) -> None:
    """A second parcel with a key is neither kept nor delivered, but has a position."""
    async with (
        started(make_layer) as (layer, heard),
        started(make_layer) as (other, _),
    ):
        await layer.subscribe("a")
        first = await layer.publish([Note("a", 1, KEEP, "key"), Note("a", 2, KEEP)])
        again = await layer.publish([Note("a", 3, KEEP, "key")])
        elsewhere = await other.publish([Note("a", 4, KEEP, "key")])
        await layer.publish([Note("a", 5, KEEP, "other key")])

        assert again == elsewhere == first[:1]
        assert await heard.until(3) == [1, 2, 5]
        assert (await layer.history("a", KEEP)).position.offset == 3


async def test_a_key_is_of_one_group(make_layer: MakeLayer) -> None:
    """The same key in another group is another one; a group needs no history for it."""
    async with started(make_layer) as (layer, heard):
        await layer.subscribe("a", "b")
        assert await layer.publish(
            [Note("a", 1, None, "key"), Note("a", 2, None, "key")]
        ) == [None, None]
        await layer.publish([Note("b", 3, None, "key"), Note("a", 4)])

        assert await heard.until(2) == [1, 4]
        assert await heard.until(1, "b") == [3]


async def test_local_layers_deliver_the_object_itself_at_once(
    make_layer: MakeLayer,
) -> None:
    """A local layer has delivered when `publish` returns, and copies nothing."""
    async with started(make_layer) as (layer, heard):
        if not layer.local:
            return
        await layer.subscribe("a")
        notes = [Note("a", object()), Note("a", object(), KEEP)]
        await layer.publish(notes)

        assert [each.carried for each in heard.deliveries] == notes
        assert (await layer.history("a", KEEP)).kept[0].carried is notes[1]


# Subscriptions


async def test_subscriptions_can_be_repeated(make_layer: MakeLayer) -> None:
    """A group can be subscribed again after it was given up."""
    async with started(make_layer) as (layer, heard):
        for number in range(3):
            await layer.subscribe("a")
            await layer.publish([Note("a", number)])
            await heard.until(number + 1)
            await layer.unsubscribe("a")

        assert heard.messages() == [0, 1, 2]


async def test_what_is_not_subscribed_is_not_delivered(make_layer: MakeLayer) -> None:
    """After `unsubscribe` has returned a group is silent; others are not."""
    async with started(make_layer) as (layer, heard):
        await layer.subscribe("a", "b")
        await layer.unsubscribe("a")
        await layer.publish([Note("a", 1), Note("c", 2, KEEP), Note("b", 3)])

        assert await heard.until(1, "b") == [3]
        assert heard.messages("a") == heard.messages("c") == []


async def test_unsubscribing_without_a_subscription_is_safe(
    make_layer: MakeLayer,
) -> None:
    """Giving up what was never subscribed does nothing."""
    async with started(make_layer) as (layer, heard):
        await layer.unsubscribe("a")
        await layer.subscribe("a")
        await layer.publish([Note("a", 1)])

        assert await heard.until(1) == [1]


async def test_subscribing_twice_is_subscribing_once(make_layer: MakeLayer) -> None:
    """What is subscribed already is not delivered twice."""
    async with started(make_layer) as (layer, heard):
        await layer.subscribe("a", "b")
        await layer.subscribe("a")
        await layer.publish([Note("a", 1), Note("b", 2), Note("a", 3)])

        await heard.until(1, "b")
        assert await heard.until(2) == [1, 3]
