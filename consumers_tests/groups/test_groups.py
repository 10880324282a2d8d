"""Groups: publishing and asking, from inside, from outside and from another loop."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from anyio import fail_after, to_thread
from hypothesis import given
from hypothesis import strategies as st

from consumers import Identity
from consumers.codecs import CODECS
from consumers.errors import ConfigurationError, MessageNotEncodable
from consumers.groups import Group, Groups, Present, user_group
from consumers_tests.groups.members import Recorder, join, leave

LOBBY = Group("lobby", presence=True)
ROOM = Group("chat.{channel}", presence=True)


# -- without a connection --------------------------------------------------------------


async def test_publishing_from_outside_needs_nothing() -> None:
    """Without members, a lifespan or an application, a publication goes nowhere."""
    groups = Groups()

    await groups.publish("lobby", "hello")
    await groups.publish_to_user("42", "hello")

    assert await groups.count("lobby") == 0
    assert await groups.presence(LOBBY) == []
    assert await groups.disconnect(user="42") == 0
    assert groups.loops == set()


async def test_members_get_what_is_published_to_their_group() -> None:
    """Each member of a group gets it in order, and nobody else does."""
    groups = Groups()
    one, two, other = Recorder(), Recorder(), Recorder()
    await join(groups, "lobby", one)
    await join(groups, LOBBY, two)
    await join(groups, ROOM("lobby"), other)

    await groups.publish("lobby", 1)
    await groups.publish(LOBBY, 2, exclude=one)
    await groups.publish(ROOM("lobby"), 3)

    assert (one.texts, two.texts, other.texts) == (["1"], ["1", "2"], ["3"])
    assert one.events[0] is two.events[0]


async def test_the_excluded_member_need_not_be_one() -> None:
    """Excluding who is no member changes nothing."""
    groups = Groups()
    one = Recorder()
    await join(groups, "lobby", one)
    await groups.publish("lobby", 1, exclude=Recorder())

    assert one.texts == ["1"]


async def test_who_left_gets_nothing() -> None:
    """A membership ends once, twice without trouble."""
    groups = Groups()
    one, two = Recorder(), Recorder()
    for member in (one, two):
        await join(groups, "a", member)
        await join(groups, "b", member)

    leave(groups, "a", one)
    leave(groups, "a", one)
    groups.leave(["a", "b"], two)
    groups.leave(["a", "b"], two)
    await groups.publish("a", 1)
    await groups.publish("b", 2)

    assert (one.texts, two.texts) == (["2"], [])
    assert (await groups.count("a"), await groups.count("b")) == (0, 1)


async def test_a_declared_group_refuses_other_types() -> None:
    """The publisher is told before anybody gets anything."""
    groups = Groups()
    member = Recorder()
    numbers = Group("numbers", sends=int)
    await join(groups, numbers, member)

    with pytest.raises(TypeError, match="group 'numbers' sends int, got str"):
        await groups.publish(numbers, "one")

    assert member.texts == []


async def test_what_one_member_cannot_send_the_others_get() -> None:
    """The publisher learns of it when the others have it."""
    groups = Groups()
    json, text = Recorder(), Recorder(CODECS["text"])
    for member in (text, json):
        await join(groups, "lobby", member)

    with pytest.raises(MessageNotEncodable):
        await groups.publish("lobby", 1)

    assert json.texts == ["1"]


async def test_a_publisher_lets_others_run() -> None:
    """A loop that publishes passes a checkpoint at every 64th delivery."""
    groups = Groups()
    member = Recorder()
    await join(groups, "lobby", member)

    async def publish_on() -> None:
        for _ in range(1000):
            await groups.publish("lobby", 1)

    async with anyio.create_task_group() as group:
        group.start_soon(publish_on)
        await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()

    assert len(member.texts) <= 128


# -- presence --------------------------------------------------------------------------


async def test_presence_counts_a_user_once() -> None:
    """Each user is there once with all connections, nobodies by their connection."""
    groups = Groups()
    ada, grace = Identity("ada"), Identity("grace")
    members = [Recorder(user=user) for user in (ada, None, grace, ada)]
    for number, member in enumerate(members):
        await join(groups, LOBBY, member, presence=number)

    ids = [member.id for member in members]
    assert await groups.presence(LOBBY) == [
        Present("ada", (ids[0], ids[3]), 3),
        Present(ids[1], (ids[1],), 1),
        Present("grace", (ids[2],), 2),
    ]
    assert await groups.count(LOBBY) == 4


async def test_presence_is_declared() -> None:
    """Of a group without presence nobody is told who is in it."""
    with pytest.raises(ConfigurationError, match="must be declared with presence=True"):
        await Groups().presence(Group("secret"))
    with pytest.raises(ConfigurationError, match="must be declared with presence=True"):
        await Groups().presence("lobby")


# -- users -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "reason", "error"),
    [(1005, "", "a close code must be"), (1008, "x" * 124, "a close reason must be")],
)
async def test_a_disconnect_is_checked(code: int, reason: str, error: str) -> None:
    """A code or reason that can't be sent is the caller's fault."""
    with pytest.raises(ValueError, match=error):
        await Groups().disconnect(user="42", code=code, reason=reason)


@pytest.mark.parametrize(
    ("whom", "got"), [({}, "neither"), ({"user": "42", "session": "s"}, "both")]
)
async def test_a_disconnect_is_of_a_user_or_a_session(
    whom: dict[str, str], got: str
) -> None:
    """Of one of them, lest all be meant by mistake."""
    with pytest.raises(TypeError, match=f"a user or a session, got {got}"):
        await Groups().disconnect(**whom)  # type: ignore[arg-type]


# -- declarations ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["", "memory", "memory:/", "memory://x", "x://y", "//", "redis:/h"]
)
def test_an_unknown_layer_is_told_at_once(url: str) -> None:
    """A URL of a layer that is not there is refused when the groups are made."""
    with pytest.raises(ConfigurationError) as caught:
        Groups(url)

    assert str(caught.value).startswith(
        "a layer's URL must begin with 'memory://', 'redis://', 'rediss://' or "
        f"'unix://', got {url!r}; "
    )


@given(st.text())
def test_any_url_is_taken_or_refused(url: str) -> None:
    """Whatever a setting holds, it is a layer or a mistake in the configuration."""
    with suppress(ConfigurationError):
        Groups(url)


def test_each_pattern_is_declared_once() -> None:
    """Two declarations of one pattern can't both hold."""
    assert Groups(declared=[LOBBY, ROOM]).declared == [LOBBY, ROOM]
    with pytest.raises(ConfigurationError, match="each pattern must be declared once"):
        Groups(declared=[LOBBY, Group("lobby")])


