"""The crowd: how many connections there are, from each address and of each user.

Counted are the connections of one application, in one process, that the same `Limits`
apply to. A place is taken before anything of the application's runs and given up when
the connection has ended, however that was.
"""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv6Address, ip_network
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from starlette.exceptions import HTTPException

from consumers.over_limit import exceeded

from .refusals import count_refusal

if TYPE_CHECKING:
    from starlette.types import Scope

    from consumers.limits import Limits

    from .refusals import RefusalReason

__all__ = ["Crowd", "Crowds", "Place", "address_of"]

RETRY_AFTER: Final = 5
"""Seconds after which a client that was refused may come back."""

_HOUSEHOLD: Final = 64
"""The bits of an IPv6 address that one customer of a provider has, at least."""

_Limit: TypeAlias = Literal[
    "connections", "connections_per_address", "connections_per_user"
]

_LIMITS: Final[dict[_Limit, RefusalReason]] = {
    "connections": "limit_total",
    "connections_per_address": "limit_address",
    "connections_per_user": "limit_user",
}
"""``{limit: the reason of a refusal by it}``."""


class Crowd:
    """The connections that the same limits apply to."""

    __slots__ = ("addresses", "limits", "total", "users")

    def __init__(self, limits: Limits) -> None:
        """Begin with none."""
        self.limits = limits
        """What bounds them."""
        self.total = 0
        """All of them."""
        self.addresses: Counter[str] = Counter()
        """``{address: connections}``, where these are bounded."""
        self.users: Counter[str] = Counter()
        """``{user: connections}``, where these are bounded."""


class Place:
    """One connection's place in a crowd."""

    __slots__ = ("_address", "_crowd", "_user")

    def __init__(self, crowd: Crowd, scope: Scope) -> None:
        """Take a place.

        Raises:
            starlette.exceptions.HTTPException: There is none: 503, or 429 where there
                is none for this address.
        """
        limits = crowd.limits
        if limits.connections is not None and crowd.total >= limits.connections:
            raise _full("connections", limits.connections, 503, "the server is full")
        address: str | None = None
        if (most := limits.connections_per_address) is not None:
            address = address_of(scope)
            if address is not None and crowd.addresses[address] >= most:
                raise _full("connections_per_address", most, 429, _TOO_MANY)
        self._crowd: Crowd | None = crowd
        self._address = address
        self._user: str | None = None
        crowd.total += 1
        if address is not None:
            crowd.addresses[address] += 1

    def take_as(self, user: str) -> None:
        """Take a place among a user's connections, too; ``""``: among nobody's.

        That among another user's is given up.

        Raises:
            starlette.exceptions.HTTPException: There is none: 429.
        """
        crowd, name = self._crowd, user or None
        if crowd is None or name == self._user:
            return
        most = crowd.limits.connections_per_user
        if most is None:
            return
        if name is not None:
            if crowd.users[name] >= most:
                raise _full("connections_per_user", most, 429, _TOO_MANY)
            crowd.users[name] += 1
        _take_out(crowd.users, self._user)
        self._user = name

    def give_up(self) -> None:
        """Leave it to others. Does nothing where that was done."""
        crowd, self._crowd = self._crowd, None
        if crowd is None:
            return
        crowd.total -= 1
        _take_out(crowd.addresses, self._address)
        _take_out(crowd.users, self._user)


class Crowds:
    """The crowds of one application."""

    __slots__ = ("_by_limits",)

    def __init__(self) -> None:
        """Begin with none."""
        # {id of limits: the crowd}, which keeps them alive. Not by their values: two
        # classes with equal limits have a crowd each.
        self._by_limits: dict[int, Crowd] = {}

    def of(self, limits: Limits) -> Crowd:
        """Return the crowd that these limits apply to."""
        crowd = self._by_limits.get(id(limits))
        if crowd is None:
            crowd = self._by_limits[id(limits)] = Crowd(limits)
        return crowd


_TOO_MANY: Final = "too many connections"


def address_of(scope: Scope) -> str | None:
    """Return what a client's connections are counted by; ``None``: it has no address.

    An IPv4 address, or the network of an IPv6 address.
    """
    client = scope.get("client")
    if not client:
        return None
    host = str(client[0])
    if ":" not in host:
        return host
    try:
        address = IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ip_network((address, _HOUSEHOLD), strict=False))


def _take_out(counter: Counter[str], name: str | None) -> None:
    if name is not None:
        counter[name] -= 1
        if not counter[name]:
            del counter[name]


def _full(name: _Limit, most: int, status: int, detail: str) -> HTTPException:
    count_refusal(_LIMITS[name])
    text = "connection refused with %d: limits.%s allows %d"
    exceeded(name, text, status, name, most)
    return HTTPException(status, detail, {"retry-after": str(RETRY_AFTER)})
