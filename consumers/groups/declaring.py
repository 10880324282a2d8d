"""Declaring: the groups of an application, their sources, and whose names are whose."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from consumers.errors import ConfigurationError

from .declaration import Group, GroupName, Target, name_of
from .publication import Kind, Publication
from .source import Called, Generated, Hooks, Per, seconds

if TYPE_CHECKING:
    from consumers.history import History, Position
    from consumers.queues.policies import Policy

    from .presence import Presence

__all__ = ["Declaring"]

_RESOLVED_AT_MOST: Final = 10_000

Maker: TypeAlias = "Callable[..., AsyncIterator[Any]]"
Hook = TypeVar("Hook", bound=Callable[..., Awaitable[object]])


class Declaring(ABC):
    """What is declared in a `Groups`."""

    url: str
    """Which layer carries publications."""

    def __init__(self) -> None:
        """Begin with nothing declared."""
        self.declared: list[Group] = []
        """All declared groups."""
        self._resolved: dict[str, GroupName] = {}

    def declare(self, group: Group) -> Group:
        """Add a declared group; return it.

        Raises:
            ConfigurationError: One with this pattern is there.
        """
        patterns = [each.pattern for each in self.declared]
        if group.pattern in patterns:
            raise ConfigurationError(
                f"each pattern must be declared once, got {group.pattern!r} "
                f"beside {patterns!r}"
            )
        group.groups = self
        self.declared.append(group)
        self._resolved.clear()
        return group

    def resolve(self, target: Target) -> GroupName:
        """Return the group that ``target`` names.

        Raises:
            TypeError: It is no group; a pattern lacks its values.
            ValueError: The string can't be a name.
        """
        if not isinstance(target, str):
            return name_of(target)
        name = self._resolved.get(target)
        if name is None:
            name = name_of(target)
            for group in self.declared:
                if group.values_of(target) is not None:
                    name = GroupName(target, group)
                    break
            if len(self._resolved) >= _RESOLVED_AT_MOST:
                self._resolved.clear()
            self._resolved[target] = name
        return name

    # -- sources --------------------------------------------------------------------

    def source(
        self,
        pattern: str,
        *,
        linger: float = 5.0,
        per: Per | None = None,
        lease: float = 15.0,
        sends: Any = None,
        history: History | None = None,
        presence: bool | Presence = False,
        outbox: Policy | None = None,
        allow: object = None,
    ) -> Callable[[Maker], Group]:
        """Declare groups, and what makes their publications while they have members.

        ::

            @groups.source("dash.{name}", linger=5)
            async def dash(name: str) -> AsyncIterator[Figures]:
                while True:
                    yield await measure(name)
                    await sleep(1)

        It makes a `Group` of an async generator function that takes the pattern's
        parameters: ``await self.join(dash("sales"))``. What it yields is published to
        the members. It starts with a group's first member and is cancelled when the
        last one has left, and ``linger`` seconds have passed; clean-up that awaits must
        be shielded, unless the generator waits at a ``yield``, and has 10 seconds. It
        must not ``yield`` inside a cancel scope.

        One that raises is logged and started again, at first after a second, and later
        after up to 30. One that returns has ended: it is not started again for the
        members that are there, but by the next first one; with ``history`` not before
        the history's ``ttl`` has passed, so that who comes late gets what is kept.

        With ``"cluster"`` whoever holds a lease runs it, and renews it often enough.
        When its members leave, or its process ends in good order, another takes over at
        once; when it is killed, within the lease. It always begins anew. It ends when
        the lease has run out or is another's, and when a value can't be published.
        Two run at the same time only where the broker has lost the lease, for at most a
        quarter of ``lease``.

        Args:
            pattern: As of `Group`.
            linger: Seconds without members after which it ends.
            per: ``"process"``: each process with members runs its own, for its own
                members (each event loop, where a process has several). ``"cluster"``:
                one process of all with members runs it. ``None``: ``"cluster"`` with a
                history, else ``"process"``.
            lease: With ``"cluster"``: seconds within which another process runs it when
                one was killed.
            sends: As of `Group`.
            history: As of `Group`.
            presence: As of `Group`.
            outbox: As of `Group`.
            allow: As of `Group`.

        Raises:
            ConfigurationError: It is no such function, or an argument can't work.
        """
        kept = history is not None
        if per not in (None, "process", "cluster"):
            raise ConfigurationError(
                f"per= of a source must be 'process' or 'cluster', got {per!r}"
            )
        if kept and per == "process" and not self.url.startswith("memory:"):
            raise ConfigurationError(
                f"the source of {pattern!r} must be one for all processes where they "
                "share its history, got per='process'; write per='cluster'"
            )
        times = {
            "linger": seconds("linger= of a source", linger, zero=True),
            "lease": seconds("lease= of a source", lease),
        }
        group = Group(
            pattern,
            sends=sends,
            history=history,
            presence=presence,
            outbox=outbox,
            allow=allow,
        )

        def add(function: Maker) -> Group:
            if not inspect.isasyncgenfunction(function):
                raise ConfigurationError(
                    f"a source must be an async generator function, got {function!r}; "
                    "write 'async def', with 'yield'"
                )
            made = Generated(
                publish=self._publish,
                per="cluster" if kept else per or "process",
                called=Called.of(function, group),
                **times,
            )
            self.declare(group)
            group.sources.append(made)
            return group

        return add

    def on_first_join(
        self, group: Group, *, per: Per = "process"
    ) -> Callable[[Hook], Hook]:
        """Call an ``async def`` function when a group's first member has come.

        ::

            @groups.on_first_join(prices)
            async def follow(symbol: str) -> None:
                await exchange.subscribe(symbol)


            @groups.on_last_leave(prices, linger=10)
            async def unfollow(symbol: str) -> None:
                await exchange.unsubscribe(symbol)

        It takes the parameters of the group's pattern. Both take turns: whatever was
        begun is ended by the other one, before it is begun again. It is cancelled when
        the last member leaves while it runs. What it raises is logged.

        Args:
            group: Declared in these ``Groups``.
            per: ``"process"``: of each process's own members (each event loop's).
                ``"cluster"``: one process of all with members is in charge, as with a
                source; when its members leave but others stay, the one function is
                called there and the other in the next process.

        Raises:
            ConfigurationError: It is no such function, or the group is not declared.
        """
        self._check_hook(group, per)

        def add(function: Hook) -> Hook:
            called = _called(function, group)
            self._hooks(group, per).first.append(called)
            return function

        return add

    def on_last_leave(
        self, group: Group, *, linger: float = 0.0, per: Per = "process"
    ) -> Callable[[Hook], Hook]:
        """Call an ``async def`` function when a group's last member has left.

        Once for each time that there was a first one, at shutdown too, and for at most
        10 seconds. Otherwise as :meth:`on_first_join`.

        Args:
            group: Declared in these ``Groups``.
            linger: Seconds that the last one must be gone; who comes until then is no
                first one.
            per: As of :meth:`on_first_join`.

        Raises:
            ConfigurationError: It is no such function, or the group is not declared.
        """
        self._check_hook(group, per)
        seconds("linger= of a hook", linger, zero=True)

        def add(function: Hook) -> Hook:
            called = _called(function, group)
            hooks = self._hooks(group, per)
            hooks.last.append(called)
            hooks.linger = max(hooks.linger, linger)
            return function

        return add

    async def stop(self, group: Target) -> None:
        """End a group's source, in all processes, as if it had returned.

        When it returns all have been told. Does nothing where none runs.

        Raises:
            ConfigurationError: The group has no source.
            LayerUnavailable: It is open who has been told.
        """
        name = self.resolve(group)
        if not any(isinstance(each, Generated) for each in name.group.sources):
            raise ConfigurationError(
                f"what is stopped must be a group with a source, got {name.name!r}; "
                "declare it by @groups.source"
            )
        await self._publish([Publication(name.name, None, kind=Kind.STOP)])

    def _check_hook(self, group: Group, per: Per) -> None:
        if group not in self.declared:
            raise ConfigurationError(
                f"hooks must be for a group that is declared in these Groups, got "
                f"{group!r}; pass it to Groups(url, [group])"
            )
        if per not in ("process", "cluster"):
            raise ConfigurationError(
                f"per= of a hook must be 'process' or 'cluster', got {per!r}"
            )

    def _hooks(self, group: Group, per: Per) -> Hooks:
        for each in group.sources:
            if isinstance(each, Hooks) and each.per == per:
                return each
        made = Hooks(publish=self._publish, per=per)
        group.sources.append(made)
        return made

    @abstractmethod
    async def _publish(
        self, publications: Sequence[Publication]
    ) -> list[Position | None]:
        """Publish to all members, in all processes."""


def _called(function: Callable[..., Awaitable[object]], group: Group) -> Called:
    if not inspect.iscoroutinefunction(function):
        raise ConfigurationError(
            f"a hook must be 'async def', got {function!r}; write 'async def'"
        )
    return Called.of(function, group)
