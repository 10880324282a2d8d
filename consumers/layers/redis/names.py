"""Names in the broker: of keys and of channels, for each group."""

from __future__ import annotations

import binascii
from typing import Final
from urllib.parse import unquote_to_bytes

__all__ = ["SLOTS", "Names", "slot_of"]

SLOTS: Final = 16_384
"""How many slots a cluster has."""


class Names:
    """What the groups of one application are called in the broker.

    ``prefix``: what tells it from others on the same server; no braces, no wildcards.
    """

    __slots__ = ("_channels", "_prefix")

    def __init__(self, prefix: str, db: int = 0) -> None:
        self._prefix = f"{prefix}:{{"
        # Channels know no databases: what differs in that only must not meet there.
        self._channels = f"{prefix}:{db}:{{"

    def key(self, group: str, kind: str) -> str:
        """Return the name of a group's key: ``consumers:{chat.lobby}:log``."""
        return f"{self._prefix}{_tag(group)}}}:{kind}"

    def channel(self, group: str) -> bytes:
        """Return the name of a group's channel: ``consumers:0:{chat.lobby}``."""
        return f"{self._channels}{_tag(group)}}}".encode()

    def pattern(self, kind: str) -> str:
        """Return what all groups' keys of a kind match, and others as well may."""
        return f"{self._prefix}*}}:{kind}"

    def channels(self) -> str:
        """Return what all groups' channels match."""
        return f"{self._channels}*}}"

    def group(self, name: bytes) -> str | None:
        """Return which group a key or a channel is of; ``None``: not one of ours."""
        for prefix in (self._prefix, self._channels):
            start = prefix.encode()
            if name.startswith(start):
                tag = name[len(start) :].partition(b"}")[0]
                return unquote_to_bytes(tag).decode("ascii", "replace")
        return None


def slot_of(group: str) -> int:
    """Return the slot of a cluster that all keys and the channel of a group are in."""
    return binascii.crc_hqx(_tag(group).encode(), 0) % SLOTS


def _tag(group: str) -> str:
    """Return a group's name as a hash tag, which ends at the first closing brace."""
    if "}" in group or "%" in group:
        return group.replace("%", "%25").replace("}", "%7D")
    return group
