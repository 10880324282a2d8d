"""The exceptions: what each says, what each is, and that each can be copied."""

import copy
import inspect
import pickle
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocketDisconnect

from consumers import errors
from consumers.errors import (
    ConfigurationError,
    ConnectionClosed,
    ConsumersError,
    InvalidMessage,
    InvalidParameters,
    LayerUnavailable,
    MessageError,
    MessageNotEncodable,
    NotAllowed,
    PublicationsLost,
    Rejected,
    StateError,
    SubscriptionOverflow,
    mark_logged,
    shorten,
    was_logged,
)
from consumers.history import Position
from consumers.queues.policies import CloseWhenFull

CONNECTION = HTTPConnection[Any](
    {"type": "websocket", "path": "/", "headers": [], "query_string": b""}
)

TEXTS: list[tuple[BaseException, str]] = [
    (
        ConfigurationError("a layer must be 'memory://', got 'x'; write 'memory://'"),
        "a layer must be 'memory://', got 'x'; write 'memory://'",
    ),
    (StateError("can't send: it is closed"), "can't send: it is closed"),
    (InvalidMessage(1003, "expected a text frame"), "expected a text frame"),
    (
        InvalidMessage(1008, "the message violates the schema", "Expected `int`"),
        "the message violates the schema: Expected `int`",
    ),
    (InvalidParameters({"times": "Expected `int`"}), "times: Expected `int`"),
    (
        InvalidParameters({"times": "Expected `int`", "q": "is missing"}),
        "times: Expected `int`; q: is missing",
    ),
    (
        MessageNotEncodable("a message must have a JSON form, got {1}"),
        "a message must have a JSON form, got {1}",
    ),
    (ConnectionClosed(CONNECTION), "the client is gone (code 1006)"),
    (ConnectionClosed(CONNECTION, 4000, "bye"), "the client is gone (code 4000): bye"),
    (
        SubscriptionOverflow("chat.lobby", CloseWhenFull(messages=3)),
        (
            "the subscription to chat.lobby is read too slowly: more waits than its "
            "limits and CloseWhenFull(messages=3, bytes=None) allow"
        ),
    ),
    (
        PublicationsLost("chat.lobby", Position(17, "k3jx")),
        "publications to chat.lobby before 17.k3jx are lost",
    ),
    (LayerUnavailable("the broker is away"), "the broker is away"),
    (MessageError("no_such_room"), "no_such_room"),
    (MessageError("no_such_room", {"known": 2}), "no_such_room: {'known': 2}"),
    (NotAllowed("not for you"), "not for you"),
    (Rejected(401), "the connection was refused with status 401"),
]


@pytest.mark.parametrize(("error", "text"), TEXTS)
def test_every_text(error: BaseException, text: str) -> None:
    """Each exception says what happened in one sentence."""
    assert str(error) == text


def test_every_exception_has_its_text_above() -> None:
    """The list above has every exception of the module, but for the root."""
    defined = {
        kind
        for name in errors.__all__
        if inspect.isclass(kind := getattr(errors, name))
        and issubclass(kind, BaseException)
    }

    assert {type(error) for error, _ in TEXTS} == defined - {ConsumersError}


@pytest.mark.parametrize("error", [error for error, _ in TEXTS])
def test_exceptions_can_be_copied(error: BaseException) -> None:
    """A copy says the same and has the same attributes."""
    made = copy.copy(error)

    assert type(made) is type(error)
    assert str(made) == str(error)
    assert vars(made) == vars(error)


@pytest.mark.parametrize("error", [error for error, _ in TEXTS])
def test_exceptions_can_be_pickled(error: BaseException) -> None:
    """They go to another process and say the same there."""
    error = copy.copy(error)
    if isinstance(error, ConnectionClosed):
        error.connection = None  # type: ignore[assignment]
        error.args = (None, *error.args[1:])
    made = pickle.loads(pickle.dumps(error))

    assert type(made) is type(error)
    assert str(made) == str(error)
    assert vars(made) == vars(error)


@pytest.mark.parametrize(
    ("kind", "base"),
    [
        (ConfigurationError, TypeError),
        (StateError, RuntimeError),
        (InvalidMessage, ValueError),
        (InvalidParameters, ValueError),
        (MessageNotEncodable, TypeError),
        (ConnectionClosed, WebSocketDisconnect),
    ],
)
def test_each_is_also_what_python_or_starlette_calls_it(
    kind: type[Exception], base: type[Exception]
) -> None:
    """Whoever catches the built-in or Starlette's own gets ours too."""
    assert issubclass(kind, base)
    assert issubclass(kind, ConsumersError)


def test_a_rejection_passes_except_exception() -> None:
    """`except Exception` does not swallow a rejection."""
    assert not issubclass(Rejected, Exception)


def test_facts_are_attributes() -> None:
    """What happened can be asked without reading the text."""
    closed = ConnectionClosed(CONNECTION, 4000, "bye")
    message = InvalidMessage(1007, "the message is not JSON", "at byte 3")

    assert (closed.connection, closed.code, closed.reason) == (CONNECTION, 4000, "bye")
    assert (message.close_code, message.reason, message.detail) == (
        1007,
        "the message is not JSON",
        "at byte 3",
    )
    assert InvalidParameters({"a": "b"}).errors == {"a": "b"}
    assert Rejected(403).status == 403


def test_long_values_are_cut() -> None:
    """A value in an error's text takes 80 characters at most."""
    assert shorten("x" * 78) == repr("x" * 78)
    assert shorten("x" * 79) == "'" + "x" * 78 + "…"
    assert len(shorten(b"\x00" * 10_000)) == 80


def test_a_group_is_logged_when_each_of_it_is() -> None:
    """Or when the group itself is; and an exception may refuse attributes."""

    @dataclass(frozen=True)
    class Frozen(Exception):
        code: int

    one, other = Frozen(1), Frozen(2)
    group = ExceptionGroup("both", [one, other])
    mark_logged(one)
    assert was_logged(one)
    assert not was_logged(group)

    mark_logged(other)
    assert was_logged(group)

    another = ExceptionGroup("as a whole", [ValueError()])
    mark_logged(another)
    assert was_logged(another)
