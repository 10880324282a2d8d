"""`State`: how a client stands with its server, and everyone who follows it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

import anyio

__all__ = ["State", "States"]


@dataclass(frozen=True, slots=True)
class State:
    """How a client stands with its server."""

    name: Literal["connecting", "live", "waiting", "offline", "closed"]
    """``"waiting"``: until it tries again; ``"offline"``: the same, and there seems to
    be no network; ``"closed"``: for good."""

    attempt: int = 0
    """How many attempts have failed since the last connection that lasted."""

    retry_at: float | None = None
    """When it tries again, by :func:`consumers.current_time`."""

    code: int | None = None
    """The close code of the last connection, where one has ended."""

    reason: str = ""
    """What came with that code, or what went wrong."""


class _Node:
    """One state, and the way to the next one."""

    __slots__ = ("changed", "following", "state")

    def __init__(self, state: State) -> None:
        self.state = state
        self.changed = anyio.Event()
        self.following: _Node | None = None


class States:
    """The states of a client, in order; whoever follows misses none."""

    def __init__(self) -> None:
        self._node = _Node(State("connecting"))

    @property
    def current(self) -> State:
        """The state now."""
        return self._node.state

    def change(self, state: State) -> None:
        """Go over to another state."""
        node, self._node = self._node, _Node(state)
        node.following = self._node
        node.changed.set()

    async def follow(self) -> AsyncIterator[State]:
        """Yield the state now, and each that follows; end after ``"closed"``."""
        node = self._node
        while True:
            yield node.state
            if node.state.name == "closed":
                return
            await node.changed.wait()
            assert node.following is not None
            node = node.following
