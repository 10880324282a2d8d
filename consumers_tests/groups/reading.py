"""Reading subscriptions in tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from anyio import fail_after

from consumers import Subscription

__all__ = ["bounded", "take"]


async def take(subscription: Subscription, number: int) -> list[Any]:
    """Return the messages of so many publications."""
    return [(await anext(subscription)).message for _ in range(number)]


@asynccontextmanager
async def bounded() -> AsyncIterator[None]:
    """Fail where a test would wait for ever."""
    with fail_after(5):
        yield
