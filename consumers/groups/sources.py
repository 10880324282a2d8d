"""Sources that run: one event loop's part in what makes the groups' publications.

For each source of a group with members here there is one runner, a task. Where one
process of all is to run a source, that is the one which holds a lease in the layer; the
runners of the others wait for it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import anyio
from anyio import CancelScope, create_task_group, sleep_forever
from anyio.lowlevel import checkpoint

from consumers.clock import (
    Clock,
    current_clock,
    current_time,
    move_on_after,
    sleep,
)
from consumers.errors import LayerUnavailable, MessageNotEncodable

from .publication import Kind, Publication
from .source import CLEAN_UP, Generated, Source

if TYPE_CHECKING:
    from consumers.layers import Layer

    from .declaration import GroupName
    from .hub import Hub

__all__ = ["Sources"]

log = logging.getLogger("consumers")

_BACKOFF: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds until a source that has failed is started again; then the last one each time,
and from the beginning once it has run for that long."""

_RENEWALS_PER_LEASE: Final = 3

_RETRY_AFTER: Final = 1.0
"""Seconds, at most, after which a layer is asked again that could not be reached."""

_AN_INSTANT: Final = 0.001
"""Seconds for which a lease is taken, to see whether somebody has it."""


class Sources:
    """All runners of one event loop."""

    def __init__(
        self,
        layer: Layer,
        hub: Hub,
        spawn: Callable[[Callable[[], Awaitable[Any]]], object],
        deliver: Callable[[Publication], None],
    ) -> None:
        """Begin with none.

        Args:
            layer: What lends the leases.
            hub: Who is a member of what.
            spawn: Starts a task of the event loop's.
            deliver: Hands a publication to the members here.
        """
        self.layer = layer
        self.deliver = deliver
        self._hub = hub
        self._spawn = spawn
        self._runners: dict[str, dict[Source, _Runner]] = {}  # {group: {source: it}}
        # {source: {group: when it may start again}}, in the order of these times.
        self._ended: dict[Source, dict[str, float]] = {}

    def join(self, name: GroupName, *, begin: bool = True) -> None:
        """Have a group's sources run, unless it has lost its members meanwhile.

        Without ``begin`` only those that run already, which then go on.

        Raises:
            StateError: No task can be started.
        """
        if name.name not in self._hub.members:
            return
        runners = self._runners.get(name.name, {})
        for source in name.group.sources:
            if source in runners:
                runners[source].stay(begin=begin)
            if source in runners or not begin:
                continue
            runner = _Runner(self, source, name)
            self._spawn(runner.run)
            runners[source] = runner
        if runners:
            self._runners[name.name] = runners

    def leave(self, group: str) -> None:
        """Have a group's sources end, each in its time: the last member has left."""
        for runner in self._runners.get(group, {}).values():
            runner.leave()

    def take(self, publication: Publication) -> None:
        """Take what is said of a group's source, here or in another process."""
        for source, runner in self._runners.get(publication.group, {}).items():
            if publication.kind is Kind.FREE:
                runner.free()
            elif isinstance(source, Generated):
                runner.stop()

    def forget(self, source: Source, group: str) -> None:
        """Take note that a runner is no longer."""
        runners = self._runners[group]
        del runners[source]
        if not runners:
            del self._runners[group]

    def end(self, source: Source, group: str, seconds: float) -> None:
        """Take note that a source has ended, and does not start again for so long."""
        ended = self._ended.setdefault(source, {})
        ended.pop(group, None)
        ended[group] = current_time() + seconds
        self.has_ended(source, group)  # drops what has run out

    def has_ended(self, source: Source, group: str) -> bool:
        """Tell whether it has ended here, and may not start yet."""
        ended = self._ended.get(source, {})
        now = current_time()
        while ended and next(iter(ended.values())) <= now:
            del ended[next(iter(ended))]
        return group in ended


