"""A dashboard: figures that are measured once, by one process, and shared by all.

Run it with ``consumers run --app-dir docs/examples dashboard.app:app``.
"""

import logging
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from consumers import (
    App,
    Groups,
    History,
    WebSocketConsumer,
    WebSocketRoute,
    sleep,
)

from . import machine

log = logging.getLogger("dashboard")

FIGURES = ("processors", "memory", "load", "network")

KEPT = 120
"""How many values of each figure a new page gets: two minutes."""


class Value(Struct, tag="value"):
    figure: str
    value: float
    at: float
    """Seconds since 1970."""
    by: int
    """The process that has measured it."""


groups = Groups(os.environ.get("GROUPS_URL", "memory://"))


# begin: source
@groups.source(
    "dash.{figure}",
    sends=Value,
    per="cluster",  # one process measures for all
    lease=3,  # if it is killed, another goes on after that many seconds
    linger=5,  # after the last page is closed it goes on for so long
    history=History(size=KEPT, ttl=60),
)
async def measured(figure: str) -> AsyncIterator[Value]:
    log.info("measuring %s", figure)
    try:
        measure = machine.meter(figure)
        while True:
            await sleep(1)
            yield Value(figure, measure(), time.time(), os.getpid())
    finally:
        log.info("measuring %s no longer", figure)


class Dashboard(WebSocketConsumer):
    """One page, with a chart for each figure. It sends nothing."""

    send_type = "json"

    async def on_connect(self) -> None:
        for figure in FIGURES:
            await self.join(measured(figure), last=KEPT)


# end: source


PAGE = Path(__file__).parent / "page.html"


async def page(request: Request) -> Response:
    return FileResponse(PAGE)


app = App([Route("/", page), WebSocketRoute("/figures", Dashboard)], groups=groups)
