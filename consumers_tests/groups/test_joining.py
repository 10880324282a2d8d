"""What connections ask of the groups, and which groups are theirs."""

from __future__ import annotations

import gc

import pytest

from consumers import Group, Groups, StateError
from consumers_tests.groups.members import Recorder, join, leave
from consumers_tests.groups.running import running
from consumers_tests.groups.scripted_layer import ScriptedLayer


async def test_a_group_of_others_is_warned_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What is published in the other `Groups` does not reach its members."""
    room = Group("room.{name}")
    Groups(declared=[room])
    here = Groups()
    for name in "ab":
        await join(here, room(name), Recorder())

    assert len(caplog.messages) == 1
    assert "is declared in other Groups" in caplog.messages[0]


async def test_an_event_loop_without_members_is_not_asked() -> None:
    """It is taken in with its first member and forgotten with its last."""
    groups, member = Groups(), Recorder()
    assert not groups.loops
    await groups.join([groups.resolve("a"), groups.resolve("b")], member)
    assert len(groups.loops) == 1
    leave(groups, "a", member)
    assert len(groups.loops) == 1
    leave(groups, "b", member)
    assert not groups.loops


async def test_leaving_is_safe_at_any_time() -> None:
    """Twice, before joining, and where nothing has begun."""
    groups, member = Groups(), Recorder()
    leave(groups, "a", member)
    await join(groups, "a", member)
    leave(groups, "a", member)
    leave(groups, "a", member)


async def test_only_who_hears_presence_needs_the_lifespan() -> None:
    """In memory everything else works without."""
    here = Group("here", presence=True)
    groups, member = Groups(declared=[here]), Recorder()
    await groups.join([here()], member)
    with pytest.raises(StateError, match=r"pass lifespan=groups\.lifespan"):
        await groups.join([here()], member, hears_presence=True)
    async with groups:
        await groups.join([here()], member, hears_presence=True)


async def test_a_connection_whose_id_was_asked_for_can_be_found_while_it_lives() -> (
    None
):
    """The registry keeps nothing alive."""
    layer = ScriptedLayer()
    async with running(layer, declared=[]) as [groups]:
        member = Recorder()
        groups.named(member)
        named = groups._local().hub.named
        assert named[member.id] is member
        del member
        gc.collect()
        assert not named
