"""Codecs: what each reads and writes, and whose fault it is when it can't."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.codecs import CODECS, Codec, Event, codec_for, name_for_annotation
from consumers.errors import ConfigurationError, InvalidMessage, MessageNotEncodable


class Say(msgspec.Struct, tag=True):
    text: str


class Leave(msgspec.Struct, tag=True):
    pass


class Order(pydantic.BaseModel):
    item: str
    count: Annotated[int, pydantic.Field(gt=0)] = 1
    due: dt.date | None = None


@dataclass
class Point:
    x: int
    y: int


def text(data: str) -> Event:
    """Return the event of a text message."""
    return {"type": "websocket.receive", "text": data}


def binary(data: bytes) -> Event:
    """Return the event of a binary message."""
    return {"type": "websocket.receive", "bytes": data}


def received(event: Event) -> Event:
    """Return what the other side receives when ``event`` is sent."""
    assert event["type"] == "websocket.send"
    return {**event, "type": "websocket.receive"}


TYPED = [Say, Say | Leave, Point, dict[str, int], list[Order], Order, int]
ALL = [
    *CODECS.values(),
    codec_for("text or bytes"),
    *(codec_for(name, kind) for name in ("json", "msgpack") for kind in TYPED),
]

# -- what comes out --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("text", "hello"),
        ("text", ""),
        ("bytes", b"\x00\xff"),
        ("bytes", b""),
        ("json", {"a": [1, 2.5, None, True, "ü"]}),
        ("json", ""),
        ("msgpack", {"a": [1, 2.5, None, True, "ü", b"\x00"]}),
        ("text or bytes", "hello"),
        ("text or bytes", b"hello"),
        ("text or bytes", ""),
        ("text or bytes", b""),
    ],
)
def test_what_is_sent_is_what_is_received(name: str, message: object) -> None:
    """A message comes back as it was, empty ones too."""
    codec = codec_for(name)

    assert codec.decode(received(codec.encode(message))) == message


@given(st.text())
def test_any_text_is_sent_as_it_is(message: str) -> None:
    """The text codec changes nothing."""
    assert CODECS["text"].encode(message) == {"type": "websocket.send", "text": message}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=5,
    )
)
@settings(max_examples=30)
def test_any_json_value_comes_back(message: object) -> None:
    """JSON and MessagePack carry every value that JSON has."""
    for codec in (CODECS["json"], CODECS["msgpack"]):
        assert codec.decode(received(codec.encode(message))) == message


@pytest.mark.parametrize("data", [b"ab", bytearray(b"ab"), memoryview(b"ab")])
def test_bytes_are_sent_as_they_are_now(data: bytes | bytearray | memoryview) -> None:
    """What can change later is copied when it is sent."""
    event = CODECS["bytes"].encode(data)

    assert event == {"type": "websocket.send", "bytes": b"ab"}
    assert type(event["bytes"]) is bytes


def test_events_pass_as_they_are() -> None:
    """The event codec hands through the server's own events."""
    event = {"type": "websocket.send", "text": "a", "more": 1}

    assert CODECS["event"].encode(event) is event
    assert CODECS["event"].decode(event) is event


@pytest.mark.parametrize("name", ["json", "msgpack"])
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Say, Say("hi")),
        (Say | Leave, Leave()),
        (Point, Point(1, 2)),
        (dict[str, int], {"a": 1}),
        (tuple[uuid.UUID, Decimal], (uuid.UUID(int=7), Decimal("1.50"))),
        (Order, Order(item="tea", count=2, due=dt.date(2030, 1, 2))),
        (list[Order], [Order(item="tea")]),
        (Order | None, None),
        (Annotated[int, msgspec.Meta(gt=0)], 3),
        (Any, [1]),
        (None, [1]),
    ],
)
def test_typed_messages_come_back(name: str, kind: Any, message: object) -> None:
    """Structs, unions, dataclasses and pydantic's models come back as they were."""
    codec = codec_for(name, kind)

    assert codec.decode(received(codec.encode(message))) == message


