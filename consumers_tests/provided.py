"""Providers that tell what becomes of them, and a consumer that asks for one."""

from collections.abc import AsyncIterator, Iterator
from typing import Annotated

import anyio
from starlette.exceptions import HTTPException

from consumers import Provide, WebSocketConsumer

__all__ = ["DOWN", "UP", "Line", "async_generator", "generator", "log"]

log: list[str] = []
"""What has happened; emptied before each test."""


def generator() -> Iterator[str]:
    """Log its life; the exception that ends it too."""
    log.append("sync up")
    try:
        yield "sync"
    except BaseException as error:
        log.append(f"sync saw {type(error).__name__}")
        raise
    finally:
        log.append("sync down")


async def async_generator(
    below: Annotated[str, Provide(generator)],
) -> AsyncIterator[str]:
    """Log its life, on top of another's."""
    log.append("async up")
    try:
        yield f"async on {below}"
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.lowlevel.checkpoint()
        log.append("async down")


class Line(WebSocketConsumer):
    """Answers with what was provided, per message."""

    async def on_receive(
        self, message: str, it: Annotated[str, Provide(async_generator)]
    ) -> None:
        log.append(message)
        if message == "raise":
            raise ValueError(message)
        if message == "refuse":
            raise HTTPException(403)
        if message == "wait":
            await self.send("waiting")
            await anyio.sleep_forever()
        await self.send(it)


UP, DOWN = ["sync up", "async up"], ["async down", "sync down"]
