"""``consumers run``: serve an application."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, fields
from typing import Any, Final

import click

from consumers.server import Options
from consumers.server import run as serve_until_signal
from consumers.server.options import CHOICES

__all__ = ["option", "run"]

_NAMES: Final = {"reload_dirs": "--reload-dir"}
"""Options whose name is not their field's."""


class _Seconds(click.ParamType[Any]):
    """A number, or "off"."""

    name = "seconds|off"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        """Return the number, or None for "off"."""
        if value == "off":
            return None
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number nor 'off'", param, ctx)


_KINDS: Final[dict[str, click.ParamType[Any] | type]] = {
    "int": int,
    "float": float,
    "int | None": int,
    "float | None": _Seconds(),
}


def option(field: Field[Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a command's option of a field of `Options`."""
    name = _NAMES.get(field.name, f"--{field.name.replace('_', '-')}")
    settings: dict[str, Any] = {"help": field.metadata["help"]}
    if field.type == "bool":
        if field.default is True:
            name = f"{name}/--no-{name[2:]}"
        settings["is_flag"] = True
    elif field.name in CHOICES:
        settings["type"] = click.Choice(CHOICES[field.name])
    elif field.type == "tuple[str, ...]":
        settings["multiple"] = True
    else:
        settings["type"] = _KINDS.get(str(field.type), str)
    unset = field.default is None or field.default is False  # 0.0 is equal to it
    shown = not unset and field.default not in ("", ())
    return click.option(
        name, field.name, default=field.default, show_default=shown, **settings
    )


def _all_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for field in reversed(fields(Options)):
        command = option(field)(command)
    return command


@click.command(short_help="Serve an application.")
@click.argument("app", metavar="MODULE:APP")
@_all_options
def run(app: str, **settings: Any) -> None:
    """Serve the ASGI application APP of MODULE until Ctrl+C or SIGTERM."""
    serve_until_signal(app, **settings)