# -- the client's faults ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("text", binary(b"")),
        ("json", binary(b"{}")),
        ("bytes", text("")),
        ("msgpack", text("")),
        ("text", {"type": "websocket.receive", "text": None, "bytes": b""}),
        ("bytes", {"type": "websocket.receive", "text": "", "bytes": None}),
        ("text or bytes", {"type": "websocket.receive"}),
    ],
)
def test_the_wrong_kind_of_frame_is_1003(name: str, event: Event) -> None:
    """Text in place of bytes, or the other way round, closes with 1003."""
    with pytest.raises(
        InvalidMessage, match=r"expected a (text|binary) frame"
    ) as caught:
        codec_for(name).decode(event)

    assert caught.value.close_code == 1003


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("json", text("")),
        ("json", text("{")),
        ("json", text("{'a': 1}")),
        ("json", text("NaN")),
        ("msgpack", binary(b"")),
        ("msgpack", binary(b"\xc1")),
        ("msgpack", binary(b"\xa1\xff")),
        ("msgpack", binary(b"\x01\x01")),
    ],
)
@pytest.mark.parametrize("kind", [None, Order])
def test_what_cannot_be_parsed_is_1007(name: str, event: Event, kind: Any) -> None:
    """What is not JSON or MessagePack at all closes with 1007, typed or not."""
    with pytest.raises(InvalidMessage, match="the message is not") as caught:
        codec_for(name, kind).decode(event)

    assert caught.value.close_code == 1007
    assert caught.value.detail


@pytest.mark.parametrize("name", ["json", "msgpack"])
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Say, {"type": "Say"}),
        (Say | Leave, {"type": "Shout"}),
        (Point, {"x": 1, "y": "2"}),
        (dict[str, int], {"a": "b"}),
        (Order, {"item": "tea", "count": 0}),
        (Order, []),
        (list[Order], [{"count": 1}]),
        (Annotated[int, msgspec.Meta(gt=0)], 0),
    ],
)
def test_what_violates_the_schema_is_1008(
    name: str, kind: Any, message: object
) -> None:
    """A message of another shape closes with 1008; what is wrong goes into `detail`."""
    event = received(CODECS[name].encode(message))

    with pytest.raises(InvalidMessage) as caught:
        codec_for(name, kind).decode(event)

    assert caught.value.close_code == 1008
    assert caught.value.reason == "the message violates the schema"
    assert caught.value.detail


@pytest.mark.parametrize("kind", [None, Order, list[Any]])
@pytest.mark.parametrize(
    "event",
    [
        text("[" * 20_000),
        text("[" * 20_000 + "]" * 20_000),
        text('{"a":' * 20_000),
        binary(b"\x91" * 20_000),
        binary(b"\x91" * 20_000 + b"\xc0"),
    ],
    ids=["open", "lists", "objects", "open msgpack", "msgpack"],
)
def test_deep_nesting_is_the_clients_fault(event: Event, kind: Any) -> None:
    """A message that is nested deeper than the decoder goes is the client's fault."""
    name = "json" if "text" in event else "msgpack"

    with pytest.raises(InvalidMessage) as caught:
        codec_for(name, kind).decode(event)

    assert caught.value.close_code in (1007, 1008)


def test_half_a_surrogate_pair_is_the_clients_fault() -> None:
    """A text that has no form in UTF-8 is no JSON, whatever server let it pass."""
    with pytest.raises(InvalidMessage) as caught:
        CODECS["json"].decode({"type": "websocket.receive", "text": '"\ud800"'})

    assert caught.value.close_code == 1007


@given(st.text() | st.binary() | st.sampled_from(["{}", "[]", "1", b"\x80", b"\x90"]))
def test_whatever_a_client_sends_it_is_a_message_or_its_fault(
    data: str | bytes,
) -> None:
    """Any message decodes, or is refused with 1003, 1007 or 1008, by every codec."""
    event = text(data) if isinstance(data, str) else binary(data)

    for codec in ALL:
        try:
            codec.decode(event)
        except InvalidMessage as error:
            assert error.close_code in (1003, 1007, 1008)  # noqa: PT017
            assert len(error.reason.encode()) <= 123  # noqa: PT017


@given(st.text())
def test_any_json_string_is_decoded_or_refused(content: str) -> None:
    """What a codec with types gets is valid JSON here, and still only refused."""
    for data in (
        msgspec.json.encode(content),
        msgspec.json.encode({content: [content]}),
    ):
        for codec in ALL:
            if codec.name == "json":
                try:
                    codec.decode(text(data.decode()))
                except InvalidMessage as error:
                    assert error.close_code == 1008  # noqa: PT017


