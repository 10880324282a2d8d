"""The event loops of one process that have to do with its groups: normally one."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import EventLoopToken, RunVar

from consumers.errors import MessageNotEncodable
from consumers.layers import Layer
from consumers.observing import NOBODY

from .counters import Counters
from .local import Local
from .sync import run_in

__all__ = ["EventLoops"]

T = TypeVar("T")


class EventLoops:
    """Every event loop's part in the groups, and the way from one to the others."""

    def __init__(self, make_layer: Callable[[], Layer], url: str) -> None:
        """Begin with none.

        Args:
            make_layer: Makes the layer of an event loop.
            url: Which one that is.
        """
        self.url = url
        """Which layer carries publications."""
        self.counters = Counters()
        """Counts of what has happened, in this process."""
        self.loops: set[EventLoopToken] = set()
        """The event loops that have members, or whose connections somebody can send to:
        normally one."""
        self.observers = NOBODY
        """Those that are told of publications."""
        self._make_layer = make_layer
        self._loop: RunVar[Local | None] = RunVar(f"consumers.groups.{id(self)}", None)

    @property
    def is_running(self) -> bool:
        """Whether the groups' lifespan runs on this event loop."""
        local = self._loop.get()
        return local is not None and local.is_running

    def statistics(self) -> dict[str, Any]:
        """Return counts of what has happened in this process, by name."""
        local = self._loop.get()
        layer = {} if local is None else dict(local.layer.statistics())
        return {**self.counters.as_dict(), **layer}

    async def _everywhere(
        self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any
    ) -> list[T]:
        """Call ``function`` here and on every other event loop that has members."""
        local = await self._here()
        result = await function(local, *args)
        return [result, *await self._elsewhere(local, function, *args)]

    async def _elsewhere(
        self,
        local: Local,
        function: Callable[..., Coroutine[Any, Any, T]],
        *args: Any,
    ) -> list[T]:
        results: list[T] = []
        unencodable: MessageNotEncodable | None = None
        for token in self.loops - {local.token}:
            ask = partial(run_in, self.loops, token, self._there, function, *args)
            try:
                # With a limiter of its own: the default one's threads may all be
                # waiting for such a call.
                results += await to_thread.run_sync(ask, limiter=CapacityLimiter(1))
            except MessageNotEncodable as error:
                unencodable = error
        if unencodable is not None:
            raise unencodable
        return results

    async def _there(
        self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any
    ) -> T:
        local = await self._here()
        try:
            return await function(local, *args)
        finally:
            self._forget_idle(local)

    def _forget_idle(self, local: Local) -> None:
        """Ask an event loop no more if it has nobody for whom that could be."""
        if not local.hub.members and not local.hub.named:
            self.loops.discard(local.token)

    def _local(self) -> Local:
        """Return what belongs to the running event loop."""
        local = self._loop.get()
        if local is None:
            local = Local(self._make_layer(), self.counters, self.url, self.observers)
            self._loop.set(local)
        return local

    async def _here(self) -> Local:
        """Return what belongs to the running event loop, ready for use.

        Raises:
            StateError: It has to run, and does not.
        """
        local = self._local()
        if not local.is_ready:
            await local.start_lazily()
        return local
