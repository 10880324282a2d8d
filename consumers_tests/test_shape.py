"""Bounds: messages that would make too much are told before they are decoded."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers import bounds
from consumers.bounds import MAX_CONTAINERS, json_fits, msgpack_fits
from consumers.codecs import CODECS
from consumers.errors import InvalidMessage

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


def containers(value: object) -> int:
    """Return how many arrays and objects a value has."""
    match value:
        case list():
            return 1 + sum(map(containers, value))
        case dict():
            return 1 + sum(map(containers, value.values()))
    return 0


def test_json_is_bounded_in_number() -> None:
    """So many arrays and objects fit, and one more does not."""
    most = ",".join(["[]"] * (MAX_CONTAINERS - 1))

    assert json_fits(f"[{most}]")
    assert not json_fits(f"[{most},{{}}]")
    assert json_fits(f'["{"[" * 100_000}", "\\"{"{" * 100_000}", "\\\\"]')


def test_msgpack_is_bounded_in_number() -> None:
    """The same in MessagePack, whatever bytes its texts are made of."""
    most = [[]] * (MAX_CONTAINERS - 1)  # type: ignore[var-annotated]

    assert msgpack_fits(msgspec.msgpack.encode(most))
    assert not msgpack_fits(msgspec.msgpack.encode([*most, {}]))
    assert msgpack_fits(msgspec.msgpack.encode([b"\x90" * 100_000, "й" * 100_000]))


@settings(max_examples=50, deadline=None)
@given(VALUES)
def test_arrays_and_objects_are_counted(value: object) -> None:
    """What is counted in MessagePack is what there is."""
    assert bounds._containers(msgspec.msgpack.encode(value)) == containers(value)


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet='[]{}"\\,:a'))
def test_any_text_can_be_looked_at(text: str) -> None:
    """What is no JSON at all is the decoder's to complain about."""
    json_fits(text * (1 + MAX_CONTAINERS // max(1, len(text))))


@given(st.binary(), st.integers(1, 3))
def test_any_bytes_can_be_looked_at(data: bytes, times: int) -> None:
    """The same for bytes that are no MessagePack."""
    assert bounds._containers(data * times) >= 0


@pytest.mark.parametrize(
    ("codec", "event"),
    [
        ("json", {"text": f"[{','.join(['{}'] * MAX_CONTAINERS)}]"}),
        ("msgpack", {"bytes": msgspec.msgpack.encode([{}] * MAX_CONTAINERS)}),
    ],
)
def test_a_message_beyond_them_is_too_big(codec: str, event: dict[str, object]) -> None:
    """The connection of who sends it closes with 1009."""
    with pytest.raises(InvalidMessage, match="too many") as caught:
        CODECS[codec].decode(event)

    assert caught.value.close_code == 1009
