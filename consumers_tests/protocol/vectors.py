"""The examples of `docs/reference/protocol.md`, as conversations that can be held.

Each fenced block with arrows is one. `read` makes steps of it, and `Names` compares
what came with what an example shows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

__all__ = ["CONVERSATIONS", "PAGE", "Conversation", "Names", "Step"]

PAGE: Final = Path(__file__).parents[2] / "docs" / "reference" / "protocol.md"

_BLOCK: Final = re.compile(r"^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING: Final = re.compile(r"^#+ (.*)$", re.MULTILINE)
_LINE: Final = re.compile(r"(?:(?P<who>\w+) )?(?P<sign>[→←•]) (?P<what>.*)", re.DOTALL)
_CONNECTS: Final = re.compile(r"connects to (\S+)( without the subprotocol)?")
_PASS: Final = re.compile(r"(\d+) seconds? pass(?:es)?")
_ANY: Final = "…"
_NAME: Final = re.compile(r"«(.+)»")

Kind: TypeAlias = Literal[
    "connects", "breaks", "passes", "send", "text", "binary", "receive", "close"
]


@dataclass(frozen=True)
class Step:
    """One line of a conversation."""

    who: str
    """``""`` is the client that the page is about."""
    kind: Kind
    value: Any = None
    """A frame, a path, a close code, seconds or bytes."""
    plain: bool = False
    """Of connecting: whether no subprotocol is offered."""


@dataclass(frozen=True)
class Conversation:
    """One block of the page."""

    name: str
    """The heading above it, and how many blocks of that heading come before."""
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return self.name

    @property
    def lasts(self) -> bool:
        """Whether time passes in it."""
        return any(step.kind == "passes" for step in self.steps)

    @property
    def codecs(self) -> tuple[str, ...]:
        """Those it can be held with: bytes are given for one alone."""
        kinds = {step.kind for step in self.steps}
        wanted = {"text": "json", "binary": "msgpack"}
        return tuple(
            codec
            for kind, codec in wanted.items()
            if kind in kinds or not kinds & wanted.keys()
        )


def _step(line: str) -> Step:
    match = _LINE.fullmatch(line)
    assert match is not None, f"expected an arrow, got {line!r}"
    who, sign, what = match["who"] or "", match["sign"], match["what"]
    if sign == "•":
        return _event(who, what)
    kind, _, rest = what.partition(" ")
    if sign == "←":
        if kind == "close":
            return Step(who, "close", int(rest))
        return Step(who, "receive", json.loads(what))
    if kind == "text:":
        return Step(who, "text", rest)
    if kind == "binary:":
        return Step(who, "binary", bytes.fromhex(rest))
    return Step(who, "send", json.loads(what))


def _apart(step: Step) -> list[Step]:
    """Return what an array of frames from the server consists of."""
    if step.kind != "receive" or not isinstance(step.value, list):
        return [step]
    return [Step(step.who, step.kind, frame) for frame in step.value]


def _event(who: str, what: str) -> Step:
    if match := _CONNECTS.fullmatch(what):
        return Step(who, "connects", match[1], plain=match[2] is not None)
    if match := _PASS.fullmatch(what):
        return Step(who, "passes", float(match[1]))
    assert what == "the connection breaks", f"expected an event, got {what!r}"
    return Step(who, "breaks")


def read(page: str) -> Iterator[Conversation]:
    """Yield the conversations of a page.

    A client that does not begin with connecting is connected to ``/chat`` before, and
    gets its welcome, which need not be shown.
    """
    seen: dict[str, int] = {}
    for block in _BLOCK.finditer(page):
        lines = re.sub(r"\n +", " ", block[1]).splitlines()
        steps = [step for line in lines for step in _apart(_step(line))]
        for who in sorted({step.who for step in steps}):
            first = next(step for step in steps if step.who == who)
            if first.kind != "connects":
                steps.insert(0, Step(who, "connects", "/chat"))
        heading = _HEADING.findall(page[: block.start()])[-1]
        number = seen[heading] = seen.get(heading, 0) + 1
        yield Conversation(f"{heading}, {number}", tuple(_welcomed(steps)))


def _welcomed(steps: list[Step]) -> Iterator[Step]:
    """Yield steps, with the first frame of each connection that is not shown."""
    for index, step in enumerate(steps):
        yield step
        if step.kind != "connects" or step.plain:
            continue
        following = next(each for each in steps[index + 1 :] if each.who == step.who)
        shown = following.kind == "receive" and following.value["type"]
        if shown not in ("welcome", "goodbye"):
            yield Step(step.who, "receive", {"type": "welcome", _ANY: _ANY})


class Names:
    """What the names in angle quotes stand for, in one conversation."""

    def __init__(self, choose: Callable[[], str], channel: str = "lobby") -> None:
        """Begin without any.

        Args:
            choose: Makes what the client chooses.
            channel: What stands for ``lobby``, where conversations share a server.
        """
        self._choose = choose
        self._channel = channel
        self._known: dict[str, Any] = {}

    def sent(self, value: Any) -> Any:
        """Return what the client sends for what the page shows."""
        if isinstance(value, dict):
            return {key: self.sent(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self.sent(each) for each in value]
        if not isinstance(value, str):
            return value
        if match := _NAME.fullmatch(value):
            return self._known.setdefault(match[1], self._choose())
        return value.replace("lobby", self._channel)

    def fits(self, shown: Any, got: Any) -> bool:
        """Tell whether what came is what the page shows."""
        if shown == _ANY:
            return True
        if isinstance(shown, dict):
            more = _ANY in shown  # fields that the page does not show
            wanted = {key: each for key, each in shown.items() if key != _ANY}
            return (
                isinstance(got, dict)
                and (more or wanted.keys() == got.keys())
                and all(
                    key in got and self.fits(each, got[key])
                    for key, each in wanted.items()
                )
            )
        if isinstance(shown, list):
            return (
                isinstance(got, list)
                and len(shown) == len(got)
                and all(map(self.fits, shown, got))
            )
        if isinstance(shown, str):
            if match := _NAME.fullmatch(shown):
                return bool(got == self._known.setdefault(match[1], got))
            return bool(got == shown.replace("lobby", self._channel))
        return bool(got == shown) and isinstance(got, bool) == isinstance(shown, bool)


CONVERSATIONS: Final = tuple(read(PAGE.read_text()))
"""All of the page, in its order."""
