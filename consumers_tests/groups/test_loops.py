"""Groups that are used from several event loops of one process."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import anyio
import pytest
from anyio import from_thread, to_thread

from consumers import Group, Groups, History, MessageNotEncodable
from consumers.codecs import CODECS
from consumers_tests.groups.members import Recorder, join, leave

KEPT = Group("kept", history=History(size=10))


async def elsewhere(
    function: Callable[..., Coroutine[Any, Any, Any]], *args: Any
) -> Any:
    """Call a coroutine function in a thread's own event loop, and wait for it."""
    with anyio.fail_after(10):
        return await to_thread.run_sync(partial(anyio.run, function, *args))


async def test_members_on_all_event_loops_get_it_with_one_position() -> None:
    """A history is of the process, and each event loop follows it."""
    groups = Groups(declared=[KEPT])
    here, there = Recorder(), Recorder()
    token = anyio.lowlevel.current_token()
    await join(groups, KEPT, here)

    async def other() -> None:
        await join(groups, KEPT, there)
        first = await groups.publish(KEPT, "from there")
        second = await to_thread.run_sync(
            partial(from_thread.run, groups.publish, KEPT, "from here", token=token)
        )
        assert first is not None
        assert second is not None
        assert second.offset == first.offset + 1
        leave(groups, KEPT, there)

    await elsewhere(other)

    assert here.texts == there.texts == ['"from there"', '"from here"']
    assert len(groups.loops) == 1


async def test_what_comes_out_of_order_is_put_in_order() -> None:
    """Publications of two event loops may overtake each other on the way."""
    groups = Groups(declared=[KEPT])
    member = Recorder()
    await join(groups, KEPT, member)
    local = await groups._here()
    late = [groups._publication(KEPT, number) for number in (1, 2, 3)]
    for publication, position in zip(
        late, await local.layer.publish(late), strict=True
    ):
        publication.position = position
    assert member.texts == ["1", "2", "3"]

    other = Recorder()
    groups = Groups(declared=[KEPT])
    await join(groups, KEPT, other)
    local = await groups._here()
    local.layer.subscribed.discard("kept")  # type: ignore[attr-defined]
    for publication, position in zip(
        late, await local.layer.publish(late), strict=True
    ):
        publication.position = position
    await local.deliver_from_elsewhere([late[2]])
    assert other.texts == ["1", "2", "3"]
    await local.deliver_from_elsewhere([late[0], late[1]])
    assert other.texts == ["1", "2", "3"]


async def test_who_cannot_send_it_elsewhere_is_told_to_the_publisher() -> None:
    """All others have got it, on every event loop."""
    groups = Groups()
    here = Recorder()
    await join(groups, "a", here)
    token = anyio.lowlevel.current_token()

    async def other() -> None:
        text = Recorder(CODECS["text"])
        await join(groups, "a", text)
        with pytest.raises(MessageNotEncodable):
            await to_thread.run_sync(
                partial(from_thread.run, groups.publish, "a", {"x": 1}, token=token)
            )
        leave(groups, "a", text)

    await elsewhere(other)
    assert here.texts == ['{"x":1}']


async def test_each_event_loop_enters_the_groups_by_itself() -> None:
    """Several threads may write `async with groups`, and leave in any order."""
    groups = Groups()
    inside = anyio.Event()
    token = anyio.lowlevel.current_token()

    async def other() -> None:
        async with groups:
            from_thread_set = partial(from_thread.run_sync, inside.set, token=token)
            await to_thread.run_sync(from_thread_set)
            await groups.publish("a", 1)

    async with groups, anyio.create_task_group() as tasks:
        tasks.start_soon(elsewhere, other)
        with anyio.fail_after(10):
            await inside.wait()
    async with groups, groups:
        await groups.publish("a", 1)
