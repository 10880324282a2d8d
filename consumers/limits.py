"""Every size, count, rate and time that bounds a connection: its default, the reason.

One instance serves an application (``App(limits=...)``) or a consumer class
(``limits = Limits(...)``, which wins). All times are in seconds. ``None`` switches a
limit off where the field says that it may be ``None``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, TypeAlias, get_args

from .rates import Rate
from .shape import Shape

__all__ = ["DEFAULT_LIMITS", "DEFAULT_SHAPE", "Limits", "OverRate"]

OverRate: TypeAlias = Literal["warn", "answer", "slow", "close"]
"""What becomes of messages that come faster than they may."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The bounds of one connection.

    Raises:
        ValueError: A value is none that the limit can have (the caller's fault).
    """

    # -- the handshake --------------------------------------------------------------

    connections: int | None = None
    """Connections in all, after which others are refused with 503.

    Of one process, as all counts here, and of those that these very limits apply to.
    Off: how many a process holds is a matter of its memory and file descriptors, and
    ``--limit-concurrency`` counts before anything of the application's runs."""

    connections_per_address: int | None = None
    """Connections from one client's address, after which others are refused with 429.

    IPv6 addresses count by their first 64 bits, which one household has. Off: behind a
    proxy that the server does not trust all clients have the proxy's address."""

    connections_per_user: int | None = 100
    """Connections of one user, after which others are refused with 429.

    Nobody has a hundred tabs open on purpose; a script that reconnects without closing
    has them soon."""

    handshake_timeout: float | None = 20.0
    """Seconds from the first event to the accept, after which it is refused with 408.

    Long enough for a cold cache behind ``authenticate``; short enough that a client
    which connects and never gets an answer does not hold a task for ever."""

    # -- messages -------------------------------------------------------------------

    message_bytes: int | None = 1024 * 1024
    """Bytes of one message, after which the close is 1009.

    Looked at before it is decoded, on any server; a server's own bound, such as
    ``--ws-max-size``, comes before it. A megabyte is more than a form has, and few
    enough to be decoded in a few milliseconds."""

    message_items: int | None = 50_000
    """Values in the arrays and objects of one JSON or MessagePack message.

    A decoder can make seventy bytes of one, so that a megabyte would take seventy. More
    than these many close with 1008, or with typed messages are answered with the error
    ``too_large``."""

    message_depth: int | None = None
    """How deep arrays and objects may be inside one another, with the same end.

    Off: decoders refuse what is nested about 1,000 times, and messages of a type are as
    deep as their type. Set it where code walks through what it does not know."""

    message_rate: Rate | None = Rate(per_second=200, burst=1000)  # noqa: RUF009  frozen
    """Messages per second; what becomes of more says ``over_rate``.

    A pointer that moves sends 60 a second. The clock is looked at once in ``burst``
    messages: who stays below the rate on average is never noticed, and up to twice
    ``burst`` may come at once."""

    byte_rate: Rate | None = None
    """Bytes of messages per second, in the same way.

    Off: to add them up takes time for each message, and ``message_rate`` together with
    ``message_bytes`` bounds them too."""

    over_rate: OverRate = "warn"
    """``"warn"``: they are counted, and a warning is logged. ``"answer"``: each is
    answered with the error ``rate_limited``, and not handled. ``"slow"``: no more are
    read until they may come. ``"close"``: the close is 1008, and 4429 for clients of
    `consumers.v1`.

    Warn: what is too fast only the application knows, and a limit that closes is to be
    chosen with the warnings of normal use at hand."""

    handler_timeout: float | None = None
    """Seconds that one message may be handled for.

    It is then answered with the error ``timeout``, or closed with 1013 where
    ``on_receive`` takes all messages of a client that speaks no `consumers.v1`. Off,
    and never for streams: how long is too long only the application knows. Code in
    threads can't be cancelled."""

    idle_timeout: float | None = None
    """Seconds without a message from the client, after which the close is 1001.

    Off: a connection that only listens is the normal case. Dead peers are found by the
    server's pings."""

    disconnect_timeout: float = 10.0
    """Seconds that ``on_disconnect`` may take before it is cancelled.

    It bounds how long one connection can hold up a deploy."""

    close_timeout: float = 5.0
    """Seconds that our close frame may wait for a peer that does not read.

    ``on_disconnect`` starts after it at the latest, whatever became of the frame."""

    inbox: int = 32
    """Messages read ahead while a hook runs.

    While fewer wait, the client's leaving is noticed within 100 ms. It also bounds the
    memory that a client can take by sending faster than its hook works."""

    heartbeat: float | None = 25.0
    """Seconds between two pings to a client that speaks `consumers.v1`.

    Proxies end connections that are silent for a minute; this is short of half of it.
    A browser can't see the server's own pings, so that these are messages."""

    heartbeat_timeout: float = 10.0
    """Seconds that such a client has to answer a ping, and the server to send one.

    Longer than a phone takes to change its network; 4408 after it."""

    # -- groups ---------------------------------------------------------------------

    groups: int | None = 1000
    """Groups that one connection may be a member of, after which ``NotAllowed`` is
    raised: clients of `consumers.v1` that subscribe are answered ``not_allowed``.

    Each costs about a kilobyte here, and a channel of the broker."""

    outbox_messages: int = 1000
    """Publications that may wait for one slow client.

    At ten a second that is more than a minute's worth: whoever is further behind is
    better served by coming back."""

    outbox_bytes: int = 1024 * 1024
    """Bytes of publications that may wait for one slow client.

    A thousand stalled clients then cost at most 1 GiB, and much less where they wait
    for the same publications, since these are shared."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            optional = "None" in str(field.type)
            if (value is None and optional) or _is_one(value, str(field.type)):
                continue
            kind = next(k for name, k in _KINDS.items() if name in str(field.type))
            raise ValueError(
                f"{field.name} must be {kind}{' or None' if optional else ''}, "
                f"got {value!r}"
            )

    @property
    def shape(self) -> Shape:
        """What one message may be: the same instance wherever that is the default."""
        shape = Shape(self.message_bytes, self.message_items, self.message_depth)
        return DEFAULT_SHAPE if shape == DEFAULT_SHAPE else shape


_KINDS: Final = {
    "int": "a positive whole number",
    "float": "a positive number of seconds",
    "OverRate": f"one of {', '.join(map(repr, get_args(OverRate)))}",
    "Rate": "a Rate",
}


def _is_one(value: Any, kind: str) -> bool:
    """Tell whether a value is one that a field of a kind may have."""
    if kind == "OverRate":
        return value in get_args(OverRate)
    if "Rate" in kind:
        return isinstance(value, Rate)
    number = isinstance(value, int if "int" in kind else int | float)
    return number and not isinstance(value, bool) and 0 < value < math.inf


_DEFAULTS: Final[dict[str, Any]] = {each.name: each.default for each in fields(Limits)}
DEFAULT_SHAPE: Final = Shape(
    _DEFAULTS["message_bytes"], _DEFAULTS["message_items"], _DEFAULTS["message_depth"]
)
"""What one message may be where nothing else was said."""

DEFAULT_LIMITS: Final = Limits()
"""What applies where nothing else was said."""
