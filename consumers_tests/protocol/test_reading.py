"""Reading: what clients send, and whom an error goes to if it does not fit."""

from __future__ import annotations

from typing import Any

import msgspec
import pydantic
import pytest

from consumers.codecs import codec_for
from consumers.errors import InvalidMessage
from consumers.protocol.frames import Cancel, Message, Ping, Request, Subscribe
from consumers.protocol.reading import FrameReader, Head, PlainReader, Refused


class Say(msgspec.Struct, tag="say"):
    text: str


class Count(msgspec.Struct, tag="count"):
    cancel: int = 0


class Model(pydantic.BaseModel):
    number: int


codecs = pytest.mark.parametrize("name", ["json", "msgpack"])


def event(name: str, content: Any) -> dict[str, Any]:
    """Return the event of a client's message."""
    data: dict[str, Any] = (
        {"text": msgspec.json.encode(content).decode()}
        if name == "json"
        else {"bytes": msgspec.msgpack.encode(content)}
    )
    return {"type": "websocket.receive", **data}


def plain(name: str) -> PlainReader:
    """Return what reads messages without the subprotocol."""
    return PlainReader(codec_for(name, Say | Count), (Say, Count))


def framed(name: str, annotation: Any = Say | Count) -> FrameReader:
    """Return what reads frames."""
    return FrameReader(name, annotation, ("type", ["say", "count"]))


def misread(reader: PlainReader, read: dict[str, Any]) -> Any:
    """Return what a message that is none of the class's cancels."""
    with pytest.raises(InvalidMessage) as caught:
        reader.decode(read)
    return reader.cancelled_by(read, caught.value)


# -- without the subprotocol -----------------------------------------------------------


@codecs
def test_a_plain_message(name: str) -> None:
    """It is decoded as it is, and its id is looked for beside its fields."""
    reader = plain(name)
    with_id = event(name, {"type": "say", "text": "hi", "id": 7})

    assert reader.decode(with_id) == Say("hi")
    assert reader.mark in with_id[reader.kind]
    assert reader.id_of(with_id) == 7
    assert reader.mark not in event(name, {"type": "say", "text": "hi"})[reader.kind]


@codecs
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"id": "a"}, "a"),
        ({"id": ""}, ""),
        ({"id": 0}, 0),
        ({"id": None}, None),
        ({"id": 1.5}, None),
        ({"id": True}, None),
        ({"id": [1]}, None),
        ({"text": "id"}, None),
        ([1], None),
    ],
)
def test_what_is_an_id(name: str, content: Any, expected: Any) -> None:
    """A whole number or a text; anything else names nothing."""
    assert plain(name).id_of(event(name, content)) == expected


@codecs
@pytest.mark.parametrize("id_", [1, "a", 0, ""])
def test_a_plain_cancel(name: str, id_: Any) -> None:
    """What is no message of the class's, and has an id to cancel."""
    reader = plain(name)

    assert misread(reader, event(name, {"cancel": id_})) == id_
    assert reader.cancels(event(name, {"cancel": id_})) == id_


@codecs
@pytest.mark.parametrize(
    "content",
    [
        {"cancel": None},
        {"cancel": 1.5},
        {"type": "say", "text": "cancel"},
        {"type": "count", "cancel": 1},
        ["cancel"],
        "cancel",
    ],
)
def test_what_cancels_nothing(name: str, content: Any) -> None:
    """A message with such a field of its own, and what names no id."""
    assert plain(name).cancels(event(name, content)) is None


def test_what_is_nothing_at_all_cancels_nothing() -> None:
    """It ends the connection when it is its turn."""
    reader = plain("json")
    broken = {"type": "websocket.receive", "text": '{"cancel"'}

    assert reader.cancels(broken) is None
    assert reader.head(broken) == Head()
    with pytest.raises(InvalidMessage) as caught:
        misread(reader, broken)
    assert caught.value.close_code == 1007


@codecs
@pytest.mark.parametrize(
    ("content", "id_", "code"),
    [
        ({"type": "say", "text": 1, "id": 7}, 7, "invalid_message"),
        ({"type": "say", "text": 1}, None, "invalid_message"),
        ({"type": "sing", "id": "a"}, "a", "unknown_type"),
        ({"type": 3, "id": "a"}, "a", "invalid_message"),
        ({"text": "hi"}, None, "invalid_message"),
        ([], None, "invalid_message"),
    ],
)
def test_a_plain_message_that_does_not_fit(
    name: str, content: Any, id_: Any, code: str
) -> None:
    """Its sender is told, by the id if there is one."""
    with pytest.raises(Refused) as caught:
        misread(plain(name), event(name, content))

    assert (caught.value.id, caught.value.answer.code) == (id_, code)


