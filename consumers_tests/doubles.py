"""What tests of the runtime share: journals, waits, and consumers that keep them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from consumers import App, WebSocketConsumer, WebSocketRoute
from consumers.testing import ServerStyle, TestClient

PATIENCE = 20.0
"""Seconds of real time after which a wait of a test has failed."""

both_servers = pytest.mark.parametrize(
    "server", list(ServerStyle), ids=lambda s: s.value
)
"""Runs a test with a server that raises from `send` to a departed client, and with one
that returns without a word."""


class Journal(list[Any]):
    """What happened, in order; tests wait for an entry."""

    def __init__(self) -> None:
        super().__init__()
        self._event = anyio.Event()

    def add(self, *entries: Any) -> None:
        """Note what happened."""
        self.extend(entries)
        self._event.set()
        self._event = anyio.Event()

    async def wait_for(self, entry: Any) -> None:
        """Wait until ``entry`` was noted."""
        with anyio.fail_after(PATIENCE):
            while entry not in self:
                await self._event.wait()

    def started(self, prefix: str) -> list[Any]:
        """Return the entries that start with ``prefix``."""
        return [entry for entry in self if str(entry).startswith(prefix)]


async def wait_for(event: anyio.Event) -> None:
    """Wait for an event, for a bounded time."""
    with anyio.fail_after(PATIENCE):
        await event.wait()


@asynccontextmanager
async def serving(
    consumer: type[WebSocketConsumer], *, quiet: bool = False, **options: Any
) -> AsyncIterator[TestClient]:
    """Serve one class at ``/``; ``quiet``: what it raises is no failure of the test."""
    app = App([WebSocketRoute("/", consumer)], **options)
    async with TestClient(app, raise_server_exceptions=not quiet) as client:
        yield client
