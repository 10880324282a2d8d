"""What the connections of one server on trio have in common."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol
from urllib.parse import quote

import trio

from consumers.errors import was_logged
from consumers.handshake.credentials import redacted
from consumers.server.exchange import Settings
from consumers.server.lifespan import ASGIApplication
from consumers.server.options import Options
from consumers.server.trio_transport import Gone, Loop, Transport

__all__ = ["Connection", "Server", "target_of"]

logger: Final = logging.getLogger("consumers.server")
access: Final = logging.getLogger("consumers.access")


class Connection(Protocol):
    """One that is open."""

    transport: Transport

    def shutdown(self) -> None:
        """Begin to end: the server does."""


class Server:
    """One server on trio: its application, and who is connected."""

    def __init__(
        self,
        app: ASGIApplication,
        options: Options,
        state: dict[str, Any],
        loop: Loop,
        nursery: trio.Nursery,
    ) -> None:
        self.app = app
        self.options = options
        self.state = state
        """What each connection's scope gets a copy of."""
        self.loop = loop
        self.nursery = nursery
        """Where the application's calls run."""
        self.settings = Settings(
            options.ws_max_size, options.deflate, options.ws_max_frames
        )
        self.connections: set[Connection] = set()
        """Those whose sockets are open."""
        self.calls: set[trio.CancelScope] = set()
        """Each of the application's calls."""
        self.over: trio.Event | None = None
        """Set with the end of the last of them, once somebody waits for it."""
        self.ending = False
        """Whether nothing new may begin."""

    async def call(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[Mapping[str, Any]]],
        send: Callable[[Mapping[str, Any]], Awaitable[None]],
    ) -> bool:
        """Call the application; tell whether it returned as it should.

        What it raises is logged, unless that is in the log already, or is only its
        learning that the client left.
        """
        # Shielded: a server that is cancelled ends its connections itself, in order.
        cancelling = trio.CancelScope(shield=True)
        self.calls.add(cancelling)
        try:
            with cancelling:
                await self.app(scope, receive, send)
        except Exception as error:
            if not _says_gone(error) and not was_logged(error):
                logger.error("exception in the ASGI application", exc_info=error)
            return False
        finally:
            self.calls.discard(cancelling)
            if self.over is not None and not self.calls:
                self.over.set()
        return not cancelling.cancelled_caught

    def log_access(
        self, client: tuple[str, int] | None, text: str, *arguments: object
    ) -> None:
        """Log a request or a handshake, and what came of it."""
        if self.options.access_log and access.isEnabledFor(logging.INFO):
            address = f"{client[0]}:{client[1]}" if client else ""
            access.info(f"%s - {text}", address, *arguments)


def target_of(scope: Mapping[str, Any]) -> str:
    """Return path and query, as the log has them: without credentials."""
    path, query = quote(scope["path"]), scope["query_string"]
    return redacted(f"{path}?{query.decode('ascii')}") if query else path


def _says_gone(error: BaseException) -> bool:
    """Tell whether an exception is `Gone`, or was raised because of it."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, Gone):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
