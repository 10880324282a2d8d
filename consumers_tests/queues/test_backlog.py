"""What waits for a connection: what each policy does when there is no more room."""

from collections.abc import Hashable, Mapping
from typing import Any

import pytest

from consumers.codecs import CODECS, Event
from consumers.groups import Group, Publication
from consumers.groups.batch import Batch
from consumers.limits import Limits
from consumers.queues.backlog import Backlog, Entry, Ledger
from consumers.queues.policies import (
    CloseWhenFull,
    Coalesce,
    DropNewest,
    DropOldest,
    Loss,
    Policy,
)

KEYED = Coalesce("key")
BATCHES = Coalesce("key", every=0.1, batch=True)
CODEC = CODECS["json"]


class Waiting:
    """A backlog, with what it says of losses."""

    def __init__(self, **limits: Any) -> None:
        self.limits = Limits(**limits)
        self.ledger = Ledger()
        self.losses: dict[Loss, int] = {}
        self.backlog: Backlog[Entry] = Backlog(self.ledger, self.encode, self.lost)

    def encode(self, publication: Publication) -> tuple[Event, int]:
        return publication.encoded(CODEC)

    def lost(self, loss: Loss, count: int) -> None:
        self.losses[loss] = self.losses.get(loss, 0) + count

    def add(self, policy: Policy, *messages: Any, group: str = "group") -> list[bool]:
        """Publish; tell of each whether the connection can go on."""
        declared = Group(group, outbox=policy)
        return [
            self.put(Publication(group, message, declared=declared))
            for message in messages
        ]

    def batch(self, **items: Any) -> bool:
        """Publish a batch of ``{key: value}``."""
        declared = Group("group", outbox=BATCHES)
        return self.put(
            Batch(
                {
                    key: Publication(
                        "group", {"key": key, "value": value}, declared=declared
                    )
                    for key, value in items.items()
                }
            )
        )

    def put(self, publication: Publication) -> bool:
        event, size = self.encode(publication)
        return self.backlog.add(Entry(event, size, publication), self.limits)

    def left(self) -> list[Any]:
        """Take all out, and return the messages."""
        return [publication.message for publication in self.backlog.take_all()]


def keyed(*pairs: str) -> list[dict[str, str]]:
    return [{"key": pair[0], "value": pair[1:]} for pair in pairs]


# -- closing ---------------------------------------------------------------------------


def test_a_full_one_takes_no_more() -> None:
    """What closes when full loses nothing that waits, and says that it is full."""
    waiting = Waiting(outbox_messages=3)

    assert waiting.add(CloseWhenFull(), *range(5)) == [True, True, True, False, False]
    assert waiting.losses == {}
    assert waiting.left() == [0, 1, 2]


@pytest.mark.parametrize("policy", [CloseWhenFull, DropOldest, DropNewest, Coalesce])
def test_one_of_any_size_may_wait_alone(policy: Any) -> None:
    """Where a server is handed every publication by a task, none can be too large."""
    waiting = Waiting(outbox_bytes=5)

    assert waiting.add(policy(bytes=3), "much too long") == [True]
    assert waiting.left() == ["much too long"]


def test_a_policys_own_bounds_count_for_its_group() -> None:
    """They count what waits of one group, beside the connection's limits."""
    waiting = Waiting(outbox_messages=5)

    assert waiting.add(CloseWhenFull(messages=2), 1, 2, 3) == [True, True, False]
    assert waiting.add(CloseWhenFull(bytes=2), 1, 2, 3, group="b") == [
        True,
        True,
        False,
    ]
    assert waiting.add(CloseWhenFull(), 1, 2, group="c") == [True, False]


# -- dropping --------------------------------------------------------------------------


def test_the_oldest_of_its_group_is_dropped() -> None:
    """What waits of other groups stays, and the order is kept."""
    waiting = Waiting(outbox_messages=4)
    waiting.add(CloseWhenFull(), "other", group="other")

    assert waiting.add(DropOldest(), *range(6)) == [True] * 6
    assert waiting.losses == {"dropped_oldest": 3}
    assert waiting.left() == ["other", 3, 4, 5]


def test_the_oldest_is_dropped_by_its_policys_own_bounds() -> None:
    """They may be narrower than the connection's limits."""
    waiting = Waiting()

    waiting.add(DropOldest(messages=2), *range(5))
    waiting.add(DropOldest(bytes=10), "1234", "12345678", "1", group="b")

    assert waiting.losses == {"dropped_oldest": 5}
    assert waiting.left() == [3, 4, "1"]


def test_none_is_dropped_in_vain() -> None:
    """Where others take the room, the new one is dropped and not the older ones."""
    waiting = Waiting(outbox_bytes=20)
    waiting.add(CloseWhenFull(), "x" * 10, group="other")
    waiting.add(DropOldest(), "a")

    assert waiting.add(DropOldest(), "much too long") == [True]
    assert waiting.losses == {"dropped_newest": 1}
    assert waiting.left() == ["x" * 10, "a"]


def test_the_newest_is_dropped() -> None:
    """What waits stays, whatever comes."""
    waiting = Waiting(outbox_messages=3)

    assert waiting.add(DropNewest(), *range(5)) == [True] * 5
    assert waiting.losses == {"dropped_newest": 2}
    assert waiting.left() == [0, 1, 2]


# -- coalescing ------------------------------------------------------------------------


