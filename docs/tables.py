"""Tables that the documentation takes from the code, as Markdown."""

import re
from collections.abc import Iterable
from dataclasses import fields

import click
from sphinx.pycode import ModuleAnalyzer

from consumers.cli import COMMANDS
from consumers.close import CLOSE_CODES
from consumers.consumer import WebSocketConsumer
from consumers.handlers.settings import SETTINGS
from consumers.limits import Limits
from consumers.server.options import Options

__all__ = ["SUBSTITUTIONS"]

_ROLE = re.compile(r":[\w:]+:`~?([^`]+)`")


def table(heading: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a table, its first row the heading."""
    titles = list(heading)
    lines = [titles, ["---"] * len(titles), *(list(map(_cell, row)) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _code(value: object) -> str:
    return f"`{value}`"


def described(module: str, owner: str) -> dict[str, str]:
    """Return what is written under each attribute of a class: {name: text}."""
    found = ModuleAnalyzer.for_module(module).find_attr_docs()
    return {
        name: _ROLE.sub(r"`\1`", " ".join(lines).strip())
        for (where, name), lines in found.items()
        if where == owner
    }


def close_codes() -> str:
    """Return the registry of close codes."""
    return table(
        ("Code", "Name", "Who sends it", "When", "Should the client return?"),
        (
            (
                _code(row.code),
                row.name,
                row.sent_by,
                row.when,
                "yes" if row.returns else "no",
            )
            for row in CLOSE_CODES.values()
        ),
    )


def settings() -> str:
    """Return the settings of a consumer."""
    texts = described("consumers.delivery", "Delivery")
    texts |= described("consumers.consumer", "WebSocketConsumer")
    return table(
        ("Setting", "Default", "Meaning"),
        (
            (_code(name), _code(repr(getattr(WebSocketConsumer, name))), texts[name])
            for name in SETTINGS
        ),
    )


def limits() -> str:
    """Return the bounds of a connection."""
    texts = described("consumers.limits", "Limits")
    return table(
        ("Limit", "Default", "Meaning"),
        (
            (_code(field.name), _code(field.default), texts[field.name])
            for field in fields(Limits)
        ),
    )


def command(name: str) -> str:
    """Return the options of a command."""
    (found,) = (each for each in COMMANDS if each.name == name)
    rows = []
    for option in found.params:
        if isinstance(option, click.Option):
            names = " / ".join(_code(each) for each in (*option.opts, *_off(option)))
            rows.append((names, _default(option), option.help))
    return table(("Option", "Default", "Meaning"), rows)


def _off(option: click.Option) -> list[str]:
    return option.secondary_opts


def _default(option: click.Option) -> str:
    known = {field.name: field.default for field in fields(Options)}
    shown = option.default if option.show_default else None
    value = known.get(option.name or "", shown)
    if value is None or value is False or value in ("", ()):  # 0.0 is one
        return ""
    return "on" if value is True else _code(value)


SUBSTITUTIONS = {
    "close_codes": close_codes(),
    "settings": settings(),
    "limits": limits(),
    **{f"{each.name}_options": command(each.name or "") for each in COMMANDS},
}
"""What pages write as ``{{ name }}``."""
