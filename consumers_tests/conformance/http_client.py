"""Plain bytes to a server, and its answers as `h11` understands them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

import h11

from consumers_tests.server.live import Server

__all__ = ["Answer", "Client", "request"]


@dataclass
class Answer:
    """What came as an answer to one request."""

    status: int = 0
    """0 if the server has hung up without one."""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    before: list[int] = field(default_factory=list)
    """The informational ones that came first."""
    whole: bool = False
    """Whether it has ended as it said it would."""


class Client:
    """One connection."""

    def __init__(self, server: Server, data: bytes = b"") -> None:
        self.sock = server.raw(data)
        self.left = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        """Send bytes; the server may have hung up already."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.sock.sendall(data)

    def answer(self, method: str = "GET") -> Answer:
        """Wait for an answer, to a request of that kind."""
        parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
        # It has to know of the request, since the answer to a HEAD has no body.
        parser.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
        parser.send(h11.EndOfMessage())
        answer, data = Answer(), self.left or self._more()
        while True:
            parser.receive_data(data)
            if not self._read_into(answer, parser):
                self.left, _ = parser.trailing_data
                return answer
            data = self._more()

    def head(self) -> bytes:
        """Wait for a head: all up to an empty line."""
        while b"\r\n\r\n" not in self.left and (more := self._more()):
            self.left += more
        head, _, self.left = self.left.partition(b"\r\n\r\n")
        return head

    def is_closed(self) -> bool:
        """Wait for what comes next, and tell whether it is the end."""
        return self.left == b"" and self._more() == b""

    def _more(self) -> bytes:
        try:
            return self.sock.recv(65536)
        except ConnectionResetError:
            return b""

    def _read_into(self, answer: Answer, parser: h11.Connection) -> bool:
        """Take what is there; tell whether there is more to come."""
        while True:
            try:
                event: Any = parser.next_event()
            except h11.RemoteProtocolError:  # It has ended in the middle.
                return False
            if event is h11.NEED_DATA:
                return True
            if isinstance(event, h11.ConnectionClosed):
                return False
            if isinstance(event, h11.InformationalResponse):
                answer.before.append(event.status_code)
            elif isinstance(event, h11.Response):
                answer.status = event.status_code
                for name, value in event.headers:
                    answer.headers[name.decode()] = value.decode()
            elif isinstance(event, h11.Data):
                answer.body += event.data
            else:
                answer.whole = True
                return False


def request(
    path: str = "/echo",
    *headers: str,
    method: str = "GET",
    version: str = "1.1",
    body: bytes = b"",
) -> bytes:
    """Return a request; a body's length is said unless a header is about that."""
    lines: Sequence[str] = [f"{method} {path} HTTP/{version}", "Host: x", *headers]
    about = ("content-length", "transfer-encoding")
    if body and not any(line.lower().startswith(about) for line in headers):
        lines = [*lines, f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