def test_an_unknown_type_is_told_the_known_ones() -> None:
    """The detail lists them; a wrong value elsewhere is no unknown type."""
    with pytest.raises(Refused) as caught:
        misread(plain("json"), event("json", {"type": "sing"}))

    assert caught.value.answer.detail.endswith("; expected say, count")


# -- frames ----------------------------------------------------------------------------


@codecs
def test_frames_are_read_with_their_messages(name: str) -> None:
    """The message in a frame is of the class's types."""
    reader = framed(name)
    message = {"type": "say", "text": "hi"}

    frame = reader.read(event(name, {"type": "request", "id": 1, "message": message}))
    assert (type(frame), frame.id, frame.message) == (Request, 1, Say("hi"))
    frame = reader.read(event(name, {"type": "message", "message": message}))
    assert (type(frame), frame.message) == (Message, Say("hi"))
    frame = reader.read(event(name, {"type": "subscribe", "id": 2, "group": "a"}))
    assert frame == Subscribe(2, "a")


@codecs
def test_what_overtakes(name: str) -> None:
    """Frames about the connection itself do; messages and nonsense don't."""
    reader = framed(name)

    assert reader.control(event(name, {"type": "cancel", "id": 1})) == Cancel(1)
    assert reader.control(event(name, {"type": "ping"})) == Ping()
    others: list[Any] = [
        {"type": "message", "message": {"type": "cancel", "id": 1}},
        {"type": "subscribe", "id": 2, "group": "a"},
        {"type": "cancel"},
        {"type": "cancel", "id": 0},
        [],
    ]
    for content in others:
        assert reader.control(event(name, content)) is None


@codecs
@pytest.mark.parametrize(
    ("content", "id_", "code"),
    [
        (
            {"type": "request", "id": 1, "message": {"type": "sing"}},
            1,
            "unknown_type",
        ),
        (
            {"type": "request", "id": 1, "message": {"type": "say"}},
            1,
            "invalid_message",
        ),
        ({"type": "message", "message": {"type": "sing"}}, None, "unknown_type"),
        ({"type": "request", "id": 1}, 1, "invalid_message"),
        ({"type": "request", "id": 0, "message": 1}, None, "invalid_message"),
        ({"type": "request", "id": 1, "key": "", "message": 1}, 1, "invalid_message"),
        ({"type": "subscribe", "id": 5, "group": ""}, 5, "invalid_message"),
        ({"type": "sing", "id": 1}, None, "unknown_type"),
        ({"id": 1}, None, "invalid_message"),
        ([], None, "invalid_message"),
    ],
)
def test_a_frame_that_does_not_fit(
    name: str, content: Any, id_: Any, code: str
) -> None:
    """Who waits for an answer gets the error for it."""
    with pytest.raises(Refused) as caught:
        framed(name).read(event(name, content))

    assert (caught.value.id, caught.value.answer.code) == (id_, code)


@codecs
def test_messages_of_another_library(name: str) -> None:
    """What pydantic reads comes in frames too, and so do its complaints."""
    reader = FrameReader(name, Model, ("", []))

    frame = reader.read(
        event(name, {"type": "request", "id": 1, "message": {"number": 3}})
    )
    assert frame.message == Model(number=3)
    with pytest.raises(Refused) as caught:
        reader.read(event(name, {"type": "request", "id": 1, "message": {}}))
    assert (caught.value.id, caught.value.answer.code) == (1, "invalid_message")
    with pytest.raises(Refused) as caught:
        reader.read(event(name, {"type": "message", "message": {}}))
    assert caught.value.id is None


@pytest.mark.parametrize(
    ("name", "sent", "code"),
    [
        ("json", {"text": "{"}, 1007),
        ("json", {"bytes": b"{}"}, 1003),
        ("msgpack", {"bytes": b"\xc1"}, 1007),
        ("msgpack", {"text": "{}"}, 1003),
    ],
)
def test_what_is_no_frame_ends_the_connection(
    name: str, sent: dict[str, Any], code: int
) -> None:
    """Broken text and the wrong kind of message are not answered."""
    with pytest.raises(InvalidMessage) as caught:
        framed(name).read({"type": "websocket.receive", **sent})

    assert caught.value.close_code == code
