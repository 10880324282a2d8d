"""Shape: messages that would make too much are told before they are decoded."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.shape import Shape, json_misfit, msgpack_misfit, size_of_text

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(max_size=300),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


ITEMS, DEPTH = "the message has too many items", "the message is nested too deeply"


def counted(value: Any) -> tuple[int, int]:
    """Return how many items a value has, and how deep it is."""
    inner = value.values() if isinstance(value, dict) else value
    if not isinstance(value, dict | list):
        return 0, 0
    below = [counted(each) for each in inner]
    items = len(value) + sum(items for items, _ in below)
    return items, 1 + max((depth for _, depth in below), default=0)


def misfits(value: Any, shape: Shape) -> tuple[str | None, str | None]:
    """Return what is too much about a value, as JSON and as MessagePack."""
    text = msgspec.json.encode(value).decode()
    return json_misfit(text, shape), msgpack_misfit(
        msgspec.msgpack.encode(value), shape
    )


@pytest.mark.parametrize(
    ("value", "items", "depth"),
    [
        ([], 0, 1),
        ([1, 2, 3], 3, 1),
        ({"a": 1, "b": [1, {}]}, 4, 3),
        ([[[["deep"]]]], 4, 4),
        (["[[{{,,", '\\"[,', "\\\\", {"}],": "é[,"}], 5, 2),
        ({str(i): [i] * 20 for i in range(20)}, 420, 2),
    ],
)
def test_each_bound_at_its_edge(value: Any, items: int, depth: int) -> None:
    """One less is too much, as much and more is none; and without bounds all fits."""
    assert counted(value) == (items, depth)
    assert misfits(value, Shape(None, None, None)) == (None, None)
    for more in (0, 1):
        assert misfits(value, Shape(None, items + more, depth + more)) == (None, None)
    if items:
        assert misfits(value, Shape(None, items - 1, None)) == (ITEMS, ITEMS)
    assert misfits(value, Shape(None, None, depth - 1)) == (DEPTH, DEPTH)


def test_large_messages_are_counted_as_well() -> None:
    """The default of 50,000 items, and bytes that look like arrays in texts."""
    shape = Shape(None, 50_000, 3)

    assert misfits([0] * 50_000, shape) == (None, None)
    assert misfits([0] * 50_001, shape) == (ITEMS, ITEMS)
    assert misfits([[]] * 50_001, shape) == (ITEMS, ITEMS)
    assert misfits(["[,{" * 50_000, "й" * 100_000], shape) == (None, None)
    assert msgpack_misfit(msgspec.msgpack.encode([b"\x91" * 100_000]), shape) is None


def test_an_endless_nesting_takes_no_time() -> None:
    """What never ends is the decoder's to complain about; what ends is too deep."""
    shape = Shape(None, None, 100)

    assert json_misfit("[" * 500_000, shape) is None
    assert json_misfit("[" * 400_000 + "]" * 400_000, shape) == DEPTH
    assert msgpack_misfit(b"\x91" * 500_000, shape) == DEPTH


@settings(max_examples=50, deadline=None)
@given(VALUES)
def test_what_is_counted_is_what_there_is(value: Any) -> None:
    """Of any MessagePack: as many items as it has fit, and no fewer."""
    items, depth = counted(value)
    data = msgspec.msgpack.encode(value)

    assert msgpack_misfit(data, Shape(None, items, depth)) is None
    if items:
        assert msgpack_misfit(data, Shape(None, items - 1, depth)) == ITEMS
    if depth:
        assert msgpack_misfit(data, Shape(None, items, depth - 1)) == DEPTH


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet='[]{}"\\,:a '))
def test_any_text_can_be_looked_at(text: str) -> None:
    """What is no JSON at all is the decoder's to complain about."""
    json_misfit(text * 50, Shape(None, 3, 2))


@settings(max_examples=50, deadline=None)
@given(st.binary(), st.integers(1, 3))
def test_any_bytes_can_be_looked_at(data: bytes, times: int) -> None:
    """The same for bytes that are no MessagePack."""
    msgpack_misfit(data * times, Shape(None, 3, 2))


@pytest.mark.parametrize(
    "text", ["", "a", "é", "\u20ac", "\U0001f600", "\ud800", "a\u20ac" * 5]
)
def test_the_bytes_of_a_text_are_those_of_its_utf_8(text: str) -> None:
    """Half a surrogate pair counts as the three bytes that it would take."""
    assert size_of_text(text) == len(text.encode(errors="surrogatepass"))


def test_short_messages_are_not_looked_at() -> None:
    """A message can't be beyond a bound that has more than its length."""
    assert Shape(1000, None, None).harmless == 250
    assert Shape(1000, 20, 30).harmless == 20
    assert Shape(None, None, None).harmless > 1 << 60
