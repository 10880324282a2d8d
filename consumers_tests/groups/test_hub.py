"""The hub: who is a member, and what reaches whom."""

import logging
from collections.abc import Generator
from typing import Any

import pytest

from consumers.codecs import CODECS
from consumers.errors import MessageNotEncodable
from consumers.groups import Kind, Publication
from consumers.groups.hub import Hub
from consumers.queues.outbox import Suspended
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


class _Pause:
    """What a server's send awaits while its buffers are full."""

    def __await__(self) -> Generator[str, None, None]:
        yield "full"


class Sender(Recorder):
    """A member whose server sends at once, or has to wait, or has lost its peer."""

    def __init__(self, *, waits: bool = False, gone: bool = False) -> None:
        super().__init__()
        self.waits, self.gone = waits, gone
        self.rests: list[Suspended] = []

    @property
    def straight(self) -> Any:
        return self.codec, self._send

    async def _send(self, event: Any) -> None:
        if self.waits:
            await _Pause()
        if self.gone:
            raise OSError("the peer is gone")
        self.events.append(event)

    def put_off(self, rest: object, publication: Publication) -> None:
        assert isinstance(rest, Suspended)
        self.rests.append(rest)

    def finish(self) -> None:
        """Go on with what had to wait, as a writer does."""
        for waited in self.rests.pop().__await__():
            assert waited == "full"


def test_a_sending_that_has_to_wait_holds_nobody_up() -> None:
    """The others get it meanwhile, and once; what is left is that member's alone."""
    hub = Hub()
    members = [Sender(waits=number in (1, 2)) for number in range(4)]
    for member in members:
        hub.add("lobby", member)

    publish(hub, "a")

    assert [member.texts for member in members] == [['"a"'], [], [], ['"a"']]
    for member in (members[2], members[1]):
        member.finish()
    assert [member.texts for member in members] == [['"a"']] * 4


class Framed(Recorder):
    """A member whose server takes ready frames, while it has room."""

    def __init__(self, *, has_room: bool = True) -> None:
        super().__init__()
        self.has_room = has_room
        self.frames: list[bytes] = []

    @property
    def framed(self) -> Any:
        return self.codec, self

    def post(self, frame: bytes) -> bool:
        if self.has_room:
            self.frames.append(frame)
        return self.has_room

    def deliver(self, publication: Publication) -> None:
        publication.frames.setdefault(self.codec, b"the frame")
        super().deliver(publication)


def test_a_ready_frame_goes_to_the_server_at_once() -> None:
    """The first member of a kind has it made; who has no room gets it otherwise."""
    hub = Hub()
    members = [Framed(), Framed(), Framed(has_room=False), Recorder(), Framed()]
    for member in members:
        hub.add("lobby", member)

    publish(hub, "a", exclude=members[4])

    first, second, full, other, excluded = members
    assert isinstance(second, Framed)
    assert second.frames == [b"the frame"]
    assert second.texts == []
    assert first.texts == full.texts == other.texts == ['"a"']
    assert excluded.texts == []


def test_what_is_no_plain_message_is_never_a_frame() -> None:
    """Members judge for themselves what they get of it."""
    hub = Hub()
    members = [Framed(), Framed()]
    for member in members:
        hub.add("lobby", member)

    hub.deliver(Publication("lobby", "b", kind=Kind.PRESENCE))

    assert [member.frames for member in members] == [[], []]
    assert [member.texts for member in members] == [['"b"']] * 2


def test_a_peer_that_is_gone_is_no_publishers_trouble() -> None:
    """The others get it; where its sending had to wait, its writer is told."""
    hub = Hub()
    members = [Sender(gone=True), Sender(waits=True, gone=True), Sender()]
    for member in members:
        hub.add("lobby", member)

    publish(hub, "a")

    assert members[2].texts == ['"a"']
    with pytest.raises(OSError, match="the peer is gone"):
        members[1].finish()
    assert members[2].texts == ['"a"']


def test_a_sending_that_had_to_wait_ends_with_its_own_member() -> None:
    """Where the way of a publication broke off, it does not go on from there later."""
    hub = Hub()
    slow, last = Sender(waits=True), Sender()
    broken = Sender()
    for member in (slow, broken, last):
        hub.add("lobby", member)
    broken._send = None  # type: ignore[method-assign, assignment]

    with pytest.raises(TypeError):
        publish(hub, "a")
    slow.finish()

    assert slow.texts == ['"a"']
    assert last.texts == []
