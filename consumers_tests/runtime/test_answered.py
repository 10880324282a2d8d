"""What requests with a key were answered: kept for a while, up to a size."""

from __future__ import annotations

import anyio
import pytest

from consumers.clock import VirtualClock, current_clock
from consumers.errors import MessageError
from consumers.runtime import answered as module
from consumers.runtime.answered import Answered, current_answered


def put(answered: Answered, key: str, size: int = 1) -> None:
    """Answer a key."""
    with answered.work(key) as entry:
        entry.answer(size, key)


async def test_an_answer_is_found_by_its_key() -> None:
    """A value, or the error that was it; another key has none."""
    answered = Answered()
    put(answered, "a")
    with answered.work("b") as entry:
        entry.answer(1, None, MessageError("no"))

    found, failed = await answered.find("a"), await answered.find("b")

    assert found is not None
    assert (found.value, found.error) == ("a", None)
    assert failed is not None
    assert failed.error is not None
    assert await answered.find("c") is None
    assert len(answered) == 2


async def test_what_was_not_answered_is_not_kept() -> None:
    """Whether the work ended by itself or by an exception."""
    answered = Answered()
    with answered.work("a"):
        pass
    with pytest.raises(ZeroDivisionError), answered.work("b"):
        raise ZeroDivisionError

    assert await answered.find("a") is None
    assert await answered.find("b") is None
    assert len(answered) == 0


async def test_who_asks_meanwhile_waits() -> None:
    """For the answer, and where there is none the first of them works on it."""
    answered, found = Answered(), []

    async def ask() -> None:
        entry = await answered.find("a")
        if entry is None:
            with answered.work("a") as own:
                own.answer(1, "second")
                await anyio.wait_all_tasks_blocked()
            found.append("worked")
        else:
            found.append(entry.value)

    async with anyio.create_task_group() as tasks:
        with answered.work("a"):
            for _ in range(3):
                tasks.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            assert found == []

    assert sorted(found) == ["second", "second", "worked"]
    assert answered._working == {}


async def test_who_waits_can_be_cancelled() -> None:
    """And leaves nothing behind."""
    answered = Answered()
    with answered.work("a") as entry:
        with anyio.move_on_after(0):
            await answered.find("a")
        entry.answer(1, "a")

    found = await answered.find("a")
    assert found is not None
    assert found.value == "a"


async def test_answers_are_forgotten_after_some_minutes() -> None:
    """Counted from the answer, by the clock of the application."""
    clock = VirtualClock()
    current_clock.set(clock)
    answered = Answered()
    put(answered, "a")
    clock.advance(200)
    put(answered, "b")
    clock.advance(100)
    assert await answered.find("a") is not None
    clock.advance(0.1)
    assert await answered.find("a") is None
    assert await answered.find("b") is not None
    assert len(answered) == 1


async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go first; each counts as its size and 512 bytes."""
    monkeypatch.setattr(module, "_BYTES", 2048)
    answered = Answered()
    for key in "abcde":
        put(answered, key, 0)
    assert await answered.find("a") is None
    assert len(answered) == 4
    put(answered, "f", 600)
    assert [key for key in "bcdef" if await answered.find(key)] == ["e", "f"]
    put(answered, "g", 20_000)
    assert len(answered) == 0
    assert answered._bytes == 0


async def test_each_event_loop_has_its_own() -> None:
    """One per loop, made when it is first asked for."""
    assert current_answered() is current_answered()