class _Runner:
    """Runs one source of one group, on one event loop."""

    def __init__(self, sources: Sources, source: Source, name: GroupName) -> None:
        self._sources = sources
        self._source = source
        self._name = name
        self._layer = sources.layer
        self._lease = source.prefix + name.name
        self._mark = f"@ended.{name.name}"  # a lease that keeps it from starting again
        self._has_members = True
        self._is_running = False
        self._has_ended = False
        self._was_stopped = False  # so that nobody else has to be told of its end
        self._may_hold = False  # the lease
        self._until = math.inf  # it is held
        self._clock: Clock | None = None  # of the task, once it runs
        self._life = CancelScope()  # ends when nobody is here any more
        self._holding = CancelScope()  # ends with the lease
        self._generating = CancelScope()  # ends when it is stopped
        self._freed = anyio.Event()

    # -- what it is told, all without waiting ---------------------------------------

    def stay(self, *, begin: bool) -> None:
        """Take note that there is a member; ``begin``: for whom it may begin anew."""
        if self._has_members or (self._life.cancel_called and not begin):
            return
        self._has_members = True
        if self._life.cancel_called:  # it begins anew once that is over
            self._has_ended = self._was_stopped = False
        elif self._clock is not None:
            self._clock.cancel_after(self._life, math.inf)

    def leave(self) -> None:
        """Take note that there are no members any more."""
        self._has_members = False
        if self._clock is not None:
            if self._source.linger and self._is_running:
                self._clock.cancel_after(self._life, self._source.linger)
            else:
                self._life.cancel()

    def stop(self) -> None:
        """End the source, here."""
        if not self._has_ended:
            self._has_ended = self._was_stopped = True
            self._generating.cancel()

    def free(self) -> None:
        """Take note that somebody has given the lease back."""
        self._freed.set()

    # -- its life -------------------------------------------------------------------

    async def run(self) -> None:
        """Run the source until there are no members any more."""
        self._clock = current_clock.get()
        group = self._name.name
        try:
            while self._has_members:
                with CancelScope() as self._life:
                    if self._sources.has_ended(self._source, group):
                        self._has_ended = True
                    elif self._source.per == "cluster":
                        await self._take_turns()
                    else:
                        await self._generate(self._deliver)
                    if self._has_members:  # it has ended
                        await sleep_forever()
        finally:
            self._sources.forget(self._source, group)

    async def _generate(self, send: Callable[[Any], Awaitable[None]]) -> None:
        """Run the source until it has ended; again, after a time, when it fails."""
        failures = 0
        with CancelScope() as self._generating:
            while not self._has_ended:
                began = current_time()
                try:
                    self._is_running = True
                    await self._generate_once(send)
                    self._has_ended = True
                except Exception:
                    if current_time() - began >= _BACKOFF[-1]:
                        failures = 0
                    pause = _BACKOFF[min(failures, len(_BACKOFF) - 1)]
                    failures += 1
                    log.exception(
                        "%s failed, for group %s; it is started again in %g s",
                        self._source.owner,
                        self._name,
                        pause,
                    )
                    await sleep(pause)
                finally:
                    self._is_running = False

    async def _generate_once(self, send: Callable[[Any], Awaitable[None]]) -> None:
        values = self._source.begin(self._name)
        # Entered here, since whatever scopes the generator is in are in this one.
        with CancelScope() as closing:
            try:
                async for value in values:
                    await send(value)
            finally:
                assert self._clock is not None
                closing.shield = True
                self._clock.cancel_after(closing, CLEAN_UP)
                try:
                    await values.aclose()
                except BaseExceptionGroup as group:
                    # A task group around its `yield` says so of being closed.
                    failure = group.split(GeneratorExit)[1]
                    if failure is not None:
                        raise failure from None

    async def _deliver(self, value: Any) -> None:
        """Hand a value to the members here."""
        publication = self._publication(value)
        try:
            self._sources.deliver(publication)
        except MessageNotEncodable as error:
            self._complain(error)
        await checkpoint()  # a generator need not have one

    def _publication(self, value: Any) -> Publication:
        group = self._name.group
        group.check(value)
        return Publication(self._name.name, value, declared=group)

    def _complain(self, error: MessageNotEncodable) -> None:
        log.error("a publication to %s is dropped: %s", self._name, error)

    @property
    def _is_wanted(self) -> bool:
        return self._has_members and not self._has_ended

    # -- one of all processes -------------------------------------------------------

    async def _take_turns(self) -> None:
        """Run the source whenever the lease is held here, until it has ended."""
        term = self._source.term
        try:
            while self._is_wanted:
                self._freed = anyio.Event()
                self._until, self._may_hold = current_time() + term, True
                try:
                    self._may_hold = await self._layer.hold(self._lease, term)
                    if self._may_hold and current_time() < self._until:
                        await self._hold()
                except LayerUnavailable:
                    pass  # it is asked again
                if self._is_wanted:
                    with move_on_after(term / _RENEWALS_PER_LEASE):
                        await self._freed.wait()
        finally:
            await self._give_back()

    async def _hold(self) -> None:
        """Run the source until the lease is lost, or nobody is here.

        Raises:
            LayerUnavailable: It could not begin.
        """
        if self._ttl is not None and not await self._layer.hold(
            self._mark, _AN_INSTANT
        ):
            self._has_ended = True  # elsewhere, and its history is still there
        async with create_task_group() as tasks:
            self._holding = tasks.cancel_scope
            self._extend()
            tasks.start_soon(self._renew)
            if not self._has_ended:
                await self._generate(self._publish)
                await self._tell_end()
            if self._has_members:
                await sleep_forever()  # with the lease, so that nobody starts it again
            tasks.cancel_scope.cancel()

    def _extend(self) -> None:
        assert self._clock is not None
        self._clock.cancel_after(self._holding, self._until - current_time())

    async def _renew(self) -> None:
        term = self._source.term
        pause = term / _RENEWALS_PER_LEASE
        while True:
            await sleep(pause)
            asked = current_time()
            try:
                self._may_hold = await self._layer.hold(self._lease, term)
            except LayerUnavailable:
                pause = min(pause, _RETRY_AFTER)
                continue
            if not self._may_hold:
                log.warning(
                    "group %s: another process has taken its source over", self._name
                )
                self._holding.cancel()
                return
            pause = term / _RENEWALS_PER_LEASE
            self._until = asked + term
            self._extend()

    async def _publish(self, value: Any) -> None:
        """Publish a value, if the lease is still held."""
        publication = self._publication(value)
        if current_time() >= self._until:
            await sleep_forever()  # which the lease's end cuts off
        try:
            await self._source.publish([publication])
        except MessageNotEncodable as error:
            self._complain(error)
        except LayerUnavailable:
            # What the source yields is not to be lost in the middle: it begins anew.
            self._holding.cancel()
        await checkpoint()

    @property
    def _ttl(self) -> float | None:
        """Seconds for which it does not start again when it has ended."""
        history = self._name.group.history
        if history is None or not isinstance(self._source, Generated):
            return None
        return history.ttl

    async def _tell_end(self) -> None:
        """Have nobody start it again who has members now, or too early."""
        ttl = self._ttl
        if ttl is not None:
            self._sources.end(self._source, self._name.name, ttl)
        with move_on_after(CLEAN_UP) as scope:
            scope.shield = True
            while True:
                try:
                    if ttl is not None:
                        await self._layer.hold(self._mark, ttl)
                    if not self._was_stopped:
                        await self._tell(Kind.STOP)
                    return
                except LayerUnavailable:
                    await sleep(_RETRY_AFTER)

    async def _give_back(self) -> None:
        if not self._may_hold:
            return
        self._may_hold = False
        with move_on_after(CLEAN_UP) as scope:
            scope.shield = True
            try:
                await self._layer.release(self._lease)
                await self._tell(Kind.FREE)
            except LayerUnavailable:
                return  # it runs out

    async def _tell(self, kind: Kind) -> None:
        await self._source.publish([Publication(self._name.name, None, kind=kind)])
