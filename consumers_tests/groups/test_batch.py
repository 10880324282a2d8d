"""Batches: several publications as one message, each encoded once."""

import logging
from typing import Any

import msgspec
import pytest

from consumers.codecs import CODECS, Codec, Event, with_positions
from consumers.errors import MessageNotEncodable
from consumers.groups import Group, Publication
from consumers.groups.batch import Batch
from consumers.groups.hub import Hub
from consumers.history import Position
from consumers.queues.policies import Coalesce
from consumers_tests.groups.members import Recorder

BOARD = Group("board", outbox=Coalesce("key", every=0.1, batch=True))


def item(
    message: Any, offset: int = 0, exclude: object = None, connection: str | None = None
) -> Publication:
    publication = Publication(
        "board", message, exclude, declared=BOARD, connection=connection
    )
    if offset:
        publication.position = Position(offset, "e")
    return publication


def batch(*items: Publication) -> Batch:
    return Batch(dict(enumerate(items)))


def read(event: Event) -> Any:
    if event.get("text") is not None:
        return msgspec.json.decode(event["text"])
    return msgspec.msgpack.decode(event["bytes"])


def counting(name: str) -> tuple[Codec, list[Any]]:
    """Return a codec, and the list of what it was asked to encode."""
    asked: list[Any] = []
    inner = CODECS[name]

    def encode(message: Any) -> Event:
        asked.append(message)
        return inner.encode(message)

    return Codec(name, inner.decoder, encode, inner.join), asked


@pytest.mark.parametrize("name", ["json", "msgpack"])
@pytest.mark.parametrize("count", [1, 15, 16, 70_000])
def test_a_batch_is_an_array_of_its_messages(name: str, count: int) -> None:
    """Of any length, in the codec's own form, with its size."""
    event, size = batch(*map(item, range(count))).encoded(CODECS[name])

    assert read(event) == [*range(count)]
    assert size == len(event.get("text") or event["bytes"])


@pytest.mark.parametrize("name", ["json", "msgpack"])
def test_each_item_is_encoded_once(name: str) -> None:
    """However many members get a batch without their own item."""
    codec, asked = counting(name)
    members = [Recorder(codec) for _ in range(30)]
    whole = batch(
        *(item(number, exclude=member) for number, member in enumerate(members))
    )
    hub = Hub()
    for member in [*members, viewer := Recorder(codec), other := Recorder(codec)]:
        hub.add("board", member)

    hub.deliver(whole)

    assert sorted(asked) == [*range(30)]
    for number, member in enumerate(members):
        assert read(member.events[0]) == [*range(number), *range(number + 1, 30)]
    assert read(viewer.events[0]) == [*range(30)]
    assert viewer.events[0] is other.events[0]


def test_members_of_other_processes_are_excluded_by_their_ids() -> None:
    """The excluded one may be named where it is not known."""
    hub = Hub()
    one, two = Recorder(), Recorder()
    hub.add("board", one)
    hub.add("board", two)

    hub.deliver(batch(item("a", connection=one.id), item("b")))
    hub.deliver(batch(item("c", connection=one.id)))

    assert one.texts == ['["b"]']
    assert two.texts == ['["a","b"]', '["c"]']


@pytest.mark.parametrize("name", ["text", "bytes"])
def test_codecs_without_arrays_get_the_items(name: str) -> None:
    """One by one, in order."""
    messages: list[Any] = ["a", "b"] if name == "text" else [b"a", b"b"]
    hub = Hub()
    hub.add("board", member := Recorder(CODECS[name]))

    hub.deliver(batch(*map(item, messages)))

    assert [event[name] for event in member.events] == messages


def test_an_item_that_cannot_be_encoded_is_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The others are sent; where it is the only one, nothing is."""
    hub = Hub()
    hub.add("board", member := Recorder())
    with caplog.at_level(logging.ERROR, "consumers"):
        hub.deliver(batch(item(1), item(object()), item(2)))
        hub.deliver(batch(item(object())))

    assert member.texts == ["[1,2]"]
    assert caplog.text.count("a publication to board is dropped") == 3
    with pytest.raises(MessageNotEncodable):
        batch(item(object())).encoded(CODECS["json"])


@pytest.mark.parametrize("name", ["json", "msgpack"])
def test_its_position_is_that_of_its_last_item(name: str) -> None:
    """And each item has its own beside it, for those who want to come back to it."""
    whole = batch(item("a", 3), item("b", 5))

    assert whole.position == Position(5, "e")
    assert read(whole.encoded(with_positions(CODECS[name]))[0]) == [
        {"group": "board", "position": "3.e", "message": "a"},
        {"group": "board", "position": "5.e", "message": "b"},
    ]


def test_what_a_member_has_is_left_out() -> None:
    """After a replay it gets those items that are later, and nothing where none is."""
    whole = batch(item("a", 3), item("b", 5))

    assert whole.after(None) is whole
    assert whole.after(Position(2, "e")) is whole
    left = whole.after(Position(3, "e"))
    assert left is not None
    assert left.message == ["b"]
    assert whole.after(Position(5, "e")) is None


def test_held_batches_are_merged_and_released_after_a_position() -> None:
    """What is held is the latest per key, and what was replayed is not sent again."""
    hub = Hub()
    member = Recorder()
    membership = hub.add("board", member)
    membership.held = member.backlog()

    hub.deliver(Batch({"a": item("a1", 1), "b": item("b1", 2)}))
    hub.deliver(Batch({"b": item("b2", 3), "c": item("c1", 4)}))
    hub.release(membership, member, Position(3, "e"))
    hub.deliver(Batch({"a": item("a2", 5)}))

    assert member.texts == ['["c1"]', '["a2"]']
    assert member.lost == {"superseded": 1}


def test_a_batch_that_reaches_back_is_cut() -> None:
    """A member that is ahead gets what is after its position, and then everything."""
    hub = Hub()
    member = Recorder()
    membership = hub.add("board", member)
    hub.release(membership, member, Position(3, "e"), ahead=True)

    hub.deliver(batch(item("a", 1), item("b", 2)))
    hub.deliver(batch(item("c", 3), item("d", 4)))
    hub.deliver(batch(item("e", 5)))

    assert member.texts == ['["d"]', '["e"]']
