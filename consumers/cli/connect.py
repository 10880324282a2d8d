"""``consumers connect``: talk to a server by hand, or by a program's pipe."""

from __future__ import annotations

import math
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import anyio
import click

from consumers.cli.conversing import converse, converse_plainly
from consumers.cli.interrupt import backend_option, run_until_interrupted
from consumers.cli.keyboard import Keyboard, editing
from consumers.cli.output import show_line
from consumers.cli.screen import Screen
from consumers.client import Client, Ended, Transport
from consumers.client import connect as client_of
from consumers.client.link import Link, check_url, open_link
from consumers.clock import current_clock
from consumers.errors import ConfigurationError, MessageError
from consumers.protocol.frames import VERSION

__all__ = ["connect"]

_FAILED = 1
_DEADLINE = 10.0


def _headers(
    _: click.Context, __: click.Parameter, given: tuple[str, ...]
) -> dict[str, str]:
    headers = {}
    for each in given:
        name, colon, value = each.partition(":")
        if not colon or not name.strip():
            raise ConfigurationError(
                f"a header such as 'X-Shop: 7' was expected, got {each!r}"
            )
        headers[name.strip()] = value.strip()
    return headers


def _url(_: click.Context, __: click.Parameter, url: str) -> str:
    check_url(url)
    return url


async def _connect(
    url: str,
    token: str | None,
    headers: Mapping[str, str],
    *,
    plain: bool,
    wait: float,
) -> int:
    interactive = sys.stdin.isatty() and sys.stdout.isatty()
    keyboard = Keyboard(interactive=interactive)
    screen = Screen(keyboard, interactive=interactive)
    shown = {} if token is None else {"Authorization": f"Bearer {token}"}
    offered = () if plain else (f"{VERSION}+json",)
    clock = current_clock.get()
    with anyio.CancelScope() as opening:
        clock.cancel_after(opening, _DEADLINE)
        async with open_link(url, offered, {**headers, **shown}) as link:
            clock.cancel_after(opening, math.inf)
            async with keyboard.reading():
                if link.subprotocol is None:
                    quiet = 0 if interactive else wait
                    return await converse_plainly(link, keyboard, screen, wait=quiet)
                errors: list[Callable[[MessageError], None]] = []
                client = _client_over(link, url, token, headers, errors)
                return await converse(
                    client, errors, keyboard, screen, wait=wait, strict=not interactive
                )
    raise Ended(1006, f"{url} did not answer within {_DEADLINE:g} seconds")


def _client_over(
    link: Link,
    url: str,
    token: str | None,
    headers: Mapping[str, str],
    errors: list[Callable[[MessageError], None]],
) -> Client:
    """Return a client whose first connection is open already."""
    links = [link]

    @asynccontextmanager
    async def dial(
        url: str, subprotocols: Sequence[str], headers: Mapping[str, str]
    ) -> AsyncIterator[Transport]:
        if links:
            try:
                yield links.pop()
            finally:
                await link.drop()
            return
        async with open_link(url, subprotocols, headers) as another:
            yield another

    def show_error(error: MessageError) -> None:
        for show in errors:
            show(error)

    return client_of(
        url, token=token, headers=headers, transport=dial, on_error=show_error
    )


@click.command(short_help="Talk to a server: type JSON, see messages.")
@click.argument("url", callback=_url)
@click.option("--token", help="The credential, sent as Authorization: Bearer.")
@click.option(
    "--header",
    "headers",
    multiple=True,
    metavar="NAME:VALUE",
    callback=_headers,
    help="A header of the handshake; may be given several times.",
)
@click.option("--plain", is_flag=True, help="Do not offer consumers.v1.")
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="At the end of a pipe: seconds without a message before it ends.",
)
@backend_option
def connect(url: str, backend: str, **settings: Any) -> None:
    """Talk to the consumer at URL, such as ws://127.0.0.1:8000/chat/lobby.

    In a terminal: type JSON, see what comes; /help shows the commands. Through a pipe:
    each line is sent, and each message that comes is printed as a line of JSON.

    Speaks consumers.v1 where the server does, and reconnects; else plain messages.
    """
    interactive = sys.stdin.isatty() and sys.stdout.isatty()
    code = 0

    async def run() -> None:
        nonlocal code
        code = await _connect(
            url,
            settings["token"],
            settings["headers"],
            plain=settings["plain"],
            wait=settings["wait"],
        )

    with editing() if interactive else nullcontext():
        try:
            run_until_interrupted(run, backend)
        except* (KeyboardInterrupt, BrokenPipeError):
            pass  # Ctrl+C on Windows, or whoever reads this has ended
        except* Ended as group:
            [error] = group.exceptions
            show_line(str(getattr(error, "reason", "")))
            code = _FAILED
    if code:
        raise click.exceptions.Exit(code)
