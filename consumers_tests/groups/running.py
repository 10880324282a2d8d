"""Groups that run on a scripted layer, with a clock that the test advances."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from anyio import fail_after

from consumers import Group, Groups
from consumers.clock import VirtualClock, current_clock
from consumers.testing.settling import settle
from consumers_tests.groups.scripted_layer import ScriptedLayer


@asynccontextmanager
async def passing_time() -> AsyncIterator[VirtualClock]:
    """Let the test say when time passes; tasks that it starts see the same clock."""
    clock = VirtualClock()
    token = current_clock.set(clock)
    try:
        with fail_after(10):
            yield clock
    finally:
        current_clock.reset(token)


@asynccontextmanager
async def running(
    *layers: ScriptedLayer, declared: list[Group]
) -> AsyncIterator[list[Groups]]:
    """Run one `Groups` on each layer, as so many processes would."""
    made = []
    for layer in layers:
        groups = Groups(layer=partial(_same, layer))
        groups.declared = declared
        made.append(groups)
    async with nested(made):
        for layer in layers:
            layer.calls.clear()
        yield made


def _same(layer: ScriptedLayer) -> ScriptedLayer:
    return layer


@asynccontextmanager
async def nested(made: list[Groups]) -> AsyncIterator[None]:
    """Enter all of them."""
    if not made:
        yield
        return
    async with made[0], nested(made[1:]):
        yield


async def after(clock: VirtualClock, seconds: float) -> None:
    """Let time pass, and everything that is due happen, timer by timer."""
    until = clock.time() + seconds
    await settle()
    while (left := until - clock.time()) > 1e-9:
        clock.advance(min(left, max(clock.next_due(), 1e-6)))
        await settle()
