"""`Connections`: one client's, one after the other, until it is closed."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any, Final

from anyio import CancelScope

from consumers.clock import current_clock, current_time, sleep
from consumers.protocol.frames import Welcome

from .errors import Closed
from .parts import Parts
from .reconnecting import Backoff, End, Reconnect
from .session import Session
from .state import State, States
from .transport import Dial, Ended

__all__ = ["QUIET", "Connections"]

log: Final = logging.getLogger("consumers.client")

QUIET: Final = frozenset({1000, 1005})
"""Close codes at which iterations simply end."""
_BROKEN: Final = 1006
_PROTOCOL_ERROR: Final = 1002


class Connections:
    """Connects, and connects again whenever a connection is lost."""

    def __init__(
        self,
        parts: Parts,
        dial: Dial,
        url: str,
        headers: Mapping[str, str],
        reconnect: Reconnect | None,
    ) -> None:
        """Prepare; see :func:`consumers.client.connect`."""
        self.id: str | None = None
        """The server's id of the connection that is live."""
        self.states: Final = States()
        """How it stands, and stood."""
        self.closed: Closed | None = None
        """Why there will be no other connection."""
        self._parts = parts
        self._dial = dial
        self._url = url
        self._headers = headers
        self._reconnect = reconnect
        self._session: Session | None = None
        self._serving: CancelScope | None = None
        self._leaving = False

    @property
    def why_closed(self) -> Closed:
        """As :attr:`closed`, where nothing comes any more."""
        assert self.closed is not None
        return self.closed

    async def leave(self, code: int, reason: str) -> None:
        """Close the connection that there is, and wait for the answer for a while."""
        self._leaving = True
        if self._session is not None:
            await self._session.close(code, reason)

    def finish(self, closed: Closed) -> None:
        """Let there be no other connection; whatever waits for one fails."""
        if self.closed is not None:
            return
        self.closed = closed
        if self._serving is not None:
            self._serving.cancel()
        parts, quietly = self._parts, closed.code in QUIET
        if parts.outgoing.messages:
            log.warning("%d messages were never sent", parts.outgoing.messages)
        parts.outgoing.close(closed)
        parts.subscriptions.close(closed, quietly=quietly)
        parts.messages.end()
        self.states.change(
            State(
                "closed",
                code=closed.code,
                reason=closed.reason,
                detail=closed.detail,
            )
        )

    async def serve(self) -> None:
        """Connect, and connect again, until the client is closed."""
        with CancelScope() as self._serving:
            if self.closed is None:
                await self._serve()

    async def _serve(self) -> None:
        backoff = Backoff(self._reconnect or Reconnect())
        credentials, renewed = self._parts.credentials, False
        end: End | None = None
        while True:
            if end is not None:
                self._change("connecting", backoff, end)
            end = await self._attempt()
            if self._leaving:
                return
            renewed = renewed and end.lived is None
            if end.wants_token and credentials.renewable and not renewed:
                credentials.forget()
                renewed = True
                continue
            if self._reconnect is None or end.wants_token or not end.returns:
                self.finish(Closed(end.code, end.reason, end.detail))
                return
            pause = backoff.pause(end)
            name = "offline" if end.offline else "waiting"
            self._change(name, backoff, end, current_time() + pause)
            await sleep(pause)

    async def _attempt(self) -> End:
        """Open a connection, and serve it until it ends."""
        parts, clock = self._parts, current_clock.get()
        with CancelScope() as opening:
            clock.cancel_after(opening, parts.deadline)
            try:
                offered, headers = await parts.credentials.shown()
            except Exception:
                log.exception("no token could be fetched")
                return End(_BROKEN, "no token could be fetched")
            try:
                offered = [parts.wire.subprotocol, *offered]
                headers = {**self._headers, **headers}
                async with self._dial(self._url, offered, headers) as transport:
                    clock.cancel_after(opening, math.inf)
                    if transport.subprotocol != parts.wire.subprotocol:
                        await transport.close(_PROTOCOL_ERROR, "")
                        spoken = parts.wire.subprotocol
                        return End(_PROTOCOL_ERROR, f"the server speaks no {spoken}")
                    self._session = Session(parts, transport, self._welcome)
                    return await self._session.run()
            except Ended as ended:
                return End(
                    ended.code,
                    ended.reason,
                    after=ended.after,
                    offline=ended.offline,
                )
            finally:
                self._session = self.id = None
                clock.cancel_after(opening, math.inf)
        return End(_BROKEN, "the server did not answer in time")

    def _welcome(self, welcome: Welcome) -> None:
        self.id = welcome.connection
        self.states.change(State("live"))

    def _change(
        self, name: Any, backoff: Backoff, end: End, at: float | None = None
    ) -> None:
        self.states.change(
            State(name, backoff.attempt, at, end.code, end.reason, end.detail)
        )
