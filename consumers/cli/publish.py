"""``consumers publish``: publish one message to a group."""

from __future__ import annotations

import click

from consumers.cli.brokers import group_argument, parse_json, url_argument
from consumers.groups import Groups

__all__ = ["publish"]


@click.command(short_help="Publish a message to a group.")
@url_argument
@group_argument
@click.argument("json")
@click.option(
    "--idempotency-key",
    metavar="KEY",
    help="What tells a repetition, which is not published.",
)
def publish(url: str, group: str, json: str, idempotency_key: str | None) -> None:
    """Publish the message JSON to GROUP, in all processes that use URL.

    Prints its position, if the group has a history.
    """
    groups = Groups(url)
    message = parse_json(json)
    position = groups.sync.publish(group, message, idempotency_key=idempotency_key)
    groups.sync.close()
    if position is not None:
        click.echo(position)
