"""``consumers schema``: print what an application takes and sends, for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from consumers.cli.routes import loading_options
from consumers.errors import ConfigurationError
from consumers.schema import asyncapi, typescript
from consumers.server import Options
from consumers.server.loading import load, load_environment

__all__ = ["schema"]


@click.command(short_help="Print an application's AsyncAPI document, or TypeScript.")
@click.argument("app", metavar="MODULE:APP")
@click.option(
    "--format",
    "form",
    type=click.Choice(["asyncapi", "typescript"]),
    default="asyncapi",
    show_default=True,
    help="AsyncAPI 3.0 as JSON; or types and clients over consumers.js.",
)
@click.option("--title", help="Of the AsyncAPI document.")
@click.option(
    "--version",
    default="0.1.0",
    show_default=True,
    help="Of the application, for AsyncAPI.",
)
@click.option(
    "--server",
    "servers",
    multiple=True,
    metavar="URL",
    help="Where it runs, for AsyncAPI: ws://localhost:8000. May be repeated.",
)
@click.option(
    "--indent",
    type=click.IntRange(0, 8),
    default=2,
    show_default=True,
    help="Spaces per level of JSON; 0: all in one line.",
)
@click.option(
    "--client",
    default="./consumers.js",
    show_default=True,
    help="What the TypeScript imports consumers.js from.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to a file instead.",
)
@loading_options
def schema(
    app: str,
    *,
    form: str,
    title: str | None,
    version: str,
    servers: tuple[str, ...],
    indent: int,
    client: str,
    output: Path | None,
    **settings: Any,
) -> None:
    """Print what the application APP of MODULE takes and sends.

    Read from its URL table and its consumers, which do not run.
    """
    options = Options(**settings)
    if options.env_file is not None:
        load_environment(options.env_file)
    found = load(app, options)
    if form == "typescript":
        text = typescript(found, client=client)
    else:
        document = asyncapi(found, title=title, version=version, servers=servers)
        text = json.dumps(document, indent=indent or None, ensure_ascii=False) + "\n"
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"the output must be a file that can be written, got {str(output)!r}; "
            f"{error.strerror}"
        ) from error
