"""The command line: ``consumers COMMAND``, or ``python -m consumers COMMAND``.

Each command is a file of its own, and is named in `COMMANDS`: ``connect``, ``groups``,
``publish``, ``routes``, ``run``, ``schema``, ``watch``. They share ``output``, what
those have in common that speak to a broker (``brokers``), and what runs until Ctrl+C
(``interrupt``). ``connect`` is more: ``conversing`` by a ``keyboard`` and a ``screen``.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import click

from consumers.cli.connect import connect
from consumers.cli.groups import groups
from consumers.cli.output import show_error, show_line
from consumers.cli.publish import publish
from consumers.cli.routes import routes
from consumers.cli.run import run
from consumers.cli.schema import schema
from consumers.cli.watch import watch
from consumers.errors import ConfigurationError, LayerUnavailable

__all__ = ["main"]

COMMANDS: Final[tuple[click.Command, ...]] = (
    run,
    routes,
    publish,
    watch,
    groups,
    connect,
    schema,
)

USAGE_ERROR: Final = 2
"""Exit code of whatever the caller has to change, as click's own."""

UNAVAILABLE: Final = 1
"""Exit code where a broker can't be reached, which is nobody's mistake here."""


class _Commands(click.Group):
    """Tells every command's configuration errors in the same way."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            show_error(error)
            ctx.exit(USAGE_ERROR)
        except LayerUnavailable as error:
            show_line(str(error))
            ctx.exit(UNAVAILABLE)


def _show_version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if not asked:
        return
    try:
        number = version("anyio-consumers")
    except PackageNotFoundError:
        number = "(not installed: imported from its source)"
    click.echo(f"consumers {number}")
    ctx.exit()


@click.group(
    cls=_Commands,
    commands=COMMANDS,
    context_settings={
        "auto_envvar_prefix": "CONSUMERS",
        "help_option_names": ["-h", "--help"],
    },
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Show the version and exit.",
)
def main() -> None:
    """Class-based WebSocket applications for ASGI, on asyncio and on trio.

    Each option can be set in the environment too: CONSUMERS_RUN_PORT=9000.
    """
