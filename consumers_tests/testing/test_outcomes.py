"""The texts of what a test is told."""

from starlette.datastructures import Headers

from consumers.close import CloseEvent
from consumers.errors import ConsumersError
from consumers.testing import Closed, Refused


def test_texts() -> None:
    """Each text says what was expected and what came instead."""
    refused = Refused(403, Headers(), b"", 4403)
    closed = Closed(CloseEvent(1001), "a message", "nothing came")

    assert str(Refused(404, Headers(), b"")) == "the handshake was refused with 404"
    assert str(refused) == "the handshake was refused with 403 (by a close with 4403)"
    assert str(Refused(401, Headers(), b"no")).endswith("with 401: b'no'")
    assert str(closed) == (
        "expected a message, got a close by the client with 1001; nothing came"
    )
    assert (closed.code, closed.reason) == (1001, "")


def test_they_are_errors_of_this_package() -> None:
    """Both belong to the package's tree of exceptions."""
    assert issubclass(Refused, ConsumersError)
    assert issubclass(Closed, ConsumersError)
