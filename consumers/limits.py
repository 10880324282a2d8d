"""Every size, count and time that bounds a connection, with its default and the reason.

One instance serves an application (``App(limits=...)``) or a consumer class
(``limits = Limits(...)``, which wins). All times are in seconds. ``None`` switches a
limit off where the field says that it may be ``None``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

__all__ = ["DEFAULT_LIMITS", "Limits"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The bounds of one connection.

    Raises:
        ValueError: A value is not a positive number (the caller's fault).
    """

    handshake_timeout: float | None = 20.0
    """Seconds from the first event to the accept, after which it is refused with 408.

    Long enough for a cold cache behind ``authenticate``; short enough that a client
    which connects and never gets an answer does not hold a task for ever."""

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
            whole = field.type == "int"
            if value is None and optional:
                continue
            number = isinstance(value, int if whole else int | float)
            if not number or isinstance(value, bool) or not 0 < value < math.inf:
                kind = "whole number" if whole else "number of seconds"
                raise ValueError(
                    f"{field.name} must be a positive {kind}"
                    f"{' or None' if optional else ''}, got {value!r}"
                )


DEFAULT_LIMITS = Limits()
"""What applies where nothing else was said."""
