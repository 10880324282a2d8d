"""The hub: who is a member, and what reaches whom."""

import logging
from typing import Any

import pytest

from consumers.codecs import CODECS
from consumers.errors import MessageNotEncodable
from consumers.groups import Publication
from consumers.groups.hub import Hub
from consumers_tests.groups.members import Recorder


def publish(hub: Hub, message: Any, exclude: object = None) -> None:
    hub.deliver(Publication("lobby", message, exclude))


def test_members_are_kept_in_the_order_of_joining() -> None:
    """Joining again changes neither the order nor the membership."""
    hub = Hub()
    one, two = Recorder(), Recorder()
    first = hub.add("lobby", one)
    hub.add("lobby", two)

    assert hub.add("lobby", one) is first
    assert list(hub.get("lobby")) == [one, two]
    assert list(hub.names()) == ["lobby"]


def test_a_group_without_members_is_not_there() -> None:
    """The last one to leave takes the group along; leaving twice is no trouble."""
    hub = Hub()
    one, two = Recorder(), Recorder()
    hub.add("lobby", one)
    hub.add("lobby", two)

    assert not hub.remove("lobby", one)
    assert not hub.remove("lobby", one)
    assert hub.remove("lobby", two)
    assert not hub.remove("lobby", two)
    assert hub.get("lobby") == {}
    assert list(hub.names()) == []
    publish(hub, "nobody hears")


def test_each_member_gets_the_same_event() -> None:
    """All get it, but for the excluded one, and share one encoding."""
    hub = Hub()
    members = [Recorder() for _ in range(3)]
    for member in members:
        hub.add("lobby", member)
    hub.add("other", other := Recorder())

    publish(hub, "a")
    publish(hub, "b", exclude=members[1])

    assert [member.texts for member in members] == [
        ['"a"', '"b"'],
        ['"a"'],
        ['"a"', '"b"'],
    ]
    assert members[0].events[0] is members[2].events[0]
    assert other.texts == []


def test_what_one_member_cannot_send_reaches_the_others() -> None:
    """The publisher learns of it when all others have got the publication."""
    hub = Hub()
    members = [Recorder(), Recorder(CODECS["text"]), Recorder()]
    for member in members:
        hub.add("lobby", member)

    with pytest.raises(MessageNotEncodable, match="sends str"):
        publish(hub, 1)

    assert [member.texts for member in members] == [["1"], [], ["1"]]


def test_members_may_leave_while_they_are_delivered_to() -> None:
    """A delivery that ends memberships does not disturb the delivery to others."""
    hub = Hub()
    last = Recorder()

    class Leaving(Recorder):
        def deliver(self, publication: Publication) -> None:
            hub.remove("lobby", self)
            super().deliver(publication)

    leaving = [Leaving() for _ in range(3)]
    for member in (*leaving, last):
        hub.add("lobby", member)
    publish(hub, 1)
    publish(hub, 2)

    assert [member.texts for member in leaving] == [["1"]] * 3
    assert last.texts == ["1", "2"]


def test_held_publications_are_delivered_in_order() -> None:
    """What is held waits for the release, and what comes after it does not."""
    hub = Hub()
    one, two = Recorder(), Recorder()
    membership = hub.add("lobby", one)
    hub.add("lobby", two)
    membership.held = one.backlog()

    publish(hub, 1)
    publish(hub, 2)
    assert one.texts == []
    assert two.texts == ["1", "2"]
    hub.release(membership, one)
    publish(hub, 3)

    assert one.texts == ["1", "2", "3"]
    hub.release(membership, one)
    assert one.texts == ["1", "2", "3"]


def test_a_held_publication_that_cannot_be_sent_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its publisher is gone; the rest of what was held is delivered."""
    hub = Hub()
    member = Recorder(CODECS["text"])
    membership = hub.add("lobby", member)
    membership.held = member.backlog()
    for message in ("a", 1, "b"):
        publish(hub, message)

    with caplog.at_level(logging.ERROR, "consumers"):
        hub.release(membership, member)

    assert member.texts == ["a", "b"]
    assert (
        "a publication to lobby is dropped: send_type 'text' sends str" in caplog.text
    )
