"""What the commands have in common that speak to a broker."""

from __future__ import annotations

import click
import msgspec

from consumers.errors import ConfigurationError, shorten
from consumers.groups import name_of

__all__ = ["group_argument", "parse_json", "url_argument"]


def _remote(_: click.Context, __: click.Parameter, url: str) -> str:
    if url.startswith("memory:"):
        raise ConfigurationError(
            f"the URL of a Redis or Valkey was expected, got {url!r}; what is in the "
            "memory of a server can't be reached from outside"
        )
    return url


def _named(_: click.Context, __: click.Parameter, group: str) -> str:
    try:
        return name_of(group).name
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


url_argument = click.argument("url", callback=_remote)
"""URL: that of the application's ``Groups``."""

group_argument = click.argument("group", callback=_named)
"""GROUP: the name of one group, such as ``chat.lobby``."""


def parse_json(text: str) -> object:
    """Return what a text in JSON says.

    Raises:
        ConfigurationError: It is none.
    """
    try:
        value: object = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise ConfigurationError(
            f"a message in JSON was expected, got {shorten(text)} ({error}); a text "
            "has quotes of its own, '\"hello\"'"
        ) from error
    return value
