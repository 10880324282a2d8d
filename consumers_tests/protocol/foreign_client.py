"""A client made of `docs/reference/protocol.md` alone, with `websockets` and `json`.

It knows nothing of this project. One thread, plain loops, dicts.
"""

import json
import random
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

Frame = dict[str, Any]

RETURN = {1001, 1006, 1011, 1012, 1013, 1014}
RETURN |= {4408, 4425, 4429, 4500, 4502, 4503, 4504}
ANSWERS = {"reply", "item", "done", "error", "subscribed"}


class Ended(Exception):
    """The server does not want this client back."""


class Lost(Exception):
    """The connection is gone; another one may do."""


class Client:
    """What it calls and subscribes to goes on through reconnects."""

    ws: ClientConnection

    def __init__(self, url: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self.url, self.sleep = url, sleep
        self.connected = False
        self.secret, self.count, self.attempt = secrets.token_hex(16), 0, 0
        self.positions: dict[str, str | None] = {}  # of what is subscribed to
        self.entered: list[Frame] = []  # each "subscribed" that came
        self.heard: list[Frame] = []  # messages and publications, nothing twice

    # One connection, frame by frame.

    def open(self, path: str = "") -> Frame:
        """Connect, and return the first frame."""
        offered: Any = ["consumers.v1+json"]
        try:
            opening = connect(self.url + path, subprotocols=offered, proxy=None)
            self.ws = opening.__enter__()
        except InvalidStatus as refused:
            self.closed(4000 + refused.response.status_code)
        except OSError as error:
            raise Lost from error
        self.batch: list[Frame] = []
        self.goodbye: Frame = {}
        self.silence = [10.0]
        first = self.receive()
        self.connected = first["type"] == "welcome"
        if first.get("heartbeat"):
            self.silence = [first["heartbeat"], first["timeout"]]
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
            if frame["type"] == "ping":
                self.send({"type": "pong"})
            elif frame["type"] == "goodbye":
                self.goodbye = frame
                return frame
            else:
                return frame

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

    # What goes on through reconnects.

    def ensure(self) -> None:
        """Be connected, and subscribed where we were, however often it takes."""
        while not self.connected:
            try:
                while self.open()["type"] == "goodbye":
                    self.receive()
                for group in list(self.positions):
                    self.enter(group)
                self.attempt = 0
            except Lost:
                jitter = random.uniform(0, min(30, 0.5 * 2**self.attempt))
                self.sleep(self.goodbye.get("after", 0) + jitter)
                self.attempt += 1

    def ask(self, frame: Frame) -> Iterator[Frame]:
        """Send what has an id, and yield all that answers it."""
        self.send(frame)
        while True:
            got = self.receive()
            if got.get("id") != frame["id"] or got["type"] not in ANSWERS:
                self.other(got)
                continue
            yield got
            if got["type"] != "item":
                return

    def other(self, frame: Frame) -> None:
        """Deal with a frame that answers nothing."""
        if frame["type"] == "request":
            self.send({"type": "error", "id": frame["id"], "code": "unknown_type"})
        elif frame["type"] == "unsubscribed":
            self.positions.pop(frame["group"], None)
        elif frame["type"] == "message":
            self.heard.append(frame)
        elif frame["type"] == "publication" and self.is_new(frame):
            self.heard.append(frame)
            if "position" in frame:
                self.positions[frame["group"]] = frame["position"]

    def is_new(self, publication: Frame) -> bool:
        """Tell whether a publication was not had before."""
        mine, its = self.positions[publication["group"]], publication.get("position")
        if mine is None or its is None:
            return True
        (had, epoch), (offset, its_epoch) = mine.split("."), its.split(".")
        return epoch != its_epoch or int(offset) > int(had)

    def enter(self, group: str) -> None:
        """Subscribe over this connection, from where we stand."""
        self.count += 1
        frame = {"type": "subscribe", "id": self.count, "group": group}
        if self.positions[group]:
            frame["position"] = self.positions[group]
        for got in self.ask(frame):
            if got["type"] == "error":
                del self.positions[group]
                raise Ended(got["code"])
            self.entered.append(got)
            if not got["recovered"]:
                self.positions[group] = got.get("position")

    def subscribe(self, group: str) -> None:
        """Get a group's publications; `pump` and `call` put them into `heard`."""
        self.ensure()
        self.positions[group] = None
        self.enter(group)

    def call(self, message: Frame) -> Frame:
        """Return the answer to a request, which takes effect once."""
        self.count += 1
        frame = {"type": "request", "id": self.count, "message": message}
        frame["key"] = f"{self.secret}-{self.count}"
        while True:
            try:
                self.ensure()
                return list(self.ask(frame))[-1]
            except Lost:
                continue

    def pump(self) -> None:
        """Deal with the next frame, whatever it is."""
        try:
            self.ensure()
            self.other(self.receive())
        except Lost:
            return
