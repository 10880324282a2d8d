"""Single connections: what they are told, and that nothing of them stays."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from coredis.connection import TCPConnection, UnixDomainSocketConnection
from coredis.exceptions import RedisError

from consumers.errors import LayerUnavailable
from consumers.layers.redis import parse_address
from consumers.layers.redis.connections import ask_once, connection_to
from consumers.layers.redis.faults import Lost
from consumers_tests.layers.broken import listening, tasks_now
from consumers_tests.layers.conformance.tools import Note
from consumers_tests.proxy import Proxy
from consumers_tests.valkey import Valkey, free_port

PEM = str(Path(__file__).parent.parent / "server" / "localhost.pem")
"""A certificate for localhost and 127.0.0.1, which nobody has signed."""


def test_an_address_says_what_kind_it_is() -> None:
    """A socket of the file system or of the network."""
    gc.collect()
    for url, kind in (
        ("unix:///run/x.sock", UnixDomainSocketConnection),
        ("redis://h:1", TCPConnection),
        ("rediss://h:1", TCPConnection),
    ):
        connection = connection_to(parse_address(url))
        assert type(connection) is kind
        for each in vars(connection).values():
            if hasattr(each, "close"):
                each.close()


async def test_a_socket_of_the_file_system_serves_as_well() -> None:
    """With a password and another database, too."""
    with Valkey(unix=True, password="secret") as server:
        async with listening(f"{server.url}?db=2") as (layer, _):
            await layer.hold("lease", 30)

            assert server.command("INFO", "keyspace").count(b"db2:keys=1") == 1


async def test_a_user_with_a_password_is_let_in() -> None:
    """The user and the password of the URL are those that log in."""
    with Valkey(user="ada", password="p@ss:word") as server:
        async with listening(server.url) as (layer, _):
            assert await layer.check() > 0


@pytest.fixture
def tls(valkey: Valkey) -> Iterator[Proxy]:
    """Speak TLS before an empty broker. Not in a test, which may run on trio."""
    with Proxy(valkey.port, certificate=PEM) as proxy:
        yield proxy


async def test_tls_is_spoken_with_who_can_be_trusted(tls: Proxy) -> None:
    """Publications go over it both ways; the certificate must be the host's."""
    trusting = f"rediss://localhost:{tls.port}/0?ssl_ca_certs={PEM}"
    async with listening(trusting) as (layer, ear):
        await layer.subscribe("a")
        await layer.publish([Note("a", "over TLS")])
        assert await ear.until(1) == ["over TLS"]
    for stranger in (f"localhost:{tls.port}", f"127.1:{tls.port}?ssl_ca_certs={PEM}"):
        with pytest.raises(LayerUnavailable, match=r"certificate|mismatch|match"):
            async with listening(f"rediss://{stranger}"):
                pass


async def test_who_may_not_ask_for_the_run_is_served_and_warned(
    valkey: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    """What such a broker loses when it is restarted can't be noticed: it is said."""
    valkey.command("ACL", "SETUSER", "low", "on", ">pw", "~*", "&*", "+@all", "-info")
    try:
        async with listening(f"redis://low:pw@127.0.0.1:{valkey.port}") as (layer, _):
            assert await layer.hold("lease", 30)
    finally:
        valkey.command("ACL", "DELUSER", "low")
    [warning] = caplog.messages
    assert warning.endswith("allow its user +info")


async def test_one_question_has_one_answer(valkey: Valkey) -> None:
    """And one error, if it can't be had; no task is left of it."""
    before = tasks_now()
    nobody = f"redis://127.0.0.1:{free_port()}"

    assert await ask_once(connection_to(parse_address(valkey.url)), b"PING") == b"PONG"
    with pytest.raises(RedisError, match="unknown command"):
        await ask_once(connection_to(parse_address(valkey.url)), b"NONSENSE")
    with pytest.raises((RedisError, Lost)):
        await ask_once(connection_to(parse_address(nobody)), b"PING")
    assert tasks_now() == before


async def test_a_question_without_an_answer_ends(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the time in which a connection must be there."""
    monkeypatch.setattr("consumers.layers.redis.connections.OPENING", 0.1)
    proxy.stall()
    address = parse_address(f"redis://127.0.0.1:{proxy.port}")

    with pytest.raises(Lost, match="no answer within"):
        await ask_once(connection_to(address), b"PING")
