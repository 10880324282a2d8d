"""``consumers groups``: what a broker knows of each group."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import click
import msgspec
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from consumers.cli.brokers import url_argument
from consumers.cli.output import console
from consumers.history import Position
from consumers.layers import Carried, Layer, Overview, layers_by_url

__all__ = ["groups"]


class _Nobody:
    """Gets what is published, and wants nothing of it."""

    def deliver(self, group: str, carried: Carried, position: Position | None) -> None:
        """Do nothing: nothing is subscribed."""

    def resumed(self) -> None:
        """Do nothing."""


async def _look(layer: Layer) -> list[Overview]:
    async with layer.running(_Nobody()):
        return await layer.overview()


@click.command(short_help="List the groups that a broker knows.")
@url_argument
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def groups(url: str, as_json: bool) -> None:
    """List the groups that have members, a history or presence, in all processes.

    Looking through a large broker may take long.
    """
    found = [
        each
        for each in anyio.run(_look, layers_by_url(url)())
        if not each.group.startswith("@")  # the framework's own
    ]
    if as_json:
        click.echo(msgspec.json.encode([_row(each) for each in found]).decode())
    else:
        console().print(_table(found))


def _row(each: Overview) -> dict[str, object]:
    return {
        "group": each.group,
        "processes": each.processes,
        "position": None if each.position is None else str(each.position),
        "kept": each.kept,
        "present": each.present,
    }


def _table(found: Sequence[Overview]) -> Table:
    table = Table(box=SIMPLE_HEAD)
    table.add_column("Group")
    table.add_column("Processes", justify="right")
    table.add_column("Position")
    table.add_column("Kept", justify="right")
    table.add_column("Present", justify="right")
    for each in found:
        cells = ("" if value is None else str(value) for value in _row(each).values())
        table.add_row(*map(Text, cells))
    return table