# -- our callers' faults ---------------------------------------------------------------


class Color(enum.Enum):
    RED = object()


@pytest.mark.parametrize(
    ("name", "message", "match"),
    [
        ("text", b"x", "send_type 'text' sends str, got b'x'; set value_type = 'json'"),
        ("text", None, "sends str, got None"),
        ("text", 1, "sends str, got 1"),
        ("bytes", "x", "send_type 'bytes' sends bytes, got 'x'; encode it"),
        ("bytes", [1], "sends bytes, got"),
        ("text or bytes", 1, "sends bytes, got 1"),
        ("event", "x", "sends 'websocket.send' events, got 'x'; see send_event"),
        ("event", {"type": "websocket.close"}, "sends 'websocket.send' events"),
        ("json", object(), "a message must have a JSON form, got <object"),
        ("json", "\ud800", "a message must have a JSON form"),
        ("json", {1j: 1}, "a message must have a JSON form"),
        ("json", Color.RED, "a message must have a JSON form"),
        ("msgpack", object(), "a message must have a MessagePack form, got <object"),
        ("msgpack", 2**64, "a message must have a MessagePack form"),
    ],
)
def test_what_a_codec_cannot_send(name: str, message: object, match: str) -> None:
    """A value that does not fit is told to whoever sends, with a way out."""
    with pytest.raises(MessageNotEncodable, match=match):
        codec_for(name).encode(message)


@pytest.mark.parametrize("name", ["json", "msgpack"])
def test_a_circle_cannot_be_sent(name: str) -> None:
    """A value that contains itself has no end, and so no form."""
    circle: list[Any] = []
    circle.append(circle)

    with pytest.raises(MessageNotEncodable, match="form, got"):
        codec_for(name).encode(circle)


# -- which codec -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotation", "name"),
    [
        (str, "text"),
        (bytes, "bytes"),
        (str | bytes, "text or bytes"),
        (bytes | str, "text or bytes"),
        (dict, "json"),
        (int, "json"),
        (Say | Leave, "json"),
        (Order, "json"),
        (str | None, "json"),
        (Any, "json"),
    ],
)
def test_an_annotation_asks_for_a_codec(annotation: Any, name: str) -> None:
    """`str` is text, `bytes` is bytes, and all else is JSON."""
    assert name_for_annotation(annotation) == name


@pytest.mark.parametrize("annotation", [None, Any, object])
@pytest.mark.parametrize("name", list(CODECS))
def test_untyped_codecs_are_shared(name: str, annotation: Any) -> None:
    """Without a type there is one codec per name, so that publications are shared."""
    assert codec_for(name, annotation) is CODECS[name]


def test_each_typed_codec_is_its_own() -> None:
    """A class with a type decodes by its own, and encodes as all of its name do."""
    typed = codec_for("json", Say)

    assert isinstance(typed, Codec)
    assert typed.name == "json"
    assert typed.encode is CODECS["json"].encode
    assert repr(typed) == "<codec json>"


@pytest.mark.parametrize(
    ("name", "annotation", "match"),
    [
        ("xml", None, "must be one of 'text', 'bytes', 'json', .* got 'xml'"),
        ("text", bytes, "messages of type 'text' are str, got the annotation"),
        ("bytes", str, "messages of type 'bytes' are bytes, got the annotation"),
        ("text", dict, "write message: str, or set value_type = 'json'"),
        ("json", Say | Point, "a type that msgspec can decode, got"),
        ("msgpack", dict[str, Any] | Say, "a type that msgspec can decode, got"),
    ],
)
def test_what_cannot_be_decoded_is_told_beforehand(
    name: str, annotation: Any, match: str
) -> None:
    """A codec that can't carry a type is refused when it is made."""
    with pytest.raises(ConfigurationError, match=match):
        codec_for(name, annotation)


def test_an_annotation_need_not_be_hashable() -> None:
    """Metadata of any kind may stand in an annotation."""
    codec = codec_for("json", Annotated[int, []])

    assert codec.decode(text("1")) == 1
