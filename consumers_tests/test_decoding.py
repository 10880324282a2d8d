"""Decoding: what a message may be is looked at before it is decoded."""

from typing import Any

import msgspec
import pytest

from consumers.codecs import CODECS, Codec, codec_for
from consumers.decoding import size_of_received
from consumers.errors import InvalidMessage
from consumers.shape import ANYTHING, Shape

EITHER = codec_for("text or bytes")


def events(codec: Codec, size: int) -> list[dict[str, Any]]:
    """Return events whose messages have so many bytes, in all ways of making them."""
    short = "y" * (size - 2)
    match codec.name:
        case "text":
            return [
                {"text": "x" * size},
                {"text": "é" * (size // 2) + "x" * (size % 2)},
            ]
        case "bytes":
            return [{"bytes": b"x" * size}]
        case "json":
            return [{"text": f'"{short}"'}, {"text": f'"{"é" * (size // 2 - 1)}"'}]
        case "msgpack":
            return [{"bytes": msgspec.msgpack.encode(f"{short}y")}]
        case _:
            return [{"text": "x" * size}, {"bytes": b"x" * size, "text": None}]


@pytest.mark.parametrize("codec", [*CODECS.values(), EITHER], ids=repr)
@pytest.mark.parametrize("size", [10, 12, 30])
def test_bytes_at_the_edge(codec: Codec, size: int) -> None:
    """One byte more closes with 1009; as many and fewer don't, nor without a bound."""
    for event in events(codec, size):
        assert size_of_received(event) == size
        for shape in (
            Shape(size, None, None),
            Shape(size + 1, None, None),
            Shape(9999, None, None),
            ANYTHING,
        ):
            codec.decoder(shape)(event)
        with pytest.raises(InvalidMessage, match="too big") as caught:
            codec.decoder(Shape(size - 1, None, None))(event)
        assert caught.value.close_code == 1009


@pytest.mark.parametrize("name", ["json", "msgpack"])
def test_what_has_too_much_in_it_has_an_answer(name: str) -> None:
    """Items and nesting violate a policy, and who reads types is told which."""
    event = CODECS[name].encode([[1, 2], [3]])

    assert CODECS[name].decoder(Shape(None, 5, 2))(event) == [[1, 2], [3]]
    for shape, text in ((Shape(None, 4, 2), "items"), (Shape(None, 5, 1), "nested")):
        with pytest.raises(InvalidMessage, match=text) as caught:
            CODECS[name].decoder(shape)(event)
        assert (caught.value.close_code, caught.value.code) == (1008, "too_large")


def test_by_default_a_message_has_a_megabyte_and_50_000_items() -> None:
    """One byte or one item more is refused by every codec as it is."""
    at_most = {"text": "x" * (1 << 20)}
    CODECS["text"].decode(at_most)
    CODECS["json"].decode({"text": f"[{','.join(['0'] * 50_000)}]"})

    with pytest.raises(InvalidMessage, match="1,048,577 bytes, at most 1,048,576"):
        CODECS["text"].decode({"text": "x" * (1 << 20) + "x"})
    with pytest.raises(InvalidMessage, match="too many items"):
        CODECS["json"].decode({"text": f"[{','.join(['0'] * 50_001)}]"})
