"""`States`: whoever follows misses none."""

from __future__ import annotations

from consumers.client.state import State, States


async def test_followers() -> None:
    """Each sees the state of its beginning and all that follow, up to the end."""
    states = States()
    first = states.follow()
    assert (await anext(first)).name == "connecting"
    states.change(State("live"))
    second = states.follow()
    states.change(State("waiting", 1))
    states.change(State("closed"))
    assert [state.name async for state in first] == ["live", "waiting", "closed"]
    assert [state.name async for state in second] == ["live", "waiting", "closed"]
    assert [state.name async for state in second] == []
    assert states.current.name == "closed"
