"""Metering: counts one connection's messages, and knows when they come too fast.

Counting is a subtraction for each message; the clock is looked at where nothing is left
to subtract from. See `Bucket`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal

from .decoding import size_of_received
from .errors import InvalidMessage, MessageError
from .over_limit import exceeded
from .rates import Bucket

if TYPE_CHECKING:
    from anyio import CancelScope

    from .decoding import Decode, Event
    from .handshake.connection import Connection
    from .limits import Limits

__all__ = ["Meter", "meter_for"]

_REASON: Final = "too many messages"
_VIOLATION: Final = 1008


class Meter:
    """Counts the messages of one connection."""

    __slots__ = (
        "_answers",
        "_bytes",
        "_code",
        "_connection",
        "_how",
        "_messages",
        "_time",
        "pause",
        "slows",
        "tokens",
    )

    def __init__(
        self,
        connection: Connection,
        limits: Limits,
        time: Callable[[], float],
        *,
        code: int = _VIOLATION,
        answers: bool = False,
    ) -> None:
        """Begin to count.

        Args:
            connection: Whose messages, for logs.
            limits: The connection's.
            time: Returns the time in seconds.
            code: What closes who sends too much.
            answers: Whether a ``MessageError`` is sent to who has sent the message,
                though that was not read.
        """
        now = time()
        rate, byte_rate = limits.message_rate, limits.byte_rate
        self._connection = connection
        self._messages = None if rate is None else Bucket(rate, now)
        self._bytes = None if byte_rate is None else Bucket(byte_rate, now)
        self.tokens = self._messages if byte_rate is None else None
        """What a message costs one token of, where that is all there is to count: call
        :meth:`exhausted` when that leaves less than none. ``None``: see :meth:`around`.
        """
        self._how = limits.over_rate
        self._time = time
        self._code = code
        self._answers = answers
        self.slows = limits.over_rate == "slow"
        """Whether :meth:`wait` is to be asked before each message."""
        self.pause: CancelScope | None = None
        """Around the latest such wait, for who has a reason to end it."""

    def around(self, decode: Decode) -> Decode:
        """Return what counts an event, and then decodes it.

        Raises:
            InvalidMessage: It came too fast.
            MessageError: The same, where that is answered.
        """
        messages = self._messages
        if messages is None or self._bytes is not None:

            def decode_measured(event: Event) -> object:
                self._count(event, self._answers)
                return decode(event)

            return decode_measured

        def decode_counted(event: Event) -> object:
            messages.left -= 1
            if messages.left < 0:
                self._look(messages, 1, "message_rate", self._answers)
            return decode(event)

        return decode_counted

    def exhausted(self) -> None:
        """Deal with a message that had no token left in ``tokens``.

        Raises:
            InvalidMessage: It came too fast.
            MessageError: The same, where that is answered.
        """
        assert self.tokens is not None
        self._look(self.tokens, 1, "message_rate", self._answers)

    def count(self, event: Event) -> None:
        """Count an event that somebody awaits.

        Raises:
            InvalidMessage: It came too fast.
        """
        tokens = self.tokens
        if tokens is None:
            self._count(event, False)
            return
        tokens.left -= 1
        if tokens.left < 0:
            self._look(tokens, 1, "message_rate", False)

    def wait(self) -> float:
        """Return the seconds until the next message may be read."""
        now = self._time()
        buckets = (self._messages, self._bytes)
        return max(each.wait(now) for each in buckets if each is not None)

    def _count(self, event: Event, answers: bool) -> None:
        messages, measured = self._messages, self._bytes
        if messages is not None:
            messages.left -= 1
            if messages.left < 0:
                self._look(messages, 1, "message_rate", answers)
        if measured is not None:
            size = size_of_received(event)
            measured.left -= size
            if measured.left < 0:
                self._look(measured, size, "byte_rate", answers)

    def _look(
        self,
        bucket: Bucket,
        taken: int,
        name: Literal["message_rate", "byte_rate"],
        answers: bool,
    ) -> None:
        """Fill a bucket that is empty; do what is chosen where that is not enough."""
        if bucket.fill(self._time()):
            return
        rate = bucket.rate
        exceeded(
            name,
            "sends faster than limits.%s allows, %s a second and %s at once; "
            "over_rate = %r",
            name,
            f"{rate.per_second:g}",
            rate.burst,
            self._how,
            by=self._connection,
        )
        if self._how == "warn":
            bucket.reset()
        elif self._how != "slow":
            bucket.left += taken
            detail = f"at most {rate.per_second:g} a second, {rate.burst} at once"
            if name == "byte_rate":
                detail = f"{detail}, in bytes"
            if self._how == "close":
                raise InvalidMessage(self._code, _REASON, detail, "rate_limited")
            if answers:
                raise MessageError("rate_limited", detail)
            raise InvalidMessage(_VIOLATION, _REASON, detail, "rate_limited")


def meter_for(
    connection: Connection,
    limits: Limits,
    time: Callable[[], float],
    *,
    code: int = _VIOLATION,
    answers: bool = False,
) -> Meter | None:
    """Return what counts a connection's messages; ``None``: nobody asks for it."""
    if limits.message_rate is None and limits.byte_rate is None:
        return None
    return Meter(connection, limits, time, code=code, answers=answers)
