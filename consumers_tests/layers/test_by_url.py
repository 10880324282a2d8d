"""A URL names a layer, or is refused with what it should have been."""

import sys
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers import ConfigurationError
from consumers.layers import MemoryLayer, layers_by_url
from consumers.layers.redis import RedisLayer


def test_memory_is_shared_by_the_event_loops_of_a_process() -> None:
    """Each has a layer of its own, on one store."""
    make = layers_by_url("memory://")
    one, two = make(), make()

    assert isinstance(one, MemoryLayer)
    assert isinstance(two, MemoryLayer)
    assert one is not two
    assert one._store is two._store


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:6379", "rediss://localhost", "unix:///run/valkey.sock"]
)
def test_a_broker_is_named_by_three_schemes(url: str) -> None:
    """Nothing connects before the lifespan runs."""
    assert isinstance(layers_by_url(url)(), RedisLayer)


@pytest.mark.parametrize("url", ["", "memory", "memory://x", "nats://h", "redis:h", 7])
def test_other_urls_are_refused(url: object) -> None:
    """The error says which there are."""
    with pytest.raises(ConfigurationError, match="a layer's URL must be"):
        layers_by_url(url)  # type: ignore[arg-type]


@given(st.text())
def test_whatever_a_setting_holds_it_is_a_layer_or_a_mistake(rest: str) -> None:
    """No other exception comes of a URL."""
    with suppress(ConfigurationError):
        assert isinstance(layers_by_url(f"redis://{rest}")(), RedisLayer)


def test_a_missing_client_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to install, when the groups are made."""
    for name in list(sys.modules):
        if name.partition(".")[0] == "coredis" or name.startswith(
            "consumers.layers.redis"
        ):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "coredis", None)

    with pytest.raises(ConfigurationError, match=r"anyio-consumers\[redis\]"):
        layers_by_url("redis://127.0.0.1:6379")
