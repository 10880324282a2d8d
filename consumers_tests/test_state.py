"""The table of states: each pair of a state and an action."""

from itertools import product

import pytest

from consumers.state import TRANSITIONS, WHY, Action, State

# {state: what it allows, and the state after it}, written a second time as one row per
# state, so that a change of the table is a change here.
ALLOWED = {
    State.CONNECTING: "accept>open reject>refused close>refused leave>closed end>ended",
    State.OPEN: (
        "send>open receive>open join>open close>closing reject>closing leave>closed "
        "end>ended"
    ),
    State.CLOSING: "receive>closing leave>closing end>ended",
    State.CLOSED: "receive>closed leave>closed end>ended",
    State.REFUSED: "leave>refused end>ended",
    State.ENDED: "leave>ended end>ended",
}
NAMES = {
    "accept": Action.ACCEPT,
    "close": Action.CLOSE,
    "end": Action.END,
    "join": Action.JOIN,
    "leave": Action.LEAVE,
    "receive": Action.RECEIVE,
    "reject": Action.REFUSE,
    "send": Action.SEND,
}


def expected(state: State, action: Action) -> State | None:
    """Return the state after it by the table above."""
    for entry in ALLOWED[state].split():
        name, after = entry.split(">")
        if NAMES[name] is action:
            return State[after.upper()]
    return None


@pytest.mark.parametrize(("state", "action"), list(product(State, Action)))
def test_every_pair(state: State, action: Action) -> None:
    """Each action leads where the table says, or nowhere."""
    assert TRANSITIONS[state].get(action) is expected(state, action)


@pytest.mark.parametrize("state", list(State))
def test_a_client_can_leave_and_a_connection_can_end_at_any_time(state: State) -> None:
    """What is not our doing is allowed in each state."""
    assert Action.LEAVE in TRANSITIONS[state]
    assert TRANSITIONS[state][Action.END] is State.ENDED


@pytest.mark.parametrize("state", list(State))
def test_nothing_leads_back(state: State) -> None:
    """States come in the order of a life; none is entered again."""
    order = [*State]
    final = {State.CLOSED, State.REFUSED, State.CLOSING}
    for after in TRANSITIONS[state].values():
        assert order.index(after) >= order.index(state)
        assert not (state in final and after in final - {state})


def test_each_state_says_why_something_cannot_be_done() -> None:
    """There is a sentence for each state, with the facts that it names."""
    texts = {state: WHY[state].format(code=4000, status=401) for state in State}

    assert texts == {
        State.CONNECTING: "the connection was not accepted yet; await accept() first",
        State.OPEN: "the connection was accepted already; leave accept() out, or set "
        "auto_accept = False",
        State.CLOSING: "the connection was closed with 4000",
        State.CLOSED: "the client is gone (code 4000)",
        State.REFUSED: "the handshake was refused with status 401",
        State.ENDED: "the connection has ended (code 4000); on_disconnect can clean up "
        "and publish",
    }
