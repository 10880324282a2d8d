"""Who is measured beside whom: the contests of a run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from consumers_tests.benchmarks.rows import Peer
from consumers_tests.benchmarks.servers import SERVERS, STOCK, Recipe

__all__ = ["NOISE", "Contest", "beside", "between_trees", "chosen", "head_to_head"]

NOISE = "with itself"


@dataclass(frozen=True)
class Contest:
    """Two who take turns, and become one row of a table."""

    label: str

    first: Peer
    """What the other is compared with."""

    second: Peer

    stock: Recipe = SERVERS[STOCK]
    """What serves the second, if it says nothing of a server."""

    def missing(self) -> list[str]:
        """Return the modules that one of the two needs and that are not there."""
        found = [*self.first.missing(), *self.second.missing()]
        return [*dict.fromkeys([*found, *_needs(self.second, self.stock)])]


def _needs(peer: Peer, stock: Recipe) -> list[str]:
    return [] if peer.server else replace(peer, server=stock).missing()


def chosen(names: Sequence[str], parts: str) -> list[str]:
    """Return the names that contain one of the parts, whatever their case.

    A part that is a whole name means this one alone.
    """
    found = set()
    for part in parts.lower().split(","):
        whole = {name for name in names if name.lower() == part}
        found |= whole or {name for name in names if part in name.lower()}
    return [name for name in names if name in found]


def _only(peers: Sequence[Peer], parts: str) -> list[Peer]:
    names = chosen([peer.name for peer in peers], parts)
    return [peer for peer in peers if peer.name in names]


def beside(peers: Sequence[Peer], parts: str, stock: Recipe) -> list[Contest]:
    """Compare the chosen ones with the first of all, which is on the stock server."""
    return [Contest(peer.name, peers[0], peer, stock) for peer in _only(peers, parts)]


def head_to_head(peers: Sequence[Peer], parts: str, name: str) -> list[Contest]:
    """Compare one of them with each of the chosen others."""
    return [
        Contest(peer.name, peer, named)
        for named in peers
        if named.name == name
        for peer in _only(peers, parts)
        if peer is not named
    ]


def between_trees(peers: Sequence[Peer], parts: str, old: Path) -> list[Contest]:
    """Compare ours with what they were, and with themselves, which is the noise."""
    found = []
    for peer in _only([p for p in peers if p.name.startswith("consumers")], parts):
        found.append(Contest(peer.name, replace(peer, tree=old), peer))
        found.append(Contest(f"{peer.name} {NOISE}", peer, peer))
    return found
