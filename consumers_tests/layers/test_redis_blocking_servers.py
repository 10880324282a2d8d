"""The blocking client's servers: credentials, TLS, sockets, and clusters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumers.errors import LayerUnavailable
from consumers.layers.redis import blocking, blocking_servers
from consumers.layers.redis.address import Address
from consumers.layers.redis.blocking import BlockingClient
from consumers.layers.redis.blocking_servers import Servers
from consumers.layers.redis.names import slot_of
from consumers_tests.layers.conformance.tools import KEEP, Note, messages
from consumers_tests.proxy import Proxy
from consumers_tests.valkey import Cluster, Valkey, free_port

PEM = str(Path(__file__).parent.parent / "server" / "localhost.pem")
"""A certificate for localhost and 127.0.0.1, which nobody has signed."""

GROUPS = [f"group-{number}" for number in range(30)]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up soon."""
    monkeypatch.setattr(blocking, "PATIENCE", 2.0)


def publish(url: str) -> None:
    """Publish by a client of its own, and see that it is kept."""
    client = BlockingClient(Address.parse(url))
    try:
        client.publish([Note("a", 1, KEEP)])
        assert messages(client.history("a", KEEP).kept) == [1]
    finally:
        client.close()


# -- one server ------------------------------------------------------------------------


def test_by_password_user_and_socket() -> None:
    """The credentials of a URL are used, percent-decoded, on a socket as well."""
    with Valkey(password="p@ss:/word") as server:
        publish(server.url)
    with Valkey(password="pw", user="ada") as server:
        publish(server.url)
    with Valkey(password="pw", unix=True) as server:
        publish(server.url)


@pytest.mark.parametrize("who", ["", ":s3cret@", "ada:s3cret@"])
def test_wrong_credentials_are_told_at_once(who: str) -> None:
    """They are not tried again, and not shown."""
    with Valkey(password="right") as server:
        with pytest.raises(LayerUnavailable) as caught:
            publish(f"redis://{who}127.0.0.1:{server.port}")

        told = str(caught.value)
        assert re.search(r"Authentication required|invalid username-password", told)
        assert "s3cret" not in told
        # One connection was tried: its login, or the two commands that came instead.
        said = server.command("INFO", "errorstats").decode()
        assert re.search(r"_(WRONGPASS:count=1|NOAUTH:count=2)\r", said)


def test_databases_are_kept_apart(valkey: Valkey) -> None:
    """Each has histories of its own."""
    publish(f"{valkey.url}/1")
    publish(f"{valkey.url}?db=2")
    publish(valkey.url)


def test_tls_is_spoken_with_who_can_be_trusted(valkey: Valkey) -> None:
    """The certificate must be trusted and be for the host, unless told otherwise."""
    with Proxy(valkey.port, certificate=PEM) as proxy:
        publish(f"rediss://localhost:{proxy.port}/1?ssl_ca_certs={PEM}")
        publish(f"rediss://localhost:{proxy.port}/2?ssl_cert_reqs=none")

        with pytest.raises(LayerUnavailable, match="self-signed certificate"):
            publish(f"rediss://localhost:{proxy.port}")
        # Another name of the same machine, for which the certificate is not.
        with pytest.raises(LayerUnavailable, match=r"doesn't match|mismatch"):
            publish(f"rediss://127.1:{proxy.port}?ssl_ca_certs={PEM}")


def test_an_interrupted_call_leaves_nothing_behind(valkey: Valkey) -> None:
    """Answers that nobody waited for are not taken for those of the next call."""
    servers = Servers(Address.parse(valkey.url))
    ((server, _),) = servers.divide([1], lambda _: "a")

    def interrupted() -> None:
        with server.connection() as (connection, _):
            connection.send_command("ECHO", "old")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    with server.connection() as (connection, _):
        connection.send_command("ECHO", "new")
        assert connection.read_response() == b"new"
    servers.close()


# -- a cluster -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared_cluster() -> Iterator[Cluster]:
    with Cluster(3) as made:
        yield made


@pytest.fixture
def cluster(shared_cluster: Cluster) -> Cluster:
    shared_cluster.wipe()
    return shared_cluster


@pytest.fixture
def client(cluster: Cluster) -> Iterator[BlockingClient]:
    made = BlockingClient(Address.parse(cluster.url))
    yield made
    made.close()


def test_a_cluster_shares_the_groups_out(
    client: BlockingClient, cluster: Cluster
) -> None:
    """Each group is on one node; what is published together returns in its order."""
    notes = [Note(group, n, KEEP) for n in (1, 2) for group in GROUPS]

    positions = client.publish(notes)

    assert [each.offset for each in positions if each] == [1] * 30 + [2] * 30
    assert client.positions(GROUPS) == positions[30:]
    for group in GROUPS:
        assert messages(client.history(group, KEEP).kept) == [1, 2]
    assert client.count(GROUPS[0]).users == 0
    assert all(node.keys() for node in cluster.nodes)


def test_a_group_that_has_moved_is_found(
    client: BlockingClient, cluster: Cluster
) -> None:
    """The node that has it no longer says so, and nothing is lost or doubled."""
    client.publish([Note(GROUPS[0], 0)])
    (first, *_) = client._servers._slots
    client._servers._slots = (blocking_servers.Slots(0, 16_383, first.place),)

    client.publish([Note(group, 1, KEEP) for group in GROUPS])
    client._servers._slots = (blocking_servers.Slots(0, 16_383, first.place),)
    client.publish([Note(group, 2) for group in GROUPS])

    for group in GROUPS:
        assert messages(client.history(group, KEEP).kept) == [1, 2]


def test_a_server_that_is_no_cluster_is_told(valkey: Valkey) -> None:
    """The line says what the server says."""
    with pytest.raises(LayerUnavailable, match="cluster support disabled"):
        publish(f"{valkey.url}?cluster=true")


def test_a_cluster_that_is_taken_for_one_server_is_told(cluster: Cluster) -> None:
    """The line says what to write."""
    url = cluster.url.partition("?")[0]
    client = BlockingClient(Address.parse(url))

    with pytest.raises(LayerUnavailable, match=r"add '\?cluster=true' to its URL"):
        client.publish([Note(group, 1) for group in GROUPS])
    client.close()


def test_a_lost_node_is_told_and_the_others_go_on(client: BlockingClient) -> None:
    """Only its own groups are unavailable, and those with history wait for another."""
    low, high = (
        next(group for group in GROUPS if (slot_of(group) >= 8192) is upper)
        for upper in (False, True)
    )
    client.publish([Note(low, 1)])
    slots = client._servers._slots
    lost = [
        each._replace(place=("127.0.0.1", free_port()))
        if each.first <= slot_of(high) <= each.last
        else each
        for each in slots
    ]

    client._servers._slots = tuple(lost)
    client.publish([Note(low, 2)])
    with pytest.raises(LayerUnavailable, match="Connection refused"):
        client.publish([Note(high, 1)])
    client._servers._slots = tuple(lost)
    client.publish([Note(high, 2, KEEP)])

    assert messages(client.history(high, KEEP).kept) == [2]
