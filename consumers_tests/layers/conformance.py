"""What every layer must do: a suite that a layer is run against.

A test module of a layer defines a fixture ``make_layer``, which returns a function that
makes a new layer of the same place (the same broker, or this process), and imports all
tests from here::

    from consumers_tests.layers.conformance import *

Each test runs on every backend. What arrives at a layer is waited for, since only a
``local`` layer delivers before ``publish`` returns.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
from anyio import create_task_group, fail_after

from consumers.groups import Publication
from consumers.layers import Layer

__all__ = [
    "test_a_group_is_heard_after_subscribing",
    "test_a_layer_can_be_stopped_and_another_started",
    "test_a_stopped_layer_is_silent",
    "test_groups_are_kept_apart",
    "test_local_layers_deliver_the_object_itself_at_once",
    "test_nobody_needs_to_listen",
    "test_one_tasks_publications_keep_their_order",
    "test_publications_of_several_tasks_all_arrive",
    "test_stopping_after_a_cancelled_start_is_safe",
    "test_subscriptions_can_be_repeated",
    "test_unsubscribing_without_a_subscription_is_safe",
]

MakeLayer = Callable[[], Layer]


class Heard:
    """What a layer delivered, in order."""

    def __init__(self) -> None:
        self.publications: list[Publication] = []
        self._more = anyio.Event()

    def deliver(self, publication: Publication) -> None:
        self.publications.append(publication)
        self._more.set()
        self._more = anyio.Event()

    def messages(self, group: str = "a") -> list[object]:
        """Return the messages to a group."""
        return [each.message for each in self.publications if each.group == group]

    async def until(self, count: int, group: str = "a") -> list[object]:
        """Wait for so many messages to a group, and return them."""
        with fail_after(5):
            while len(self.messages(group)) < count:
                await self._more.wait()
        return self.messages(group)


@asynccontextmanager
async def started(make_layer: MakeLayer) -> AsyncIterator[tuple[Layer, Heard]]:
    """Yield a layer that runs, and what it delivers."""
    layer, heard = make_layer(), Heard()
    with fail_after(5):
        await layer.start(heard.deliver)
    try:
        yield layer, heard
    finally:
        with fail_after(5):
            await layer.stop()


async def test_a_group_is_heard_after_subscribing(make_layer: MakeLayer) -> None:
    """When `subscribe` has returned, what is published from then on arrives once."""
    async with started(make_layer) as (layer, heard):
        await layer.subscribe("a")
        await layer.publish(Publication("a", 1))
        await layer.publish(Publication("a", 2))

        assert await heard.until(2) == [1, 2]
        await layer.publish(Publication("a", 3))
        assert await heard.until(3) == [1, 2, 3]


async def test_groups_are_kept_apart(make_layer: MakeLayer) -> None:
    """A publication arrives under the name of its own group."""
    async with started(make_layer) as (layer, heard):
        await layer.subscribe("a")
        await layer.subscribe("a.b")
        await layer.publish(Publication("a", 1))
        await layer.publish(Publication("a.b", 2))

        assert await heard.until(1, "a.b") == [2]
        assert await heard.until(1, "a") == [1]


async def test_one_tasks_publications_keep_their_order(make_layer: MakeLayer) -> None:
    """What one task publishes to a group arrives in the order of its calls."""
    async with started(make_layer) as (layer, heard):
        await layer.subscribe("a")
        for number in range(200):
            await layer.publish(Publication("a", number))

        assert await heard.until(200) == list(range(200))


async def test_publications_of_several_tasks_all_arrive(make_layer: MakeLayer) -> None:
    """Several tasks may publish at once; each one's order is kept."""

    async def publish(letter: str) -> None:
        for number in range(20):
            await layer.publish(Publication("a", f"{letter}{number:02}"))

    async with started(make_layer) as (layer, heard):
        await layer.subscribe("a")
        async with create_task_group() as group:
            for letter in "xyz":
                group.start_soon(publish, letter)
        messages = [str(message) for message in await heard.until(60)]

        for letter in "xyz":
            own = [message for message in messages if message.startswith(letter)]
            assert own == [f"{letter}{number:02}" for number in range(20)]


async def test_subscriptions_can_be_repeated(make_layer: MakeLayer) -> None:
    """A group can be subscribed again after it was given up."""
    async with started(make_layer) as (layer, heard):
        for number in range(3):
            await layer.subscribe("a")
            await layer.publish(Publication("a", number))
            await heard.until(number + 1)
            await layer.unsubscribe("a")

        assert heard.messages() == [0, 1, 2]


async def test_unsubscribing_without_a_subscription_is_safe(
    make_layer: MakeLayer,
) -> None:
    """Giving up what was never subscribed does nothing."""
    async with started(make_layer) as (layer, heard):
        await layer.unsubscribe("a")
        await layer.subscribe("a")
        await layer.publish(Publication("a", 1))

        assert await heard.until(1) == [1]


async def test_nobody_needs_to_listen(make_layer: MakeLayer) -> None:
    """Publishing to a group that nobody subscribes to is no error."""
    async with started(make_layer) as (layer, _):
        await layer.publish(Publication("nobody", 1))


async def test_a_stopped_layer_is_silent(make_layer: MakeLayer) -> None:
    """After `stop` has returned nothing is delivered, whoever publishes."""
    async with started(make_layer) as (other, _):
        async with started(make_layer) as (layer, heard):
            await layer.subscribe("a")
            await layer.publish(Publication("a", 1))
            await heard.until(1)
        await other.publish(Publication("a", 2))
        await anyio.wait_all_tasks_blocked()

        assert heard.messages() == [1]


async def test_a_layer_can_be_stopped_and_another_started(
    make_layer: MakeLayer,
) -> None:
    """What is started after a stop works as the first did."""
    for _ in range(2):
        async with started(make_layer) as (layer, heard):
            await layer.subscribe("a")
            await layer.publish(Publication("a", 1))
            assert await heard.until(1) == [1]


async def test_stopping_after_a_cancelled_start_is_safe(make_layer: MakeLayer) -> None:
    """A start that was cancelled can be stopped, and leaves nothing behind."""
    layer, heard = make_layer(), Heard()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await layer.start(heard.deliver)
    with fail_after(5):
        await layer.stop()

    assert heard.publications == []


async def test_local_layers_deliver_the_object_itself_at_once(
    make_layer: MakeLayer,
) -> None:
    """A local layer has delivered when `publish` returns, and copies nothing."""
    async with started(make_layer) as (layer, heard):
        if not layer.local:
            return
        await layer.subscribe("a")
        publication = Publication("a", object())
        await layer.publish(publication)

        assert heard.publications == [publication]
