"""The drain: connections are asked to come back elsewhere, a few at a time.

A server that ends would have all its clients return in one moment, to processes that
have to do for each what a handshake costs. So they are asked in batches, in no order
that they know, and those that speak `consumers.v1` are told when to return.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from random import Random
from typing import TYPE_CHECKING, Final

import anyio
from starlette.exceptions import HTTPException

from consumers.clock import current_time, move_on_after, sleep
from consumers.errors import ConnectionClosed, StateError
from consumers.handshake.refusals import count_refusal
from consumers.state import CLOSING, OPEN

from .registry import current_registry

if TYPE_CHECKING:
    from .life import Life

__all__ = ["FEW", "announce", "batches", "drain", "serving", "turn_away"]

FEW: Final = 20
"""Connections that may go at once: a server with no more than these ends at once."""

_SHORTEST: Final = 0.05
"""Seconds between two batches at least: where many are open, batches are larger."""

_LATEST: Final = 1.0
"""Seconds to wait that a client is told at most: the batches do the spreading."""

_OURS: Final = 0.6
"""The share of the graceful timeout that ours have to end, before the server closes all
that is left: more than ``finish_timeout`` by default, and the rest can react."""

_LOOK: Final = 0.02
"""Seconds between two looks at who still works, or still has to be told."""

_random: Final = Random()  # noqa: S311  who goes first is no secret


@contextmanager
def serving() -> Iterator[None]:
    """Count one server of this event loop, until the block ends.

    The registry can't tell whose connections it has. So while several servers run in
    one event loop none of them is drained; the last one is.
    """
    registry = current_registry()
    registry.servers += 1
    try:
        yield
    finally:
        registry.servers -= 1
        if not registry.servers:
            registry.draining = registry.closed = False


def turn_away() -> None:
    """Refuse who comes over a connection that was there before the server drained.

    Raises:
        HTTPException: The server takes nobody any more.
    """
    if current_registry().closed:
        count_refusal("draining")
        raise HTTPException(503, "the server restarts", {"retry-after": "1"})


async def announce(delay: float, hurried: anyio.Event) -> None:
    """Have readiness checks fail, and go on for ``delay`` seconds.

    For load balancers, which have to notice. Ends at once when ``hurried`` is set.
    Cancelling cuts the delay short.
    """
    registry = current_registry()
    if registry.servers > 1:
        return
    registry.draining = True
    if delay > 0:
        with move_on_after(delay):
            await hurried.wait()


async def drain(
    over: float,
    graceful: float,
    hurried: anyio.Event,
    random: Random = _random,
) -> float:
    """Close all connections of this event loop with 1012, in batches.

    From now on who comes is refused with 503. A message that is handled when its
    connection's turn comes is answered first; after the consumer's ``finish_timeout``
    it is cancelled.

    Cancelling leaves those that were not asked yet open; so does ``hurried``.

    Args:
        over: Seconds over which the batches are spread. Few connections go at once.
        graceful: Seconds that connections have to end after that.
        hurried: Ends all waiting.
        random: Who comes when; no secret.

    Returns:
        The seconds that are left of ``graceful``, for those that are none of ours.
    """
    registry = current_registry()
    if registry.servers > 1:
        return graceful
    registry.draining = registry.closed = True
    asked = [*registry.lives]
    random.shuffle(asked)
    began, all_asked = current_time(), None
    async with anyio.create_task_group() as group:

        async def hurry() -> None:
            await hurried.wait()
            group.cancel_scope.cancel()

        group.start_soon(hurry)
        for at, batch, spread in batches(asked, over, random):
            if not registry.lives.isdisjoint(batch):
                await sleep(max(0.0, began + at - current_time()))
            for life in registry.lives.intersection(batch):
                after = round(random.uniform(0, spread), 3)
                group.start_soon(_ask, life, after)
        all_asked = current_time()
        with move_on_after(_OURS * graceful):
            while any(_is_due(life) for life in registry.lives.intersection(asked)):
                await sleep(_LOOK)
        group.cancel_scope.cancel()
    spent = 0.0 if all_asked is None else current_time() - all_asked
    return max(0.0, graceful - spent)


def batches(
    lives: list[Life], over: float, random: Random
) -> Iterator[tuple[float, list[Life], float]]:
    """Yield when each batch is due, who is in it, and when these return at the latest.

    All in seconds, the first from the drain's beginning, the last from being asked.
    """
    most = max(1, int(over / _SHORTEST))
    count = min(math.ceil(len(lives) / FEW), most)
    step = over / max(count, 1)
    for n in range(count):
        at = (n + random.random()) * step if n else 0.0
        yield at, lives[n::count], min(step, _LATEST)


async def _ask(life: Life, after: float) -> None:
    """Let a connection's work end, and close it."""
    consumer = life.consumer
    with move_on_after(consumer.finish_timeout) as working:
        while consumer._stage is OPEN and life.is_busy():
            await sleep(_LOOK)
    if consumer._stage is not OPEN:
        return  # it is gone, or its handshake is the server's to refuse
    if life.learns_by_receiving():
        with suppress(ConnectionClosed, StateError):
            await consumer.close(1012, retry=after)
    else:
        life.end(1012, "", after)
        if working.cancelled_caught:
            life._scope.cancel()  # it has had its time


def _is_due(life: Life) -> bool:
    """Tell whether a connection is open and has not been told that it ends."""
    consumer = life.consumer
    return consumer._stage in (OPEN, CLOSING) and not consumer._close_sent
