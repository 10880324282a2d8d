"""Starlette's own tests of HTTP, with its applications served instead of called.

`make starlette` runs them, with this module as a plugin of pytest: what their client
asks goes over a socket to our server on trio, or with ``SERVED_BY=uvicorn`` to uvicorn
with `h11`, to compare. Tests of WebSockets, and of the client itself, are left out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Self

import httpx2
import pytest
import starlette.testclient

from consumers_tests.conformance.servers import Server, reference, serving

__all__ = ["LEFT_OUT", "ServedClient"]

LEFT_OUT = {
    "test_testclient.py": "about the client that is not used here",
    "test_websockets.py": "about WebSockets",
    "test_opentelemetry.py": "about a package that is not here",
    "websocket": "about WebSockets",
    "test_request_headers": "lists what their client sends by itself",
    "test_staticfiles_with_invalid_dir_permissions": "fails where root runs it",
}
"""``{part of a test's name: why it is not run}``."""

_opened: list[ServedClient] = []


class _ToServer(httpx2.HTTPTransport):
    """Asks one address, whatever the URL says."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self._server = server

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.url = request.url.copy_with(
            scheme="http", host=self._server.host, port=self._server.port
        )
        return super().handle_request(request)


class ServedClient(httpx2.Client):
    """Starlette's client for tests, as far as its tests of HTTP use it."""

    __test__ = False

    def __init__(
        self,
        app: Any,
        base_url: str = "http://testserver",
        raise_server_exceptions: bool = True,
        root_path: str = "",
        backend: str = "trio",
        backend_options: dict[str, Any] | None = None,
        cookies: Any = None,
        headers: dict[str, str] | None = None,
        follow_redirects: bool = True,
        client: tuple[str, int] = ("testclient", 50000),
    ) -> None:
        self.app = app
        self.raised: list[BaseException] = []
        self._stack = ExitStack()
        self._raises = raise_server_exceptions
        self._root_path = root_path
        self._started = False
        super().__init__(
            base_url=base_url,
            headers={"user-agent": "testclient", **(headers or {})},
            follow_redirects=follow_redirects,
            cookies=cookies,
            trust_env=False,
        )
        _opened.append(self)

    async def _called(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self.app(scope, receive, send)
        except BaseException as error:
            self.raised.append(error)
            raise

    def _start(self) -> None:
        if self._started:
            return
        self._started = True
        if os.environ.get("SERVED_BY") == "uvicorn":
            server = self._stack.enter_context(reference(self._called))
        else:
            server = self._stack.enter_context(
                serving(
                    self._called,
                    "trio",
                    graceful_timeout=0.2,
                    root_path=self._root_path,
                )
            )
        transport = self._stack.enter_context(_ToServer(server))
        self._mounts = {}
        self._transport = transport

    def send(self, request: httpx2.Request, **settings: Any) -> httpx2.Response:
        self._start()
        try:
            return super().send(request, **settings)
        except httpx2.RemoteProtocolError:
            if not self.raised:
                raise
            return httpx2.Response(500, request=request)
        finally:
            if self.raised and self._raises:
                raise self.raised.pop()

    def __enter__(self) -> Self:
        self._start()
        if self.raised:
            raise self.raised.pop()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the server."""
        self._stack.close()

    def websocket_connect(self, *args: Any, **settings: Any) -> None:
        pytest.skip("about WebSockets")


@pytest.fixture(autouse=True)
def servers_end() -> Iterator[None]:
    """End what a test has started."""
    yield
    while _opened:
        _opened.pop().stop()


def pytest_configure(config: pytest.Config) -> None:
    """Give the tests another client, before they import theirs."""
    starlette.testclient.TestClient = ServedClient  # type: ignore[misc,assignment]


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Leave out what is not about HTTP, and the loop that is uvicorn's."""
    items[:] = [
        item
        for item in items
        if "test_client_factory" in getattr(item, "fixturenames", ())
        and "[asyncio" not in item.name
        and not any(name in item.nodeid for name in LEFT_OUT)
    ]
