"""``consumers routes``: print an application's URL table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import Any, NamedTuple

import click
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text
from starlette.routing import BaseRoute, Host, Mount, Route, WebSocketRoute

from consumers.cli.output import console
from consumers.cli.run import option
from consumers.consumer import WebSocketConsumer
from consumers.errors import ConfigurationError
from consumers.server import Options
from consumers.server.loading import load, load_environment

__all__ = ["Row", "loading_options", "routes", "table"]


class Row(NamedTuple):
    """One line of the URL table."""

    path: str
    """With the prefixes of the mounts around it."""
    kind: str
    """`websocket`, the HTTP methods, `mount` or `host`."""
    name: str
    """As in `url_path_for`: prefixes separated by colons."""
    endpoint: str
    """Module and qualified name."""
    parameters: str
    """What a consumer's hooks ask for, from path and query."""


def table(
    found: Iterable[BaseRoute], prefix: str = "", space: str = ""
) -> Iterator[Row]:
    """Yield the rows of a URL table, a mount's own routes after the mount."""
    for route in found:
        if isinstance(route, Mount | Host):
            where = route.path if isinstance(route, Mount) else f"//{route.host}"
            kind = "mount" if isinstance(route, Mount) else "host"
            path, name = prefix + where, _join(space, route.name)
            inner = list(route.routes or ())
            target = "" if inner else _qualified(route.app)
            yield Row(path or "/", kind, name, target, "")
            yield from table(inner, path, name)
        elif isinstance(route, WebSocketRoute):
            yield Row(
                prefix + route.path,
                "websocket",
                _join(space, route.name),
                _qualified(route.endpoint),
                ", ".join(_parameters(route.endpoint)),
            )
        elif isinstance(route, Route):
            yield Row(
                prefix + route.path,
                " ".join(sorted(route.methods or {"any method"})),
                _join(space, route.name),
                _qualified(route.endpoint),
                "",
            )
        else:
            yield Row(prefix, type(route).__name__, space, _qualified(route), "")


def _join(space: str, name: str | None) -> str:
    return ":".join(part for part in (space, name) if part)


def _qualified(endpoint: Any) -> str:
    named = endpoint if hasattr(endpoint, "__qualname__") else type(endpoint)
    return f"{named.__module__}.{named.__qualname__}"


def _parameters(endpoint: Any) -> Iterator[str]:
    if not (isinstance(endpoint, type) and issubclass(endpoint, WebSocketConsumer)):
        return  # Others take their parameters from the scope, unseen.
    plan = endpoint.prepare()
    seen = set()
    for hook in (plan.on_handshake, plan.on_connect):
        for parameter in hook.parameters if hook is not None else ():
            if parameter.name not in seen:
                seen.add(parameter.name)
                yield str(parameter)


def loading_options(command: Any) -> Any:
    """Add the options that say where an application is imported from."""
    for field in reversed(fields(Options)):
        if field.name in ("factory", "app_dir", "env_file"):
            command = option(field)(command)
    return command


@click.command(short_help="Print an application's URL table.")
@click.argument("app", metavar="MODULE:APP")
@loading_options
def routes(app: str, **settings: Any) -> None:
    """Print the URL table of the application APP of MODULE, first match first."""
    options = Options(**settings)
    if options.env_file is not None:
        load_environment(options.env_file)
    found = getattr(load(app, options), "routes", None)
    if not isinstance(found, Iterable):
        raise ConfigurationError(
            f"an application with a URL table was expected at {app!r}, got none; "
            "name an App, a Starlette or a FastAPI"
        )
    printed = Table(box=SIMPLE_HEAD)
    for heading in ("Path", "Kind", "Name", "Endpoint", "Parameters"):
        printed.add_column(heading)
    for row in table(found):
        printed.add_row(*(Text(cell) for cell in row))
    console().print(printed)
