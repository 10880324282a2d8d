"""A server is killed under load: the short form of `make faults`, with its controls."""

from __future__ import annotations

import pytest

from . import server
from .broker import Load

FEW = Load(clients=20, publications=600, groups=3, rate=300.0)


@pytest.mark.parametrize("seed", [1, 2], ids=["with-the-source", "without-it"])
def test_its_clients_return_and_miss_nothing(backend: str, seed: int) -> None:
    """They go on at the other server; presence and source are there in time, too."""
    outcome = server.killed(backend, seed, FEW, "")

    assert outcome.problems == []
    assert outcome.cells["deliveries"] == 20 * 200


@pytest.mark.parametrize(
    ("guard", "said"),
    [("positions", " lost"), ("leases", "presence of the dead stays")],
)
def test_without_the_guard_it_fails(guard: str, said: str) -> None:
    """Clients that do not say where they stand miss some; leases that last, linger."""
    outcome = server.killed("uvloop", 1, FEW, guard)

    assert said in "; ".join(outcome.problems)
