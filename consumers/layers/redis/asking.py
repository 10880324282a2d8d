"""`Questions`: what is asked of the broker, and asked again when its link was lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeAlias

from anyio.lowlevel import checkpoint
from coredis.exceptions import (
    AskError,
    ClusterDownError,
    NoScriptError,
    RedisError,
    TryAgainError,
)

from consumers.clock import move_on_after, sleep
from consumers.errors import LayerUnavailable

from .address import Address
from .calls import Call
from .faults import Lost, reason_of
from .link import Link
from .servers import Servers, unreachable

__all__ = ["Asking", "Question", "fixed"]

_PAUSE: Final = 0.1

Command: TypeAlias = tuple[Any, ...]
"""A command and its arguments."""

# What a cluster answers when it has done nothing, and will do it elsewhere or later.
_ELSEWHERE: Final = (AskError, ClusterDownError, TryAgainError)


class Question:
    """One thing to be asked, until there is an answer."""

    __slots__ = ("_make", "_text", "again", "answer", "doubt", "error", "group")

    def __init__(
        self,
        group: str,
        make: Callable[[str, bool], Call | Command],
        *,
        again: bool = True,
    ) -> None:
        self.group = group
        """Whose server is asked."""
        self.again = again
        """Whether it may be asked again when it is open whether it was answered."""
        self.answer: Any = None
        """What came of it."""
        self.error: Exception | None = None
        """Why nothing did."""
        self.doubt = False
        """Whether it may have been answered already, and the answer been lost."""
        self._make = make
        self._text = False

    def send(self, link: Link) -> Awaitable[Any]:
        """Ask it.

        Raises:
            Lost: It could not be asked.
        """
        command = self._make(link.run, self.doubt)
        if not isinstance(command, Call):
            return link.send(*command)
        if self._text:
            return link.send(b"EVAL", *command.by_text())
        return link.send(b"EVALSHA", *command.by_sha())

    async def hear(self, link: Link, request: Awaitable[Any]) -> bool:
        """Wait for the answer; return whether it is to be asked again.

        Raises:
            RedisError: It went elsewhere; it is to be asked again there.
        """
        try:
            self.answer = await link.reply(request)
        except Lost as error:
            self.error = error
            self.doubt = True
            return self.again
        except NoScriptError:
            self._text = True
            return True
        except _ELSEWHERE:
            raise
        except RedisError as error:
            self.error = error
            return False
        self.error = None
        return False


def fixed(group: str, command: Call | Command) -> Question:
    """Return a question that is the same however often it is asked."""
    return Question(group, lambda run, retried: command)


class Asking:
    """Asks, in the order of the questions, for a limited time."""

    def __init__(self, address: Address, seconds: float) -> None:
        """Ask for so many seconds at most."""
        self.retried = 0
        """How many questions were asked again."""
        self._address = address
        self.seconds: Final = seconds
        """For how long at most."""

    async def ask(self, servers: Servers, questions: Sequence[Question]) -> list[Any]:
        """Return the answers. Those that can be asked in one round trip are.

        Raises:
            LayerUnavailable: Some could not be had.
        """
        left = questions
        with move_on_after(self.seconds) as patience:
            while left := await self._attempt(servers, left):
                self.retried += len(left)
        if patience.cancelled_caught:
            raise self.unanswered(servers)
        for question in questions:
            if question.error is not None:
                raise self._refused(question.error)
        return [question.answer for question in questions]

    async def _attempt(
        self, servers: Servers, questions: Sequence[Question]
    ) -> list[Question]:
        """Ask each once; return those that are to be asked again."""
        links = [await servers.link(question.group) for question in questions]
        # From here to the last one sent there is no checkpoint: one write carries all,
        # and none overtakes another one that could not be sent.
        asked: list[tuple[Question, Link, Awaitable[Any]]] = []
        try:
            for question, link in zip(questions, links, strict=True):
                asked.append((question, link, question.send(link)))
        except Lost:
            await checkpoint()  # the next link may be one that is lost as well
        left: list[Question] = []
        moved: RedisError | None = None
        for question, link, request in asked:
            try:
                if await question.hear(link, request):
                    left.append(question)
            except _ELSEWHERE as error:
                left.append(question)
                moved = error
        if moved is not None:
            servers.moved(moved)
            await sleep(_PAUSE)
        return [*left, *questions[len(asked) :]]

    def unanswered(self, servers: Servers) -> LayerUnavailable:
        """Return what says that the time is over, and why if that is known."""
        failures = [link.failure for link in servers.links if link.failure is not None]
        if failures:
            return unreachable(self._address, failures[0])
        return LayerUnavailable(
            f"{self._address} has not answered within {self.seconds:g} seconds"
        )

    def _refused(self, error: Exception) -> LayerUnavailable:
        if isinstance(error, Lost):
            return LayerUnavailable(
                f"lost {self._address} before it answered: {reason_of(error)}"
            )
        return LayerUnavailable(f"{self._address} refuses: {reason_of(error)}")
