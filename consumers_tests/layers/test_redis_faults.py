"""What goes wrong on the way to a server, in one line."""

import logging

import pytest

from consumers.layers.redis.faults import contained, reason_of


def test_the_first_cause_is_the_reason() -> None:
    """Whatever it is wrapped in: causes and groups of exceptions."""
    first = OSError("no\n  route")
    middle = ExceptionGroup("several", [first])
    last = ConnectionError("can't connect")
    last.__cause__ = middle

    assert reason_of(last) == "no route"
    assert reason_of(None) == "not connected yet"
    assert reason_of(EOFError()) == "EOFError"
    assert (
        reason_of(OSError("NOAUTH Authentication required")) == "a password is needed"
    )


@pytest.mark.parametrize(("ours", "told"), [(True, []), (False, ["oh"])])
def test_the_clients_own_reports_are_silent_in_our_tasks_only(
    ours: bool, told: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Where the application uses the client by itself, it is told as ever."""
    token = contained.set(ours)
    try:
        logging.getLogger("coredis").error("oh")
    finally:
        contained.reset(token)

    assert caplog.messages == told