async def test_groups_objects_do_not_mix() -> None:
    """A member in one has nothing to do with the same name in another."""
    here, there = Groups(), Groups()
    member, other = Recorder(), Recorder()
    await join(here, "lobby", member)
    await join(there, "lobby", other)

    await here.publish("lobby", 1)

    assert (member.texts, other.texts) == (["1"], [])
    leave(there, "lobby", other)
    assert await here.count("lobby") == 1


# -- lifespans -------------------------------------------------------------------------


async def test_two_lifespans_in_a_row() -> None:
    """After the first one the groups are as new, and serve again."""
    groups = Groups()
    for _ in range(2):
        async with groups.lifespan():
            member = Recorder()
            assert await groups.count("lobby") == 0
            await join(groups, "lobby", member)
            await groups.publish("lobby", 1)
            assert member.texts == ["1"]
        assert groups.loops == set()
        assert await groups.count("lobby") == 0


async def test_a_lifespan_alone() -> None:
    """It needs no application, and may fail inside."""
    groups = Groups()
    with pytest.raises(KeyError):
        async with groups.lifespan(object()):
            raise KeyError

    async with groups.lifespan():
        assert await groups.count("lobby") == 0


# -- event loops -----------------------------------------------------------------------


async def elsewhere(function: Callable[[], Awaitable[Any]]) -> Any:
    """Run a coroutine function on another event loop, in a thread."""
    return await to_thread.run_sync(anyio.run, function)


async def test_another_event_loop_reaches_the_members() -> None:
    """Every call from another event loop does what it does here."""
    groups = Groups()
    member = Recorder(user=Identity("ada"))
    await join(groups, LOBBY, member)
    await join(groups, user_group("ada"), member)

    async def work() -> Any:
        await groups.publish(LOBBY, 1)
        await groups.publish_to_user("ada", 2)
        with pytest.raises(MessageNotEncodable):
            await groups.publish(LOBBY, object())
        return (
            await groups.count(LOBBY),
            await groups.presence(LOBBY),
            await groups.disconnect(user="ada", code=4000),
        )

    with fail_after(5):
        result = await elsewhere(work)

    assert member.texts == ["1", "2"]
    assert result == (1, [Present("ada", (member.id,), None)], 1)
    assert member.ends == [(4000, "")]


async def test_members_on_several_event_loops_are_one_group() -> None:
    """A publication reaches all of them from any, and they are counted together."""
    groups = Groups()
    here, there = Recorder(user=Identity("ada")), Recorder(user=Identity("ada"))
    await join(groups, LOBBY, here)
    seen: list[Any] = []

    async def work() -> None:
        await join(groups, LOBBY, there)
        await groups.publish(LOBBY, 1)
        seen.extend([await groups.count(LOBBY), *await groups.presence(LOBBY)])
        leave(groups, LOBBY, there)
        seen.append(len(groups.loops))

    with fail_after(5):
        await elsewhere(work)

    assert (here.texts, there.texts) == (["1"], ["1"])
    assert seen[0] == 2
    assert set(seen[1].connections) == {here.id, there.id}
    assert seen[2] == 1


@pytest.mark.parametrize("failing", ["here", "there"])
async def test_what_cannot_be_sent_on_one_loop_reaches_the_other(failing: str) -> None:
    """The publisher learns of it when members on every event loop have got theirs."""
    groups = Groups()
    here = Recorder(CODECS["text" if failing == "here" else "json"])
    there = Recorder(CODECS["text" if failing == "there" else "json"])
    await join(groups, "lobby", there)

    async def work() -> None:
        await join(groups, "lobby", here)
        with pytest.raises(MessageNotEncodable):
            await groups.publish("lobby", 1)
        leave(groups, "lobby", here)

    with fail_after(5):
        await elsewhere(work)

    assert (here.events, there.texts) == ([], ["1"]) or failing == "there"
    assert (here.texts, there.events) == (["1"], []) or failing == "here"


async def test_an_event_loop_that_has_ended_is_forgotten() -> None:
    """Members that went down with their event loop disturb nobody."""
    groups = Groups()
    here, lost = Recorder(), Recorder()

    async def work() -> None:
        await join(groups, "lobby", lost)

    with fail_after(5):
        await elsewhere(work)
        await join(groups, "lobby", here)
        assert len(groups.loops) == 2
        await groups.publish("lobby", 1)

    assert here.texts == ["1"]
    assert len(groups.loops) == 1
