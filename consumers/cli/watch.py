"""``consumers watch``: print what is published to a group, as it comes."""

from __future__ import annotations

import logging
import sys
import time
from contextlib import suppress
from functools import partial
from typing import Any

import click
from rich.highlighter import JSONHighlighter
from rich.text import Text

from consumers.cli.brokers import group_argument, url_argument
from consumers.cli.interrupt import backend_option, run_until_interrupted
from consumers.cli.output import console, json_line
from consumers.errors import (
    ConfigurationError,
    PublicationsLost,
    SubscriptionOverflow,
)
from consumers.groups import Group, Groups, PresenceDiff, Publication, Subscription
from consumers.history import History, Position

__all__ = ["line", "watch"]


def line(publication: Publication) -> Text:
    """Return how a publication is shown: when it came, its position, what it says."""
    message = publication.message
    if isinstance(message, PresenceDiff):
        body = _presence(message)
    else:
        body = Text(json_line(message))
        JSONHighlighter().highlight(body)
    position = "-" if publication.position is None else str(publication.position)
    now = time.strftime("%H:%M:%S")
    return Text.assemble((now, "dim"), "  ", (position, "cyan"), "  ", body)


def _presence(diff: PresenceDiff) -> Text:
    """Return a line of who came (+), told something new (~) and left (-)."""
    parts = [
        (f"{sign}{json_line(each.key)}{_about(each.metadata)}", style)
        for sign, style, found in (
            ("+", "green", diff.joined),
            ("~", "yellow", diff.updated),
        )
        for each in found
    ]
    parts += [(f"-{json_line(key)}", "red") for key in diff.left]
    return Text("  ").join(Text(text, style) for text, style in parts)


def _about(metadata: object) -> str:
    return "" if metadata is None else f" {json_line(metadata)}"


def _note(text: str) -> None:
    """Print what is to be known beside what is published."""
    console(sys.stderr).print(Text(f"-- {text}", "yellow"), soft_wrap=True)


class _Notes(logging.Handler):
    """Prints what is logged: that the broker is lost, and back, and what that cost."""

    def emit(self, record: logging.LogRecord) -> None:
        _note(record.getMessage())


async def _watch(
    groups: Groups, group: str, since: Position | None, last: int | None
) -> None:
    async with groups:
        while True:
            asked = groups.subscribe(group, since, last, presence=True)
            async with asked as subscription:
                _note(f"watching {group}")
                if since is not None and not subscription.recovery.recovered:
                    _note(f"what came after {since} is not kept any more")
                try:
                    await _print(subscription)
                    return
                except SubscriptionOverflow:
                    _note("more is published than can be printed")
                since, last = subscription.position, None


async def _print(subscription: Subscription) -> None:
    screen = console()
    while True:
        with suppress(PublicationsLost):  # which the log has told
            async for publication in subscription:
                screen.print(line(publication), soft_wrap=True)
            return


def _position(_: click.Context, __: click.Parameter, text: str | None) -> Any:
    try:
        return None if text is None else Position.parse(text)
    except ValueError as error:
        raise ConfigurationError(f"{error}, got {text!r}") from error


def _declare(url: str, group: str, *, wants_history: bool) -> Group:
    """Return the group as the broker knows it; a history is not begun by watching."""
    from consumers.layers.redis.address import Address
    from consumers.layers.redis.blocking import BlockingClient

    client = BlockingClient(Address.parse(url))
    kept = client.positions([group])[0] is not None
    client.close()
    if wants_history and not kept:
        raise ConfigurationError(
            f"a group with history was expected, got {group!r}, of which nothing is "
            "kept; leave --since and --last out"
        )
    pattern = group.replace("{", "{{").replace("}", "}}")
    return Group(pattern, history=History() if kept else None, presence=True)


@click.command(short_help="Print what is published to a group.")
@url_argument
@group_argument
@click.option(
    "--since",
    metavar="POSITION",
    callback=_position,
    help="Begin after this position, such as 17.k3jx.",
)
@click.option(
    "--last",
    type=click.IntRange(min=1),
    help="Begin with so many of the latest, without --since or where that is too old.",
)
@backend_option
def watch(
    url: str, group: str, since: Position | None, last: int | None, backend: str
) -> None:
    """Print what is published to GROUP, as it comes, until Ctrl+C.

    Each line says when it came, its position, and the message as JSON. In groups with
    presence: who came (+), told something new (~) and left (-).
    """
    wants_history = since is not None or last is not None
    groups = Groups(url, [_declare(url, group, wants_history=wants_history)])
    log = logging.getLogger("consumers")
    log.addHandler(_Notes())
    log.setLevel(logging.INFO)
    try:
        work = partial(_watch, groups, group, since, last)
        run_until_interrupted(work, backend)
    except* (KeyboardInterrupt, SystemExit):
        pass  # Ctrl+C, or whoever reads this has ended
