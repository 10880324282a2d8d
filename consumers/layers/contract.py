"""The contract that a layer keeps.

A layer carries publications between the processes of one application, keeps the
histories of groups, knows who is present, and lends out leases. Each event loop has one
layer, which its groups feed with what is published here, and which hands back what was
published anywhere, this process included.

``consumers_tests/layers/conformance.py`` holds the tests that every layer must pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from consumers.history import History, Position

__all__ = [
    "Carried",
    "Changes",
    "Count",
    "Entry",
    "Kept",
    "Layer",
    "Overview",
    "Parcel",
    "Receiver",
    "Renewal",
    "Replay",
]


class Parcel(Protocol):
    """What is given to a layer to carry."""

    @property
    def group(self) -> str:
        """The name of the group that it goes to: 1-255 visible ASCII characters."""
        ...

    @property
    def id(self) -> str:
        """What tells it from every other.

        A layer that has to send it twice keeps histories free of doubles by it.
        """
        ...

    @property
    def idempotency_key(self) -> str | None:
        """A second one with this key, to this group, is not carried."""
        ...

    @property
    def history(self) -> History | None:
        """What the group keeps. ``None``: as it was kept until now, if it was."""
        ...

    @property
    def transient(self) -> bool:
        """Whether it is carried and never kept, whatever the group keeps."""
        ...

    def payload(self) -> bytes:
        """Return it as bytes. Not asked for by a layer that is ``local``."""
        ...


Carried: TypeAlias = "Parcel | bytes"
"""What comes out of a layer: the parcel itself where the layer is ``local``, else its
payload."""


class Receiver(Protocol):
    """Who gets what a layer carries. Neither method waits."""

    def deliver(self, group: str, carried: Carried, position: Position | None) -> None:
        """Take a publication; ``position``: its own, in a group with history."""
        ...

    def resumed(self) -> None:
        """Take note that the layer was cut off, and that all is subscribed again.

        What was published meanwhile is missing.
        """
        ...


@dataclass(frozen=True, slots=True)
class Kept:
    """One publication of a history."""

    position: Position
    carried: Carried


@dataclass(frozen=True, slots=True)
class Replay:
    """A part of a history."""

    kept: tuple[Kept, ...]
    """In order."""

    position: Position
    """Where the history stands now: after its latest publication."""

    complete: bool
    """Whether ``kept`` begins right after the position that was asked for.

    ``False`` also where none was asked for. Where it can't, ``kept`` begins with the
    oldest that there is."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One connection that is present in a group."""

    connection: str
    """Its id."""

    user: str
    """Whose it is: several connections of one user count as one."""

    metadata: bytes
    """What it tells about itself, as MessagePack."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What a layer's presence has come to."""

    joined: tuple[Entry, ...] = ()
    """Of users that were not there."""

    updated: tuple[Entry, ...] = ()
    """Of users that were there, with other metadata than before; or who had left and
    are back before that was told. Those that asked meanwhile do not know of them."""


@dataclass(frozen=True, slots=True)
class Renewal:
    """What came of renewing a lease on presence."""

    held: bool
    """Whether it was held until now. If not, the entries are gone: enter them again."""

    left: tuple[str, ...] = ()
    """The users who are gone for good, each told to one caller only."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many are present."""

    connections: int
    users: int


@dataclass(frozen=True, slots=True)
class Overview:
    """What a layer knows of one group."""

    group: str
    processes: int
    """How many event loops subscribe to it."""

    position: Position | None
    """Of its history, if it has one."""

    kept: int
    """The publications in it."""

    present: int
    """The connections that are present."""


class Layer(Protocol):
    """Carries publications between processes.

    Every method but :meth:`running` is called only while that runs, and raises
    ``LayerUnavailable`` where the broker can't be reached in time, and then leaves it
    open whether the call was carried out. So does cancelling.
    """

    @property
    def local(self) -> bool:
        """Whether it ends at this process.

        Then nothing of a publication is encoded for it, what is published is delivered
        before :meth:`publish` returns, and :meth:`running` needs no task.
        """
        ...

    def running(self, receiver: Receiver) -> AbstractAsyncContextManager[None]:
        """Connect, and hand everything to ``receiver`` while the context lasts.

        Entered once. A connection that is lost later is made again, for as long as it
        takes; then all is subscribed again and ``receiver.resumed()`` is called.

        Raises:
            LayerUnavailable: What it connects to can't be reached.
        """
        ...

    # -- publications ---------------------------------------------------------------

    async def publish(self, parcels: Sequence[Parcel]) -> list[Position | None]:
        """Carry parcels to every process that subscribes to their groups.

        In one round trip. Those of one caller to one group arrive in the order of its
        calls. A parcel for a group with history is kept and carried in one step, once.

        Returns:
            The position of each, in order: ``None`` in groups without history; that of
            the first one where ``idempotency_key`` says that it is a repetition.
        """
        ...

    async def subscribe(self, *groups: str) -> None:
        """Have the groups' publications delivered; when it returns they are."""
        ...

    async def unsubscribe(self, *groups: str) -> None:
        """Have them delivered no longer."""
        ...

    # -- histories ------------------------------------------------------------------

    async def history(
        self,
        group: str,
        history: History,
        *,
        since: Position | None = None,
        limit: int | None = None,
    ) -> Replay:
        """Return a part of a group's history; begin one where there is none.

        Its position is remembered for as long as ``history`` says from now on, though
        what it keeps is not kept for longer.

        Args:
            group: Whose.
            history: What it keeps.
            since: After which position; ``None``: the latest ``limit``.
            limit: How many at most; ``None``: all. 0 only asks for the position.
        """
        ...

    async def positions(self, groups: Sequence[str]) -> list[Position | None]:
        """Return where histories stand; ``None``: there is none. In one round trip."""
        ...

    # -- presence -------------------------------------------------------------------

    async def enter(
        self, group: str, entries: Sequence[Entry], lease: float
    ) -> Changes:
        """Have connections present, until they exit or ``lease`` seconds have passed.

        An entry whose connection is there already replaces it, in its old place.
        """
        ...

    async def exit(self, group: str, connections: Sequence[str], linger: float) -> None:
        """Have connections present no longer.

        A user whose last connection this was is gone at once, but is told by a
        :meth:`renew` only after ``linger`` seconds, and not at all if back by then:
        that is an update.
        """
        ...

    async def renew(self, leases: Mapping[str, float]) -> dict[str, Renewal]:
        """Renew what was entered here: ``{group: seconds}``. In one round trip.

        Also removes what other processes have left behind whose leases have run out.
        """
        ...

    async def present(self, group: str) -> list[Entry]:
        """Return who is present, in the order of entering."""
        ...

    async def count(self, group: str) -> Count:
        """Return how many are present, without fetching them."""
        ...

    # -- leases ---------------------------------------------------------------------

    async def hold(self, name: str, seconds: float) -> bool:
        """Take the lease ``name``, or renew it; return whether it is held by us."""
        ...

    async def release(self, name: str) -> None:
        """Give the lease back. Does nothing where it is not held by us."""
        ...

    # -- health ---------------------------------------------------------------------

    async def check(self) -> float:
        """Return how many seconds a round trip takes.

        Raises:
            LayerUnavailable: The broker does not answer.
        """
        ...

    async def overview(self) -> list[Overview]:
        """Return what is known of every group, by name.

        For people, not for programs: it may take long.
        """
        ...

    def statistics(self) -> Mapping[str, Any]:
        """Return counts of what has happened, by name, for people and metrics."""
        ...
