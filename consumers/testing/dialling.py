"""Dialling: the Python client over a connection in process, in place of a network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from consumers.client import Ended
from consumers.close import refusal_code

from .outcomes import Closed, Refused

if TYPE_CHECKING:
    from .connection import ClientConnection

__all__ = ["Opening", "dial"]

Opening = Callable[..., "AbstractAsyncContextManager[ClientConnection]"]


class InProcess:
    """A connection, as a client of `consumers.client` uses it."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    @property
    def subprotocol(self) -> str | None:
        """What the application chose of what it was offered."""
        return self._connection.accepted_subprotocol

    async def send(self, message: str | bytes) -> None:
        """Hand a message over."""
        try:
            await self._connection.send(message)
        except Closed as closed:
            raise Ended(closed.code, closed.reason) from closed

    async def receive(self) -> str | bytes:
        """Wait for the next message, for as long as it takes."""
        while True:
            try:
                return await self._connection.receive()
            except TimeoutError:  # who waits has deadlines of its own
                continue
            except Closed as closed:
                raise Ended(closed.code, closed.reason) from closed

    async def close(self, code: int, reason: str) -> None:
        """Say goodbye."""
        await self._connection.close(code, reason)


@asynccontextmanager
async def dial(
    opening: Opening, url: str, subprotocols: Sequence[str], headers: Mapping[str, str]
) -> AsyncIterator[InProcess]:
    """Open a connection in process; see :data:`consumers.client.Dial`.

    Args:
        opening: ``connect`` of a `TestClient`.
        url: Its path and query count, and nothing else.
        subprotocols: What is offered.
        headers: Of the handshake.
    """
    parts = urlsplit(url)
    path = parts._replace(scheme="", netloc="").geturl() or "/"
    try:
        async with opening(
            path, subprotocols=subprotocols, headers=dict(headers)
        ) as connection:
            yield InProcess(connection)
    except Refused as refused:
        raise Ended(refusal_code(refused.status), str(refused)) from refused
