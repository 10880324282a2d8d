"""`consumers.client.script`: the JavaScript client, served."""

import gzip
from collections.abc import Mapping
from pathlib import Path

import pytest
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware

import consumers.client
from consumers import App, WebSocketConsumer, WebSocketRoute
from consumers.client import script
from consumers.testing import Response, TestClient

FILE = Path(consumers.client.__file__).with_name("consumers.js")


class Echo(WebSocketConsumer):
    async def on_receive(self, message: str) -> None:
        await self.send(message)


async def fetched(
    headers: Mapping[str, str] | None = None, *, path: str = "/consumers.js"
) -> Response:
    app = App([script() if path == "/consumers.js" else script(path)])
    async with TestClient(app) as client:
        return await client.request("GET", path, headers=headers)


async def test_it_is_served_as_a_module_that_browsers_take() -> None:
    """With the type that they want, and asked for again each time."""
    response = await fetched()

    assert response.status == 200
    assert response.body == FILE.read_bytes()
    assert response.headers["content-type"] == "text/javascript; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_it_has_the_path_that_is_said() -> None:
    """Whichever that is, its name in the table is `consumers.js`."""
    assert (await fetched(path="/static/ws.js")).status == 200
    assert script("/static/ws.js").name == "consumers.js"


@pytest.mark.parametrize("form", ["{}", "W/{}", '"older", {}'])
async def test_who_has_it_does_not_get_it_again(form: str) -> None:
    """An ETag that is known answers with 304, however the cache writes it."""
    tag = (await fetched()).headers["etag"]

    again = await fetched({"if-none-match": form.format(tag)})

    assert (again.status, again.body) == (304, b"")
    assert again.headers["etag"] == tag


async def test_middleware_compresses_it() -> None:
    """Starlette's makes less than 7 KiB of it, and lets sockets through."""
    table = [WebSocketRoute("/echo", Echo), script()]
    app = App(table, middleware=[Middleware(GZipMiddleware)])
    async with TestClient(app) as client:
        whole = await client.request(
            "GET", "/consumers.js", headers={"accept-encoding": "gzip"}
        )
        async with client.connect("/echo") as connection:
            await connection.send_text("hi")
            assert await connection.receive_text() == "hi"

    assert whole.headers["content-encoding"] == "gzip"
    assert len(whole.body) < 7 * 1024
    assert gzip.decompress(whole.body) == FILE.read_bytes()


async def test_who_has_another_one_gets_it() -> None:
    """As after an upgrade."""
    assert (await fetched({"if-none-match": '"older"'})).status == 200
