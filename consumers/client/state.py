"""`State`: how a client stands with its server, and everyone who follows it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Literal, Self

import anyio
from anyio.lowlevel import checkpoint

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

    detail: Any = None
    """What the server said beside it: of a refused handshake ``{"errors": …}``."""


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

    def follow(self) -> AsyncIterator[State]:
        """Yield the state now, and each that follows; end after ``"closed"``."""
        return _Follower(self._node)


class _Follower:
    """No generator: those want to be closed, on trio."""

    def __init__(self, node: _Node) -> None:
        self._node = node
        self._begun = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> State:
        await checkpoint()
        node = self._node
        if self._begun:
            if node.state.name == "closed":
                raise StopAsyncIteration
            await node.changed.wait()
            assert node.following is not None
            self._node = node = node.following
        self._begun = True
        return node.state
