"""One connection of a client made of `docs/reference/protocol.md` alone, in frames.

It knows nothing of this project: `websockets`, `json`, one thread, dicts.
"""

import json
import socket
from contextlib import suppress
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

Frame = dict[str, Any]

RETURN = {1001, 1006, 1011, 1012, 1013, 1014}
RETURN |= {4408, 4425, 4429, 4500, 4502, 4503, 4504}


class Ended(Exception):
    """The server does not want this client back."""


class Lost(Exception):
    """The connection is gone; another one may do."""


class Frames:
    """Sends and receives them, over one connection at a time."""

    ws: ClientConnection
    connected = False

    def __init__(self, url: str) -> None:
        self.url = url
        self.goodbye: Frame = {}

    def open(self, path: str = "") -> Frame:
        """Connect, and return the first frame."""
        self.batch: list[Frame] = []
        self.goodbye = {}
        self.silence: list[float | None] = [10.0]
        offered: Any = ["consumers.v1+json"]
        try:
            opening = connect(self.url + path, subprotocols=offered, proxy=None)
            self.ws = opening.__enter__()
        except InvalidStatus as refused:
            self.closed(4000 + refused.response.status_code)
        except OSError as error:
            raise Lost from error
        first = self.receive()
        self.connected = first["type"] == "welcome"
        if self.connected:
            beats = first["heartbeat"] is not None
            self.silence = [first["heartbeat"], first["timeout"]] if beats else [None]
        return first

    def send(self, frame: object) -> None:
        """Send one frame."""
        try:
            self.ws.send(json.dumps(frame))
        except ConnectionClosed as end:
            self.closed(end.rcvd.code if end.rcvd else 1006)

    def receive(self) -> Frame:
        """Return the next frame; a ping is answered on the way."""
        while True:
            while not self.batch:
                got = json.loads(self.read())
                self.batch = got if isinstance(got, list) else [got]
            frame = self.batch.pop(0)
            if frame["type"] == "goodbye":
                self.goodbye = frame
            if frame["type"] != "ping":
                return frame
            self.send({"type": "pong"})

    def read(self) -> str | bytes:
        """Return the next text; a server that is silent for too long is dead."""
        for seconds in self.silence:
            try:
                return self.ws.recv(timeout=seconds)
            except TimeoutError:
                self.send({"type": "ping"})
            except ConnectionClosed as end:
                self.closed(end.rcvd.code if end.rcvd else 1006)
        self.drop()
        raise Lost("silence")

    def closed(self, code: int) -> None:
        """Raise what a close means for us."""
        self.connected = False
        if not self.goodbye.get("reconnect", code in RETURN):
            raise Ended(code)
        raise Lost(code)

    def drop(self) -> None:
        """Break the connection without a word."""
        self.connected = False
        with suppress(OSError):  # it is broken already
            self.ws.socket.shutdown(socket.SHUT_RDWR)