def test_a_newer_one_takes_the_place_at_the_end() -> None:
    """The latest per key is left, in the order of the last change."""
    waiting = Waiting(outbox_messages=2)

    assert waiting.add(KEYED, *keyed("a1", "b1", "a2", "b2", "a3")) == [True] * 5
    assert waiting.losses == {"superseded": 3}
    assert waiting.left() == keyed("b2", "a3")


def test_too_many_keys_are_too_many() -> None:
    """Of different keys nothing is dropped: it is full."""
    waiting = Waiting(outbox_messages=2)

    assert waiting.add(KEYED, *keyed("a1", "b1", "c1")) == [True, True, False]


def test_messages_without_a_key_keep_their_place() -> None:
    """They replace nothing, and nothing replaces them."""
    waiting = Waiting()

    waiting.add(KEYED, *keyed("a1"), {"clear": 1}, *keyed("a2"), {"clear": 2})

    assert waiting.left() == [{"clear": 1}, *keyed("a2"), {"clear": 2}]


def test_keys_are_of_one_group() -> None:
    """The same key in another group is another key."""
    waiting = Waiting()

    waiting.add(KEYED, *keyed("a1"))
    waiting.add(KEYED, *keyed("a2"), group="other")

    assert waiting.left() == keyed("a1", "a2")


def test_batches_that_follow_each_other_become_one() -> None:
    """With nothing in between, what waits is merged per key."""
    waiting = Waiting()

    waiting.batch(a=1, b=1)
    waiting.batch(b=2, c=2)
    waiting.batch(d=3)

    assert [
        [(item["key"], item["value"]) for item in batch] for batch in waiting.left()
    ] == [[("a", 1), ("b", 2), ("c", 2), ("d", 3)]]
    assert waiting.losses == {"superseded": 1}


def test_batches_do_not_overtake() -> None:
    """What came between two batches stays between them; each key's last one is left."""
    waiting = Waiting()

    waiting.batch(a=1, b=1)
    waiting.add(CloseWhenFull(), "between", group="other")
    waiting.batch(b=2)
    waiting.add(CloseWhenFull(), "after", group="other")
    waiting.batch(b=3, c=3)

    assert [str(each) for each in waiting.left()] == [
        "[{'key': 'a', 'value': 1}]",
        "between",
        "after",
        "[{'key': 'b', 'value': 3}, {'key': 'c', 'value': 3}]",
    ]


def test_a_batch_counts_as_many_as_it_holds() -> None:
    """Its items count against the bounds, so that different keys are bounded."""
    waiting = Waiting(outbox_messages=4)

    assert waiting.batch(a=1, b=1, c=1)
    assert waiting.batch(b=2, d=2)
    assert not waiting.batch(e=3)


# -- the accounts ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "policy", [CloseWhenFull(), DropOldest(messages=3), DropNewest(), KEYED]
)
def test_the_ledger_comes_back_to_zero(policy: Policy) -> None:
    """However things were replaced and dropped, when all is out nothing is counted."""
    waiting = Waiting(outbox_messages=6, outbox_bytes=200)
    waiting.add(policy, *keyed("a1", "b1", "a2", "c1", "d" * 60, "a3", "b2"))
    waiting.batch(a=1, b=1, c=1)
    waiting.add(CloseWhenFull(), 1, group="other")
    waiting.batch(b=2)

    assert waiting.ledger.messages > 0
    waiting.left()
    assert (waiting.ledger.messages, waiting.ledger.bytes) == (0, 0)
    assert len(waiting.backlog) == 0


def test_several_backlogs_share_a_connections_room() -> None:
    """What is held back and what waits in the outbox are bounded together."""
    waiting, held = Waiting(outbox_messages=3), Waiting(outbox_messages=3)
    held.ledger = waiting.ledger
    held.backlog = Backlog(waiting.ledger, held.encode, held.lost)

    assert waiting.add(CloseWhenFull(), 1, 2) == [True, True]
    assert held.add(CloseWhenFull(), 3, 4) == [True, False]
    waiting.left()
    assert held.add(CloseWhenFull(), 4, 5) == [True, True]


def test_what_is_given_up_is_counted() -> None:
    """Each publication once, the items of a batch too."""
    waiting = Waiting()
    waiting.add(DropOldest(), 1, 2)
    waiting.batch(a=1, b=1)
    waiting.backlog.give_up()
    waiting.backlog.give_up()

    assert waiting.losses == {"given_up": 4}
    assert waiting.ledger.messages == 0


def test_a_ledger_tells_the_first_of_each_kind() -> None:
    """So that the log says it once; what a newer one replaced is not dropped."""
    ledger = Ledger()

    assert ledger.note("dropped_oldest", 2)
    assert not ledger.note("dropped_oldest", 1)
    assert ledger.note("superseded", 7)
    assert ledger.note("given_up", 1)
    assert ledger.dropped == 4


def test_an_entry_can_be_dropped_from_a_long_backlog_quickly() -> None:
    """A stalled client's backlog stays as long as it may be, however much comes."""
    waiting = Waiting(outbox_messages=1000)
    waiting.add(DropOldest(), *range(20_000))

    assert len(waiting.backlog) == 1000
    assert waiting.left() == [*range(19_000, 20_000)]


def test_without_the_bound_it_grows() -> None:
    """The control: what is bounded above grows where the limits allow it."""
    waiting = Waiting(outbox_messages=10**9, outbox_bytes=10**9)
    waiting.add(DropOldest(), *range(20_000))

    assert len(waiting.backlog) == 20_000
    items: Mapping[Hashable, Any] | None = next(waiting.backlog.take_all()).items
    assert items is None
