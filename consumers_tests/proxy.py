"""A proxy in a thread, for links that stall, break, or speak TLS."""

from __future__ import annotations

import ssl
from concurrent.futures import Future
from contextlib import AsyncExitStack, ExitStack, suppress
from typing import Any, Final, Self

import anyio
from anyio import CancelScope, create_task_group
from anyio.abc import ByteStream, Listener, TaskStatus
from anyio.from_thread import BlockingPortal, start_blocking_portal
from anyio.streams.tls import TLSListener

from consumers_tests.valkey import PATIENCE, free_port

__all__ = ["Proxy"]

_ENDS: Final = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)


class Proxy:
    """Forwards what comes to its own port to another one on loopback.

    ``certificate``: the PEM file, key included, with which it speaks TLS to its
    clients, but not behind itself. As a context manager it runs, in a thread with an
    event loop of its own; its methods may be called from any other thread.
    """

    def __init__(self, target: int, *, certificate: str | None = None) -> None:
        self.port = free_port()
        self._target = target
        self._context: ssl.SSLContext | None = None
        if certificate is not None:
            self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            self._context.load_cert_chain(certificate)
        self._links: set[CancelScope] = set()
        self._open = (anyio.Event(), anyio.Event())  # to the target, and back
        self._listening: tuple[Future[None], CancelScope] | None = None
        self._stack = ExitStack()
        self._portal: BlockingPortal

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._links)

    def __enter__(self) -> Self:
        self._portal = self._stack.enter_context(start_blocking_portal("asyncio"))
        self.resume()
        return self

    def __exit__(self, *error: object) -> None:
        self.refuse()
        self._stack.close()

    def stall(self) -> None:
        """Accept connections, and forward nothing more, either way."""
        self._portal.call(self._stall, 0, 1)

    def mute(self) -> None:
        """Forward what clients say, and none of the answers."""
        self._portal.call(self._stall, 1)

    def cut(self) -> None:
        """Close all connections; new ones are accepted."""
        self._portal.call(self._cut)

    def refuse(self) -> None:
        """Close all connections, and accept no more."""
        if self._listening is not None:
            ended, scope = self._listening
            self._portal.call(scope.cancel)
            ended.result(PATIENCE)
            self._listening = None

    def resume(self) -> None:
        """Accept and forward again; what was held by :meth:`stall` goes on."""
        self._portal.call(self._resume)
        if self._listening is None:
            self._listening = self._portal.start_task(self._listen)

    async def _stall(self, *directions: int) -> None:
        there, back = self._open
        self._open = (
            anyio.Event() if 0 in directions else there,
            anyio.Event() if 1 in directions else back,
        )

    async def _resume(self) -> None:
        for way in self._open:
            way.set()

    async def _cut(self) -> None:
        with anyio.fail_after(PATIENCE):
            while self._links:
                for link in self._links:
                    link.cancel()
                await anyio.sleep(0.001)

    async def _listen(self, *, task_status: TaskStatus[CancelScope]) -> None:
        listener: Listener[Any] = await anyio.create_tcp_listener(
            local_host="127.0.0.1", local_port=self.port
        )
        if self._context is not None:
            listener = TLSListener(listener, self._context, standard_compatible=False)
        with CancelScope() as scope:
            async with listener:
                task_status.started(scope)
                await listener.serve(self._forward)

    async def _forward(self, client: ByteStream) -> None:
        with CancelScope() as link:
            self._links.add(link)
            try:
                await self._connect(client)
            finally:
                self._links.discard(link)

    async def _connect(self, client: ByteStream) -> None:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(client)
            with suppress(OSError):
                server = await anyio.connect_tcp("127.0.0.1", self._target)
                await stack.enter_async_context(server)
                async with create_task_group() as tasks:
                    both = tasks.cancel_scope
                    tasks.start_soon(self._pass_on, 0, client, server, both)
                    tasks.start_soon(self._pass_on, 1, server, client, both)

    async def _pass_on(
        self, way: int, source: ByteStream, target: ByteStream, link: CancelScope
    ) -> None:
        with suppress(*_ENDS):
            while True:
                data = await source.receive()
                await self._open[way].wait()
                await target.send(data)
        link.cancel()
