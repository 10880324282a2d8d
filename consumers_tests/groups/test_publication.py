"""Publications: encoded once per codec, and shared."""

from typing import Any

import msgspec
import pytest

from consumers.codecs import CODECS, Codec
from consumers.errors import MessageNotEncodable
from consumers.groups import Publication
from consumers.handlers.messages import Internal


def counting(name: str) -> tuple[Codec, list[Any]]:
    """Return a codec, and the list of what it was asked to encode."""
    asked: list[Any] = []
    inner = CODECS[name]

    def encode(message: Any) -> Any:
        asked.append(message)
        return inner.encode(message)

    return Codec(name, inner.decoder, encode), asked


def test_a_message_is_encoded_once_per_codec() -> None:
    """However many members send by a codec, the event is made once and shared."""
    json, json_asked = counting("json")
    msgpack, msgpack_asked = counting("msgpack")
    publication = Publication("lobby", {"a": 1})

    events = [publication.encoded(codec)[0] for codec in (json, msgpack) * 3]

    assert events[0] is events[2] is events[4]
    assert events[1] is events[3] is events[5]
    assert (len(json_asked), len(msgpack_asked)) == (1, 1)


@pytest.mark.parametrize(
    ("name", "message", "size"),
    [
        ("text", "abc", 3),
        ("text", "", 0),
        ("text", "é☃", 5),
        ("bytes", b"abc", 3),
        ("bytes", b"", 0),
        ("json", {"a": "é"}, 10),
        ("event", {"type": "websocket.send", "bytes": b"ab", "text": None}, 2),
    ],
)
def test_its_size_is_in_bytes(name: str, message: object, size: int) -> None:
    """The size is what goes over the wire, in UTF-8 for text."""
    assert Publication("lobby", message).encoded(CODECS[name])[1] == size


def test_what_cannot_be_encoded_is_told_each_time() -> None:
    """A failure is not kept as if it were a result."""
    publication = Publication("lobby", object())

    for _ in range(2):
        with pytest.raises(MessageNotEncodable):
            publication.encoded(CODECS["json"])


def test_internal_publications_are_marked() -> None:
    """Whether a client may get it is read off the message's type."""

    class Tick(msgspec.Struct, Internal):
        pass

    assert Publication("lobby", Tick()).internal
    assert not Publication("lobby", "tick").internal


def test_half_a_character_is_the_publishers_fault() -> None:
    """A lone surrogate has no form in UTF-8, so that no server could send it."""
    with pytest.raises(MessageNotEncodable, match="surrogates"):
        Publication("lobby", "\ud800").encoded(CODECS["text"])
