"""What observers are told of publications, and what these carry for them."""

import msgspec
import pytest

from consumers import App, Group, Groups, Publication, WebSocketConsumer, WebSocketRoute
from consumers.groups.publication import CarryingWire, Wire
from consumers.observing import Observer
from consumers.testing import TestClient
from consumers_tests.observers import Watching

room = Group("chat.{channel}")


class Member(WebSocketConsumer):
    async def on_connect(self) -> None:
        await self.join(room("lobby"))


class Carrying(Observer):
    """Puts something in, and keeps what comes out."""

    def __init__(self) -> None:
        self.came: list[object] = []

    def publishing(self, publications: object) -> None:
        assert isinstance(publications, list)
        for publication in publications:
            publication.carrier = {"from": "here"}

    def delivered(self, publication: Publication, members: int, seconds: float) -> None:
        self.came.append(publication.carrier)


async def test_publications_are_told_where_they_begin_and_end() -> None:
    """Once each, with how many members there are; those without members only begin."""
    observer, groups = Watching(), Groups("memory://", [room])
    app = App([WebSocketRoute("/", Member)], groups=groups, observers=[observer])
    async with TestClient(app) as client:  # noqa: SIM117
        async with client.connect("/") as one, client.connect("/"):
            await groups.publish(room("lobby"), "hello")
            await groups.publish(room("empty"), "nobody")
            assert await one.receive() == "hello"

    told = ("publishing", "published", "delivered")
    assert [entry for entry in observer.told if entry[0] in told] == [
        ("publishing", ["hello"]),
        ("delivered", "chat.lobby", 2),
        ("published", None),
        ("publishing", ["nobody"]),
        ("published", None),
    ]


async def test_a_failed_publication_is_told() -> None:
    """With what it raised, which its publisher gets."""
    observer, groups = Watching(), Groups()
    app = App([WebSocketRoute("/", Member)], groups=groups, observers=[observer])
    async with TestClient(app) as client, client.connect("/"):
        with pytest.raises(Exception, match="str"):
            await groups.publish(room("lobby"), object())

    kinds = [entry[1] for entry in observer.told if entry[0] == "published"]
    assert [kind.__name__ for kind in kinds] == ["MessageNotEncodable"]


async def test_what_observers_put_in_comes_out() -> None:
    """A carrier reaches the observers of the members."""
    observer, groups = Carrying(), Groups()
    app = App([WebSocketRoute("/", Member)], groups=groups, observers=[observer])
    async with TestClient(app) as client, client.connect("/"):
        await groups.publish(room("lobby"), "hello")

    assert observer.came == [{"from": "here"}]


def test_a_carrier_travels() -> None:
    """It is read from the bytes, and does not change what follows."""
    publication = Publication("lobby", "hello")
    publication.carrier = {"traceparent": "00-1-2-01"}

    wire = Publication.open(publication.payload())
    read = Publication.read("lobby", wire, None)

    assert (read.message, read.carrier) == ("hello", {"traceparent": "00-1-2-01"})
    assert Publication("lobby", "hello").carrier is None


def test_without_a_carrier_nothing_is_added() -> None:
    """The bytes are what they were before there were carriers, and are read alike."""
    publication = Publication("lobby", "hello")

    payload = publication.payload()

    assert len(msgspec.msgpack.decode(payload)) == len(Wire.__struct_fields__) == 5
    assert Publication.open(payload).carrier is None


def test_an_earlier_release_reads_what_carries() -> None:
    """To it, what is carried is not there."""
    publication = Publication("lobby", "hello")
    publication.carrier = {"traceparent": "00-1-2-01"}

    wire = msgspec.msgpack.decode(publication.payload(), type=Wire)

    assert not isinstance(wire, CarryingWire)
    assert wire.id == publication.id


@pytest.mark.parametrize(
    ("group", "declared", "pattern"),
    [
        ("chat.lobby", room, "chat.{channel}"),
        ("lobby", None, "undeclared"),
        ("@user.42", None, "@user"),
    ],
)
def test_names_come_down_to_patterns(
    group: str, declared: Group | None, pattern: str
) -> None:
    """Of which a program has few; who a user is, is no part of it."""
    assert Publication(group, "hello", declared=declared).pattern == pattern
