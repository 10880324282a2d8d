"""A client made of `docs/reference/protocol.md` alone, that comes back.

It is as foreign as its frames are.
"""

import random
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from .foreign_frames import Ended, Frame, Frames, Lost

ANSWERS = {"reply", "item", "done", "error", "subscribed"}


class Client(Frames):
    """What it calls and subscribes to goes on through reconnects."""

    def __init__(self, url: str, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__(url)
        self.sleep = sleep
        self.secret, self.count = secrets.token_hex(16), 0
        self.failures, self.since = -1, float("inf")  # none yet, never welcome
        self.positions: dict[str, str | None] = {}  # of what is subscribed to
        self.entered: list[Frame] = []  # each "subscribed" that came
        self.heard: list[Frame] = []  # messages and publications, nothing twice

    def ensure(self) -> None:
        """Be connected, and subscribed where we were, however often it takes."""
        while not self.connected:
            self.wait()
            try:
                while self.open()["type"] == "goodbye":
                    self.receive()
                self.since = time.monotonic()
                for group in list(self.positions):
                    self.enter(group)
            except Lost:
                continue

    def wait(self) -> None:
        """Wait as one that comes back; the first time, not at all."""
        if time.monotonic() - self.since >= 10:
            self.failures = 0
        self.since = float("inf")
        if self.failures >= 0:
            jitter = random.uniform(0, min(30, 0.5 * 2**self.failures))
            self.sleep(self.goodbye.get("after", 0) + jitter)
        self.failures += 1

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
            if frame["group"] in self.positions and "position" in frame:
                self.positions[frame["group"]] = frame["position"]

    def is_new(self, publication: Frame) -> bool:
        """Tell whether a publication was not had before."""
        mine = self.positions.get(publication["group"])
        its = publication.get("position")
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
        self.positions[group] = None
        with suppress(Lost):
            if self.connected:
                self.enter(group)
        self.ensure()

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
