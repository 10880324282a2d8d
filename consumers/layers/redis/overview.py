"""What the broker knows of every group, for people."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any, Final

from coredis.exceptions import RedisError

from consumers.errors import LayerUnavailable
from consumers.layers.contract import Overview

from .asking import Asking, Question, fixed
from .calls import Calls
from .faults import Lost, reason_of
from .link import Link
from .servers import Servers

__all__ = ["overview"]

_AT_ONCE: Final = 500
_COMMANDS: Final = 4


async def overview(servers: Servers, asking: Asking, calls: Calls) -> list[Overview]:
    """Return what is known of every group, by name.

    Raises:
        LayerUnavailable: A server can't be reached.
    """
    names, found = calls.names, set[str]()
    for link in servers.links:
        for pattern in (names.pattern("meta"), names.pattern("nodes")):
            found.update(filter(None, map(names.group, await _scan(link, pattern))))
        subscribed = await _say(link, *calls.subscribed())
        found.update(filter(None, map(names.group, subscribed)))
    groups = iter(sorted(found))
    views: list[Overview] = []
    while part := list(islice(groups, _AT_ONCE)):
        questions = [question for each in part for question in _ask(each, calls)]
        answers = iter(await asking.ask(servers, questions))
        views += [
            _view(group, calls, list(islice(answers, _COMMANDS))) for group in part
        ]
    return views


def _ask(group: str, calls: Calls) -> Iterable[Question]:
    yield fixed(group, (b"HMGET", *calls.standing(group)))
    yield fixed(group, (b"XLEN", calls.names.key(group, "log")))
    yield fixed(group, calls.subscribers(group))
    yield fixed(group, calls.count(group))


def _view(group: str, calls: Calls, answers: list[Any]) -> Overview:
    standing, kept, subscribers, count = answers
    return Overview(
        group,
        processes=subscribers[1],
        position=calls.stands(standing),
        kept=kept,
        present=calls.counted(count).connections,
    )


async def _scan(link: Link, pattern: str) -> list[bytes]:
    keys: list[bytes] = []
    cursor: Any = b"0"
    while True:
        cursor, page = await _say(
            link, b"SCAN", cursor, b"MATCH", pattern, b"COUNT", 1000
        )
        keys += page
        if cursor == b"0":
            return keys


async def _say(link: Link, *command: Any) -> Any:
    try:
        return await link.reply(link.send(*command))
    except (Lost, RedisError) as error:
        raise LayerUnavailable(f"can't reach {link.name}: {reason_of(error)}") from None
