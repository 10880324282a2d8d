"""Controls: the application on a server that has lost one guard.

Each function here takes a guard out of the process that calls it, for which there is no
option, and returns the application: ``consumers run --factory`` loads it.
"""

from __future__ import annotations

from typing import Any

from consumers import App, Limits, WebSocketRoute
from consumers.server import trio_http, uvicorn_http
from consumers.server.asyncio_writing import Writing
from consumers.server.frames import Frames
from consumers.server.trio_transport import Transport
from consumers_tests.conformance.frames import CLOSE

from .application import Binary, Echo, Json, app

__all__ = ["closing", "headers", "items", "waiting"]


def headers() -> App:
    """Have no limit for the size of a request's headers."""
    for module in (trio_http, uvicorn_http):
        vars(module)["MAX_HEAD"] = 1 << 40
    return app


def items() -> App:
    """Have no limit for the values of one message."""
    boundless = Limits(message_items=None)
    return App(
        [
            WebSocketRoute("/echo", Echo),
            WebSocketRoute("/binary", Binary),
            WebSocketRoute("/json", Json, limits=boundless),
        ]
    )


def closing() -> App:
    """Read on behind a client's close frame."""
    read_control = Frames._read_control

    def read_on(self: Frames, opcode: int, payload: bytes) -> None:
        read_control(self, opcode, payload)
        if opcode == CLOSE:
            self.ended, self.close_sent = None, False

    Frames._read_control = read_on  # type: ignore[method-assign]
    return app


def waiting() -> App:
    """Have nobody wait for who does not read: neither who sends nor who pings."""

    def pause_writing(self: Writing) -> None:
        """Go on."""

    never: Any = property(lambda self: False)
    Writing.pause_writing = pause_writing  # type: ignore[method-assign]
    Transport.is_full = never  # type: ignore[method-assign]
    return app
