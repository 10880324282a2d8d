"""The vigil: whether a client of `consumers.v1` is still there, and who it still is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import anyio
from starlette.exceptions import HTTPException

from consumers.clock import move_on_after
from consumers.errors import ConnectionClosed, MessageError
from consumers.handshake.allow import check_rules
from consumers.handshake.identity import known
from consumers.over_limit import exceeded
from consumers.protocol.frames import Ping

from .expiry import seconds_left
from .heartbeats import Heartbeats, current_heartbeats

if TYPE_CHECKING:
    from .runtime import Runtime

__all__ = ["Vigil"]

_SILENT: Final = 4408
"""Closes a connection that gives no sign of life. As 408, 'request timeout'."""


class Vigil:
    """Watches over one connection: its signs of life, and its newer credentials."""

    __slots__ = (
        "_beats",
        "_heard",
        "_number",
        "_runtime",
        "_sign",
    )

    def __init__(self, runtime: Runtime) -> None:
        """Prepare; :meth:`begin` begins."""
        self._runtime = runtime
        self._beats: Heartbeats | None = None  # until the end
        self._number = 0  # of the next look
        self._heard = False  # since the last look
        self._sign: anyio.Event | None = None  # waited for after a ping

    def begin(self) -> None:
        """Close where no sign of life comes."""
        self._beats = current_heartbeats()
        self._look_again()

    # -- signs of life --------------------------------------------------------------

    def hear(self) -> None:
        """Take note of a sign of life."""
        self._heard = True
        if self._sign is not None:
            self._sign.set()

    def look(self) -> None:
        """Ask for a sign of life, unless there was one since the last look."""
        if self._heard:
            self._look_again()
        else:
            self.spawn(self._ask)

    def spawn(self, function: Callable[[], Awaitable[Any]]) -> None:
        """Start a task that ends with the connection."""
        self._runtime.spawn(function)

    def end(self) -> None:
        """Look no more: the connection ends."""
        if self._beats is not None:
            self._beats.forget(self._number)
            self._beats = None

    def _look_again(self) -> None:
        self._heard = False
        heartbeat = self._runtime.consumer._bounds.heartbeat
        if self._beats is not None and heartbeat is not None:
            self._number = self._beats.tell(self, heartbeat)

    async def _ask(self) -> None:
        """Ping, and close where no sign of life comes."""
        timeout = self._runtime.consumer._bounds.heartbeat_timeout
        self._sign, sent = anyio.Event(), False
        with suppress(ConnectionClosed):
            with move_on_after(timeout):
                await self._runtime.session("ping").send(Ping())
                sent = True
                if not self._is_deaf():
                    await self._sign.wait()
            self._sign = None
            if self._heard or (sent and self._is_deaf()):
                self._look_again()
            else:
                text = "closed with %d: no sign of life for %g s after a ping"
                given = (_SILENT, timeout)
                exceeded("heartbeat_timeout", text, *given, by=self._runtime.consumer)
                self._runtime.end(_SILENT, "no sign of life")

    def _is_deaf(self) -> bool:
        """Tell whether signs of life wait behind messages that a method is to take.

        Not where that method waits for what the client can only say after them.
        """
        session = self._runtime.session("ping")
        return self._runtime.consumer._inbox.is_full() and not session.asking

    # -- credentials ----------------------------------------------------------------

    async def refresh(self, token: str) -> None:
        """Take a new credential. :meth:`taken` is due then, whatever happens.

        Cancelling leaves the old one.

        Raises:
            MessageError: It is not the one of this user, or no rule's any more.
        """
        consumer = self._runtime.consumer
        before = consumer._token, consumer.user, consumer.auth
        consumer._token = token
        try:
            await self._authenticate()
        except BaseException:
            consumer._token, consumer.user, consumer.auth = before
            raise

    async def taken(self) -> dict[str, float | None]:
        """Be found by the new credential, and end with it; return when that is."""
        await self._runtime.known()
        return {"expires": seconds_left(self._runtime.consumer.user)}

    async def _authenticate(self) -> None:
        """Have the application tell again who the client is, and whether it may."""
        consumer, authenticate = self._runtime.consumer, self._runtime.authenticate
        if authenticate is None:
            return
        try:
            identity = await authenticate(consumer)
            if identity is None or identity.identity != consumer.user.identity:
                raise MessageError("not_allowed", "not the user of this connection")
            consumer.user = known(identity)
            await check_rules(consumer, consumer._plan.allow)
        except HTTPException as error:
            raise MessageError("not_allowed", error.detail) from error
