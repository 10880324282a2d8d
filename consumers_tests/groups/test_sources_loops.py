"""Sources where a process has several event loops, each in a thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import anyio
from anyio import fail_after

from consumers import Groups
from consumers_tests.groups.feeds import Feed, Recorder, join, leave


def test_one_event_loop_of_all_runs_it() -> None:
    """All members get its values, and the next one takes over when its members left."""
    feed, groups = Feed(), Groups()
    group = groups.source("feed.{name}", per="cluster", linger=0, lease=0.3)(feed.quick)

    async def stay(values: int) -> list[str]:
        one = Recorder()
        with fail_after(10):
            async with groups.lifespan():
                await join(groups, group("a"), one)
                while len(one.texts) < values:  # noqa: ASYNC110
                    await anyio.sleep(0.005)
                leave(groups, group("a"), one)
        return one.texts

    with ThreadPoolExecutor(2) as threads:
        short = threads.submit(partial(anyio.run, stay, 10, backend="asyncio"))
        long = threads.submit(partial(anyio.run, stay, 60, backend="trio"))
        assert len(short.result()) >= 10
        assert len(long.result()) >= 60
    assert feed.most == 1
    assert feed.running == 0
