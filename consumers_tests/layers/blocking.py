"""A blocking client and what it publishes, as others hear it."""

from __future__ import annotations

from typing import Any

import redis

from consumers.history import Position
from consumers.layers.redis.address import Address
from consumers.layers.redis.blocking import BlockingClient
from consumers.layers.redis.calls import read_push
from consumers.layers.redis.names import Names
from consumers_tests.layers.conformance.tools import KEEP, messages, read
from consumers_tests.valkey import PATIENCE, Valkey

NAMES = Names("consumers")


def client_of(url: str) -> BlockingClient:
    return BlockingClient(Address.parse(url))


class Ear:
    """What comes by the channels of groups."""

    def __init__(self, valkey: Valkey, *groups: str) -> None:
        self._client = redis.Redis.from_url(valkey.url)
        self._pubsub: Any = self._client.pubsub(  # type: ignore[no-untyped-call]
            ignore_subscribe_messages=True
        )
        self._pubsub.subscribe(*(NAMES.channel(group) for group in groups))
        for _ in groups:
            assert self._pubsub.get_message(timeout=PATIENCE) is None

    def heard(self, count: int) -> list[tuple[str | None, Any, Position | None]]:
        """Wait for so many publications; return (group, message, position) of each."""
        found: list[tuple[str | None, Any, Position | None]] = []
        while len(found) < count:
            event = self._pubsub.get_message(timeout=PATIENCE)
            assert event is not None, f"{len(found)} of {count} came"
            position, payload = read_push(event["data"])
            found.append((NAMES.group(event["channel"]), read(payload), position))
        return found

    def close(self) -> None:
        self._pubsub.close()
        self._client.close()


def everything(client: BlockingClient, group: str = "a") -> list[Any]:
    """Return all messages that a group keeps."""
    return messages(client.history(group, KEEP).kept)
