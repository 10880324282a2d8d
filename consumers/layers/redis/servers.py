"""`Servers`: the one server at an address, and what a layer asks of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from coredis.exceptions import AuthenticationError, MovedError, RedisError

from consumers.clock import move_on_after
from consumers.errors import LayerUnavailable

from .address import Address
from .connections import connection_to
from .faults import reason_of
from .link import Link
from .subscriptions import Hears

__all__ = ["Servers", "SingleServer", "unreachable"]


class Servers(Protocol):
    """The servers at an address."""

    @property
    def links(self) -> Sequence[Link]:
        """Those that there are."""
        ...

    async def keep(self) -> None:
        """Connect, and again whenever that is lost; ends only by being cancelled."""
        ...

    async def reach(self, seconds: float) -> None:
        """Wait until all can be used.

        Raises:
            LayerUnavailable: They can't, ``seconds`` after the first attempt.
        """
        ...

    async def link(self, group: str) -> Link:
        """Return the link that a group's commands go by, when it is up."""
        ...

    def moved(self, error: RedisError) -> None:
        """Look again which server has which groups: one said that it has not.

        Raises:
            LayerUnavailable: It won't help.
        """
        ...

    async def subscribe(self, channels: Mapping[bytes, str]) -> None:
        """Hear channels, ``{channel: group}``, from when this returns."""
        ...

    def unsubscribe(self, channels: Iterable[bytes]) -> None:
        """Hear them no longer."""
        ...


class SingleServer:
    """One server."""

    def __init__(self, address: Address, hears: Hears, heartbeat: float) -> None:
        """Make it, not connected yet."""
        address.ssl_context()  # tells what is wrong with it at once
        self._address = address
        self._link = Link(
            str(address),
            lambda: connection_to(address),
            hears,
            heartbeat=heartbeat,
        )
        self.links = (self._link,)

    async def keep(self) -> None:
        """Connect, and again whenever that is lost."""
        await self._link.keep()

    async def reach(self, seconds: float) -> None:
        """Wait until it can be used."""
        link = self._link
        with move_on_after(seconds):
            # Who is refused now will be refused later.
            while not (link.up or isinstance(link.failure, AuthenticationError)):
                await link.changed()
        while not link.up and link.failure is None:
            await link.changed()
        if not link.up:
            raise unreachable(self._address, link.failure)

    async def link(self, group: str) -> Link:
        """Return the link when it is up."""
        await self._link.ready()
        return self._link

    def moved(self, error: RedisError) -> None:
        """Tell that this is the wrong way to use a cluster, if it is one."""
        if isinstance(error, MovedError):
            raise LayerUnavailable(
                f"{self._address} is one server of a cluster; add '?cluster=true' to "
                "its URL"
            ) from error

    async def subscribe(self, channels: Mapping[bytes, str]) -> None:
        """Hear channels from when this returns."""
        await self._link.subscribe(channels)

    def unsubscribe(self, channels: Iterable[bytes]) -> None:
        """Hear them no longer."""
        self._link.unsubscribe(channels)


def unreachable(address: Address, error: BaseException | None) -> LayerUnavailable:
    """Return what says that the broker can't be reached, and why."""
    how = " with TLS" if address.tls else ""
    return LayerUnavailable(f"can't reach {address}{how}: {reason_of(error)}")
