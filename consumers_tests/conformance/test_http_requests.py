"""HTTP/1.1 on trio: what uvicorn and `h11` make of the same bytes."""

from __future__ import annotations

from . import http_cases
from .http_served import Served


def test_requests_are_answered(served: Served) -> None:
    """What is HTTP/1.1 is answered, and the connection kept or closed as asked."""
    assert served.ask_all(http_cases.WELL_FORMED) == {}


def test_what_is_malformed_is_refused(served: Served) -> None:
    """What is not is answered with an error and closed, and no application sees it."""
    assert served.ask_all(http_cases.MALFORMED) == {}


def test_requests_cannot_be_smuggled(served: Served) -> None:
    """No bytes of one request are taken for another, whatever is said of its length."""
    assert served.ask_all(http_cases.SMUGGLING) == {}
