"""Fixtures for pytest: ``pytest_plugins = ["consumers.testing.fixtures"]``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from .live import LiveServer

__all__ = ["live_server"]


@pytest.fixture
def live_server() -> Iterator[Callable[..., LiveServer]]:
    """Return what starts a server: ``live_server(app, backend="trio", ...)``.

    It takes what :class:`~consumers.testing.LiveServer` takes. Servers are stopped at
    the end of the test, the last one first.
    """
    with ExitStack() as servers:

        def start(app: Any, **options: Any) -> LiveServer:
            return servers.enter_context(LiveServer(app, **options))

        yield start
