"""The blocking client and brokers that are lost, refuse or answer too late."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from consumers.errors import LayerUnavailable
from consumers.history import History
from consumers.layers.redis import blocking, blocking_servers
from consumers.layers.redis.blocking import BlockingClient
from consumers.layers.redis.calls import Calls
from consumers_tests.layers.blocking import (
    NAMES,
    client_of,
    everything,
)
from consumers_tests.layers.conformance.tools import KEEP, Note
from consumers_tests.proxy import Proxy
from consumers_tests.valkey import PATIENCE, Valkey, free_port


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every wait of the client a short one."""
    monkeypatch.setattr(blocking, "PATIENCE", 0.3)
    monkeypatch.setattr(blocking_servers, "READ_TIMEOUT", 0.2)


# -- faults ----------------------------------------------------------------------------


def test_a_restarted_server_is_found_again() -> None:
    """A connection that has ended meanwhile is made again before anything is sent."""
    with Valkey() as server:
        client = client_of(server.url)
        client.publish([Note("a", 1)])
        server.restart()

        assert client.publish([Note("a", 2)]) == [None]
        client.close()


def test_what_is_kept_waits_for_the_server() -> None:
    """A publication to a group with history is repeated until the server is back."""
    with Valkey(append=True) as server:
        client = client_of(server.url)
        (before,) = client.publish([Note("a", 1, KEEP)])
        server.kill()
        back = threading.Timer(0.3, server.restart)
        back.start()

        (after,) = client.publish([Note("a", 2, KEEP)])

        back.join(PATIENCE)
        assert before is not None
        assert after is not None
        assert after.epoch == before.epoch
        assert everything(client) == [1, 2]
        client.close()


@pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "control"])
def test_a_publication_whose_answer_was_lost_is_kept_once(
    valkey: Valkey, guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said again, and the server tells where it is already."""
    if not guarded:
        original = Calls.publish

        def forgetful(self: Calls, parcel: Any, run: str, *, retried: bool) -> Any:
            return original(self, parcel, run)

        monkeypatch.setattr(Calls, "publish", forgetful)
    with Proxy(valkey.port) as proxy, ThreadPoolExecutor(1) as pool:
        client = client_of(f"redis://127.0.0.1:{proxy.port}")
        client.publish([Note("warm", 0)])
        proxy.mute()
        publishing = pool.submit(client.publish, [Note("a", 1, KEEP)])
        until_kept(valkey, 1)
        proxy.cut()
        proxy.resume()

        (position,) = publishing.result(PATIENCE)

        client.publish([Note("a", 2, KEEP)])
        assert position is not None
        assert position.offset == (1 if guarded else 2)
        assert everything(client) == ([1, 2] if guarded else [1, 1, 2])
        client.close()


def until_kept(valkey: Valkey, count: int) -> None:
    """Wait until a group keeps so many."""
    deadline = time.monotonic() + PATIENCE
    while valkey.command("XLEN", NAMES.key("a", "log")) < count:
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.mark.parametrize("history", [None, KEEP], ids=["once", "kept"])
def test_a_server_that_does_not_answer_is_told_in_time(
    valkey: Valkey, impatient: None, history: History | None
) -> None:
    """A stalled link ends in one clear line, and not in a thread that waits."""
    with Proxy(valkey.port) as proxy:
        client = client_of(f"redis://127.0.0.1:{proxy.port}")
        client.publish([Note("warm", 0)])
        proxy.stall()
        begun = time.monotonic()

        with pytest.raises(LayerUnavailable, match=r"can't reach .*: Timeout reading"):
            client.publish([Note("a", 1, history)])

        assert time.monotonic() - begun < 5
        client.close()


@pytest.mark.parametrize("history", [None, KEEP], ids=["once", "kept"])
def test_a_server_that_is_not_there_is_told(
    impatient: None, history: History | None
) -> None:
    """The line names the server, without its password."""
    port = free_port()
    client = client_of(f"redis://:s3cret@127.0.0.1:{port}")

    with pytest.raises(LayerUnavailable) as caught:
        client.publish([Note("a", 1, history)])

    assert str(caught.value).startswith(
        f"can't reach redis://:***@127.0.0.1:{port}: Error 111 connecting to "
        f"127.0.0.1:{port}. Connection refused"
    )
    with pytest.raises(LayerUnavailable):
        client.count("a")


def test_a_refusal_is_told_at_once(client: BlockingClient, valkey: Valkey) -> None:
    """What the server will never do is not asked for again."""
    valkey.command("SET", NAMES.key("a", "meta"), "something else")
    begun = time.monotonic()

    with pytest.raises(LayerUnavailable, match="refuses: WRONGTYPE"):
        client.publish([Note("a", 1, KEEP)])

    assert time.monotonic() - begun < blocking.PATIENCE / 2
    assert client.publish([Note("b", 1)]) == [None]
