"""The client's exceptions: what each says, and that each can be copied."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest

from consumers.client import (
    Closed,
    ConnectionLost,
    OfflineFull,
    Overflow,
    UnexpectedMessage,
    errors,
)
from consumers.errors import ConsumersError

TEXTS: list[tuple[ConsumersError, str]] = [
    (Closed(1000), "the client is closed (code 1000)"),
    (Closed(4403, "out"), "the client is closed (code 4403): out"),
    (Closed(4400, "", {"a": 1}), "the client is closed (code 4400): {'a': 1}"),
    (ConnectionLost(), "the connection was lost in the middle of a stream"),
    (
        OfflineFull(3),
        (
            "at most 3 messages may wait for a connection, got one more; wait for "
            "client.ready(), or connect(..., offline=...)"
        ),
    ),
    (
        Overflow("pushes", 7),
        (
            "at most 7 pushes may wait unread, and more came; read faster, or "
            "connect(..., unread=...)"
        ),
    ),
    (
        UnexpectedMessage(int, "Expected `int`"),
        "a message of type <class 'int'> was expected; Expected `int`",
    ),
]


@pytest.mark.parametrize(("error", "text"), TEXTS, ids=lambda each: type(each).__name__)
def test_texts(error: ConsumersError, text: str) -> None:
    """Each says what is wrong, also after a copy or a pickle."""
    assert str(error) == text
    assert str(copy.copy(error)) == text
    assert str(pickle.loads(pickle.dumps(error))) == text


def test_all_are_listed() -> None:
    """No exception of the module is left out of the table above."""
    named = {type(error) for error, _ in TEXTS}

    assert {getattr(errors, name) for name in errors.__all__} == named
    assert all(inspect.getdoc(each) for each in named)


def test_what_catches_them() -> None:
    """A lost connection is an OSError, an unexpected message a ValueError."""
    assert issubclass(ConnectionLost, OSError)
    assert issubclass(UnexpectedMessage, ValueError)
