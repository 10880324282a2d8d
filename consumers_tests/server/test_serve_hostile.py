"""One bad client is nobody else's problem."""

from __future__ import annotations

from concurrent.futures import Future

import anyio
import hypercorn.trio
import pytest
from anyio.from_thread import start_blocking_portal
from hypercorn.config import Config

from consumers_tests.server.apps import Probe
from consumers_tests.server.hostile import (
    ENDED_HYPERCORN,
    HANDSHAKES,
    attack,
    random_bytes,
)
from consumers_tests.server.live import KINDS, PATIENCE, Kind, Server, in_thread


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


def test_a_dropped_connection_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """What the guard caught is one warning in one line, with nothing of the others."""
    with in_thread(Probe(), KINDS["hypercorn"]) as server:
        attack((server.host, server.port), [ENDED_HYPERCORN["subprotocol not ASCII"]])
        with server.connect("/echo"):
            pass

    warned = [r for r in caplog.records if r.name == "consumers.server"]

    assert [r.levelname for r in warned] == ["WARNING"]
    assert warned[0].getMessage().startswith("a connection was dropped: UnicodeDecode")


@pytest.mark.parametrize("name", ENDED_HYPERCORN)
def test_the_guard_is_needed(name: str) -> None:
    """Hypercorn's own server on trio is ended by one such client."""

    async def serve(*, task_status: anyio.abc.TaskStatus[list[str]]) -> None:
        config = Config()
        config.bind = ["127.0.0.1:0"]
        config.errorlog = None
        await hypercorn.trio.serve(Probe(), config, task_status=task_status)  # type: ignore[arg-type]

    with start_blocking_portal("trio") as portal:
        ended, binds = portal.start_task(serve)
        port = int(binds[0].rpartition(":")[2])
        server = Server("127.0.0.1", port, Future(), ended.cancel)
        with server.raw(ENDED_HYPERCORN[name]):
            error = ended.exception(timeout=PATIENCE)

    assert isinstance(error, BaseExceptionGroup)
