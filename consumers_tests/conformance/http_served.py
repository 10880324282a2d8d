"""The application for HTTP on a server, and the tables of requests put to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from .http_app import Http
from .http_cases import Case
from .http_client import Client, request
from .servers import Server

__all__ = ["DIFFERS", "Served"]

DIFFERS: Final[dict[str, set[str]]] = {
    "uvicorn": {
        # It looks at no version of HTTP, and serves PRI as it would any method.
        "HTTP/2",
        # It goes by the chunks, as may be done; but a proxy may go by the length.
        "chunked, and a length that is larger",
        "chunked, and a length that hides a request",
    },
    "trio": set(),
}
"""``{server: cases that it treats in its own way}``."""


def is_served(client: Client) -> bool:
    """Send a last request; tell whether it was answered as that."""
    client.send(request("/after", "Connection: close"))
    return client.answer().status == 200 and client.is_closed()


@dataclass
class Served:
    """The application of this folder for HTTP, on a server."""

    name: str
    app: Http
    server: Server

    def ask(self, case: Case) -> list[str]:
        """Send bytes; return what did not come as it has to."""
        self.app.seen.clear()
        wrong = []
        with Client(self.server, case.data) as client:
            for expected in case.answers:
                status = client.answer().status
                if status not in expected:
                    wrong.append(f"answered {status}, not {sorted(expected)}")
            if case.closed and not wrong and not client.is_closed():
                wrong.append("not closed")
            if not case.closed and not wrong and not is_served(client):
                wrong.append("closed")
        # What was begun before this has been seen when it is answered.
        with Client(self.server) as another:
            assert is_served(another)
        seen = [one for one in self.app.seen if one != "GET /after"]
        if seen != case.seen and not (case.maybe and seen == []):
            wrong.append(f"the application saw {seen}")
        return wrong

    def ask_all(self, cases: Mapping[str, Case]) -> dict[str, list[str]]:
        """Return ``{name: what is wrong}`` of those that something is wrong with."""
        return {
            name: wrong
            for name, case in cases.items()
            if name not in DIFFERS[self.name] and (wrong := self.ask(case))
        }
