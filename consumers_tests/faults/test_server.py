"""A server is killed under load: the short form of `make faults`, with its controls."""

from __future__ import annotations

from . import server
from .broker import Load

FEW = Load(clients=20, publications=600, groups=3, rate=300.0, lease=1.5)


def test_its_clients_return_and_miss_nothing(backend: str) -> None:
    """They go on at the other server; presence and source are there in time, too."""
    outcome = server.killed(backend, 1, FEW, "")

    assert outcome.problems == []
    assert outcome.cells["deliveries"] == 20 * 200


def test_without_the_guard_it_fails() -> None:
    """Clients that do not say where they stand miss what came while they were away."""
    outcome = server.killed("uvloop", 1, FEW, "positions")

    assert " lost" in "; ".join(outcome.problems)
