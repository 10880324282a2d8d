"""What no client should send, through real consumers: nothing of it is their fault."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from .fuzzing import WAYS, Target

EXAMPLES = os.environ.get("CONSUMERS_FUZZ_EXAMPLES")
"""How many, of each way; without it a few, and the same each time."""

LARGE = 1024 * 1024
HOSTILE_TEXT = [
    "",
    " ",
    "null",
    "NaN",
    "[NaN]",
    '{"type": Infinity}',
    "1e999",
    "9" * 4000,
    "-" + "9" * 400,
    "[" * LARGE,
    '{"a":' * (LARGE // 5),
    "[" * 990 + "]" * 990,
    '{"type":"order","item":"a","more":' + "[" * 980 + "]" * 980 + "}",
    '{"type":"ping","more":' + "[" * 5000 + "]" * 5000 + "}",
    "[" + "[]," * (LARGE // 3 - 1) + "[]]",
    "{" + ",".join(f'"{n}":0' for n in range(10_000)) + "}",
    '{"type":"count","to":1,"to":2,"type":"order"}',
    '{"type":"count","to":1,"id":1,"id":"a"}',
    '{"type":"count","to":18446744073709551616}',
    '{"type":"name","name":"\\ud800"}',
    '{"type":"name","name":"\ud800"}',
    '{"type":"name","name":"\\u0000"}',
    "\ufeff{}",
]
HOSTILE_BYTES = [
    b"",
    b"\xc1",
    b"\x91" * LARGE,
    b"\x81\xa1a" * (LARGE // 3),
    b"\x91" * 990 + b"\x90",
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xdb\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\xc9\xff\xff\xff\xff\x00",
    b"\xdd\x00\x0f\x00\x00" * (LARGE // 5),
    b"\xdd" + LARGE.to_bytes(4) + b"\x90" * LARGE,
    b"\xa1\xff",
    b"\x82\xa4type\xa5count\xa2to\xcf" + b"\xff" * 8,
    b"\x81\xc0\xc0",
    b"\x81\x90\x90",
    b"\x81\x80\x80",
    b"\xd6\xff\xff\xff\xff\xff",
    b"\xc7\x0c\xff" + b"\xff" * 12,
    b"\x83\xa4type\xa5count\xa2to\x01\xa2to\x02",
]

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["type", "order", "request", "1.abc", "shop.tea", "message"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["type", "id", "message", "key", "group", "to", "cancel"])
            | st.text(max_size=4),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


def mutated(valid: Any, unit: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return texts or bytes that differ from what is valid in a few places."""

    @st.composite
    def mutate(draw: Callable[[Any], Any]) -> Any:
        data = draw(st.sampled_from(valid))
        for _ in range(draw(st.integers(1, 4))):
            start = draw(st.integers(0, len(data)))
            end = min(len(data), start + draw(st.integers(0, 6)))
            between = draw(st.just(data[start:end] * 2) | unit)
            data = data[:start] + between + data[end:]
        return data

    return mutate()


def binary(value: Any) -> bytes:
    """Return a value as MessagePack, or what comes nearest."""
    try:
        return msgspec.msgpack.encode(value)
    except (OverflowError, ValueError):
        return repr(value).encode("utf-8", "surrogatepass")


def messages(target: Target) -> st.SearchStrategy[str | bytes]:
    """Return what may come: near to right, or far from it."""
    texts, data = st.text(), st.binary()
    if target.codec == "json":
        valid = [json.dumps(seed) for seed in target.seeds]
        punctuation = st.text('[]{}",:\\0eE+-. \ud800', max_size=4)
        return (
            mutated(valid, punctuation | st.text(max_size=4))
            | st.builds(json.dumps, values, ensure_ascii=st.booleans())
            | st.sampled_from(HOSTILE_TEXT)
            | texts
            | data
        )
    packed = [msgspec.msgpack.encode(seed) for seed in target.seeds]
    heads = st.sampled_from([bytes([head]) for head in range(0x80, 0x100)])
    return (
        mutated(packed, heads | st.binary(max_size=5))
        | st.builds(binary, values)
        | st.sampled_from(HOSTILE_BYTES)
        | data
        | texts
    )


@pytest.mark.parametrize("way", WAYS)
def test_whatever_comes(way: str) -> None:
    """It is answered by an error or a client's close code, and what follows works."""
    with start_blocking_portal() as portal:
        target = Target(way)
        with portal.wrap_async_context_manager(target):

            @settings(
                max_examples=int(EXAMPLES or 60),
                deadline=None,
                derandomize=EXAMPLES is None,
                database=None,
                phases=[Phase.generate, Phase.shrink],
                print_blob=False,
                suppress_health_check=list(HealthCheck),
            )
            @given(messages(target))
            def attack(data: str | bytes) -> None:
                portal.call(target.hit, data)

            attack()

    assert target.closed > 0
    assert target.answered > 0 or way.startswith("any")


@pytest.mark.parametrize("way", WAYS)
async def test_what_is_hostile(way: str) -> None:
    """Each message that was thought of is survived, too."""
    async with Target(way) as target:
        for text in HOSTILE_TEXT:
            await target.hit(text)
        for data in HOSTILE_BYTES:
            await target.hit(data)

        assert target.closed > len(HOSTILE_BYTES) // 2
