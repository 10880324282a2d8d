"""`Inbox`: what waits, in order, up to a bound."""

from __future__ import annotations

import anyio
import pytest
from anyio import EndOfStream, create_task_group

from consumers.client.inbox import Inbox


async def test_items_then_the_end() -> None:
    """What was put is got in order, after the end too; then comes its error."""
    inbox: Inbox[int] = Inbox(2)
    assert [inbox.put(number) for number in range(3)] == [True, True, False]
    inbox.end(LookupError("over"))
    inbox.end()
    assert not inbox.put(4)
    assert inbox.is_over
    assert len(inbox) == 2
    assert [await inbox.get(), await inbox.get()] == [0, 1]
    for _ in range(2):
        with pytest.raises(LookupError, match="over"):
            await inbox.get()


async def test_a_fault_is_raised_in_its_place() -> None:
    """It comes between what came before and after it; two in a row are one."""
    inbox: Inbox[int] = Inbox(9)
    inbox.put(1)
    inbox.fault(LookupError("gap"))
    inbox.fault(LookupError("gap"))
    inbox.put(2)
    inbox.end()
    inbox.fault(LookupError("too late"))
    assert await inbox.get() == 1
    with pytest.raises(LookupError, match="gap"):
        await inbox.get()
    assert await inbox.get() == 2
    with pytest.raises(EndOfStream):
        await inbox.get()


async def test_several_readers_and_one_who_gives_up() -> None:
    """Each item goes to one reader, and none is lost with who is cancelled."""
    inbox: Inbox[int] = Inbox(9)
    got: list[int] = []

    async def read() -> None:
        got.append(await inbox.get())

    async with create_task_group() as tasks:
        handles = [tasks.start_soon(read) for _ in range(3)]
        await anyio.wait_all_tasks_blocked()
        handles[0].cancel()
        inbox.put(1)
        inbox.put(2)
    assert sorted(got) == [1, 2]
