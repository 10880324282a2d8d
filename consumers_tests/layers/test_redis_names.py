"""Names in the broker: what they are, and that they never meet."""

import pytest

from consumers.layers.redis.names import SLOTS, Names, slot_of
from consumers_tests.valkey import Cluster

NAMES = Names("shop", 3)


def test_keys_and_channels_carry_the_group_as_hash_tag() -> None:
    """All of a group are in one slot of a cluster; the database is in the channel."""
    assert NAMES.key("chat.lobby", "log") == "shop:{chat.lobby}:log"
    assert NAMES.channel("chat.lobby") == b"shop:3:{chat.lobby}"
    assert NAMES.pattern("log") == "shop:{*}:log"
    assert NAMES.channels() == "shop:3:{*}"


@pytest.mark.parametrize("group", ["a", "a}b", "}", "{}", "{", "%7D", "a{b}c", "~!:*"])
def test_any_name_of_a_group_is_found_again(group: str) -> None:
    """Also one with braces, which end a hash tag."""
    assert NAMES.group(NAMES.channel(group)) == group
    assert NAMES.group(NAMES.key(group, "meta").encode()) == group


def test_different_groups_have_different_names() -> None:
    """What is escaped is not what another group is called."""
    groups = ["}", "%7D", "%", "%25", "%257D", "a", "a}", "a%7D"]

    assert len({NAMES.key(group, "log") for group in groups}) == len(groups)


def test_names_of_others_are_not_ours() -> None:
    """Another prefix or another database is none of our groups."""
    assert NAMES.group(b"shop2:{a}:log") is None
    assert NAMES.group(b"shop:4:{a}") is None


def test_slots_are_those_of_the_broker() -> None:
    """A cluster puts keys and channels where we look for them."""
    with Cluster(1) as cluster:
        for group in ("a", "chat.lobby", "a}b", "}", "x" * 255):
            for name in (NAMES.key(group, "log"), NAMES.channel(group)):
                slot = cluster.nodes[0].command("CLUSTER", "KEYSLOT", name)
                assert slot == slot_of(group) < SLOTS
