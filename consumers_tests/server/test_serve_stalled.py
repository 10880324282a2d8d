"""A client that stops reading holds up neither its server nor the server's end."""

from __future__ import annotations

import sys
import time

import pytest

from consumers_tests.server.apps import Probe
from consumers_tests.server.live import KINDS, PATIENCE, Kind, handshake, in_thread

TWO = [KINDS["own"], KINDS["trio"]]

pytestmark = [
    pytest.mark.parametrize("kind", TWO, ids=["asyncio", "trio"]),
    pytest.mark.may_skip,
    pytest.mark.skipif(sys.platform != "linux", reason="TCP_USER_TIMEOUT is Linux's"),
]


def test_it_is_dropped(kind: Kind) -> None:
    """A client that reads nothing is dropped, and is not without the timeout."""
    guarded, control = Probe(), Probe()
    with (
        in_thread(guarded, kind, unacknowledged_timeout=0.5) as with_timeout,
        in_thread(
            control, kind, unacknowledged_timeout=None, graceful_timeout=0.2
        ) as without,
        without.raw(handshake("/flood")),
    ):
        assert control.flooding.wait(PATIENCE)
        with with_timeout.raw(handshake("/flood")):
            assert guarded.flooding.wait(PATIENCE)
            assert guarded.released.wait(PATIENCE)

        assert not control.released.is_set()


def test_it_does_not_hold_up_the_end(kind: Kind) -> None:
    """With a client that reads nothing the server ends within its graceful timeout."""
    probe = Probe()
    with in_thread(
        probe, kind, unacknowledged_timeout=None, graceful_timeout=0.5
    ) as server:
        stalled = server.raw(handshake("/flood"))
        assert probe.flooding.wait(PATIENCE)
        begun = time.monotonic()
        server.stop()

    with stalled:
        assert 0.4 < time.monotonic() - begun < 0.5 + 5
    assert probe.released.is_set()
    assert probe.lifespan[-2:] == ["connection ended", "lifespan.shutdown"]
