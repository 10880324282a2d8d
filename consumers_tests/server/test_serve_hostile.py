"""One bad client is nobody else's problem."""

from __future__ import annotations

import pytest

from consumers_tests.server.apps import Probe
from consumers_tests.server.hostile import (
    HANDSHAKES,
    attack,
    random_bytes,
)
from consumers_tests.server.live import PATIENCE, Kind, in_thread


@pytest.mark.parametrize(
    "attacks",
    [
        pytest.param(list(HANDSHAKES.values()), id="handshakes"),
        pytest.param(random_bytes(100, seed=2), id="random"),
    ],
)
def test_bystanders_are_served(kind: Kind, attacks: list[bytes]) -> None:
    """Malformed handshakes and random bytes end no server and no other connection."""
    with in_thread(Probe(), kind) as server, server.connect("/echo") as bystander:
        attack((server.host, server.port), attacks)

        bystander.send("still here")
        assert bystander.recv(timeout=PATIENCE) == "still here"
        with server.connect("/echo") as newcomer:
            newcomer.send("and welcome")
            assert newcomer.recv(timeout=PATIENCE) == "and welcome"
        assert not server.ended.done()
