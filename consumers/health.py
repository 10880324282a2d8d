"""Health: what tells an orchestrator if a process lives, and if it is ready.

The answers say no more than a reason: whoever can reach them reads them. What is wrong
with the layer is logged.
"""

from __future__ import annotations

import logging
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from .clock import move_on_after
from .groups import Groups
from .runtime.registry import current_registry

__all__ = ["health_routes"]

log: Final = logging.getLogger("consumers")

_PATIENCE: Final = 3.0
"""Seconds that the layer has to answer in, in virtual time too. Orchestrators wait for
one to ten."""

_UNCACHED: Final = {"cache-control": "no-store"}


def health_routes(groups: Groups) -> list[Route]:
    """Return the routes ``/healthz`` and ``/readyz``, for any table of Starlette's.

    ``App(health=True)`` has them; elsewhere:
    ``FastAPI(routes=[*health_routes(groups)], lifespan=groups.lifespan)``.

    ``/healthz`` answers 200 as long as the event loop runs. ``/readyz`` answers 200, or
    503 with the ``reason``: ``"starting"`` where the lifespan of ``groups`` does not
    run on this event loop, ``"draining"`` where the server is about to end, ``"layer"``
    where the broker does not answer.
    """

    async def ready(_request: Request) -> Response:
        reason = await _unready(groups)
        if reason is None:
            return JSONResponse({"ready": True}, headers=_UNCACHED)
        return JSONResponse(
            {"ready": False, "reason": reason}, status_code=503, headers=_UNCACHED
        )

    return [Route("/healthz", _alive), Route("/readyz", ready)]


async def _alive(_request: Request) -> Response:
    return PlainTextResponse("ok\n", headers=_UNCACHED)


async def _unready(groups: Groups) -> str | None:
    if current_registry().draining:
        return "draining"
    if not groups.is_running:
        return "starting"
    detail = f"no answer within {_PATIENCE} s"
    with move_on_after(_PATIENCE):
        health = await groups.health()
        if health.ok:
            return None
        detail = health.detail
    log.warning("not ready: the layer: %s", detail)
    return "layer"
