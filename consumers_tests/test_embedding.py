"""Inside Starlette, FastAPI, Django, beside python-socketio: the examples, and more."""

from collections.abc import Iterator
from typing import Any

import anyio
import beside_socketio
import in_django
import in_fastapi
import in_starlette
import pytest
import socketio
import url_table
import with_basic_auth
import with_identity
import with_lifespan
import with_sessions
from django.db import connection
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.routing import WebSocketRoute as StarletteWebSocketRoute

from consumers import (
    App,
    ConfigurationError,
    Group,
    Groups,
    WebSocketConsumer,
    WebSocketRoute,
)
from consumers.testing import Closed, LiveServer, Refused, TestClient


class Echo(WebSocketConsumer):
    async def on_receive(self, message: str) -> None:
        await self.send(message)


async def refused(client: TestClient, path: str, **options: Any) -> Refused:
    """Return how a handshake was refused."""
    with pytest.raises(Refused) as caught:
        async with client.connect(path, **options):
            raise AssertionError
    return caught.value


# -- Starlette ------------------------------------------------------------------------


async def test_in_starlette() -> None:
    """Both kinds of routes take a class, and HTTP publishes to its members."""
    async with TestClient(in_starlette.app) as client:
        async with client.connect("/topics/art/news") as ws:
            assert await ws.receive() == "reading art"
            response = await client.request(
                "POST", "/topics/art/publish", content="a new picture"
            )
            assert response.status == 204
            assert await ws.receive() == "a new picture"
        async with client.connect("/echo") as ws:
            await ws.send("hello")
            assert await ws.receive() == "hello"


async def test_starlette_makes_urls_of_our_routes() -> None:
    """Names and mounts work as with its own routes."""
    app = Starlette(
        routes=[
            Mount(
                "/a",
                routes=[
                    WebSocketRoute("/{x}", Echo, name="ours"),
                    StarletteWebSocketRoute("/theirs/{x}", Echo, name="theirs"),
                ],
                name="a",
            )
        ]
    )

    assert app.url_path_for("a:ours", x="1") == "/a/1"
    assert app.url_path_for("a:theirs", x="1") == "/a/theirs/1"


# -- FastAPI --------------------------------------------------------------------------


async def test_in_fastapi() -> None:
    """The prefix's parameter, a dependency that refuses, and pydantic's messages."""
    async with TestClient(in_fastapi.app) as client:
        error = await refused(client, "/shops/7/orders")
        assert (error.status, error.body) == (401, b"log in first")
        error = await refused(client, "/shops/0/orders", cookies={"session": "ada"})
        assert error.status == 400
        assert error.json() == {"errors": {"shop": "Input should be greater than 0"}}

        cookies = {"session": "ada"}
        async with client.connect("/shops/7/orders", cookies=cookies) as ws:
            await ws.send({"item": "tea", "count": 2})
            assert await ws.receive_json() == {
                "shop": 7,
                "user": "ada",
                "order": {"item": "tea", "count": 2},
            }
            await ws.send({"item": "tea", "count": 0})
            assert (await ws.receive_close()).code == 1008


async def test_a_router_of_fastapi_s_keeps_our_routes() -> None:
    """With nested prefixes, settings, middleware, and both kinds of routes."""
    inner = APIRouter()
    inner.routes.append(WebSocketRoute("/ours", Echo, send_type="json"))
    inner.routes.append(StarletteWebSocketRoute("/theirs", Echo))
    stamp = Middleware(url_table.Stamped, word="stamped")
    inner.routes.append(
        WebSocketRoute("/stamped", url_table.Shop, mounted_at=None, middleware=[stamp])
    )
    inner.add_websocket_route("/added", Echo)  # type: ignore[arg-type]  # any ASGI app
    outer = APIRouter()
    outer.include_router(inner, prefix="/{shop}")
    app = FastAPI()
    app.include_router(outer, prefix="/api")

    async with TestClient(app) as client:
        for path, reply in (("ours", '"hi"'), ("theirs", "hi"), ("added", "hi")):
            async with client.connect(f"/api/7/{path}") as ws:
                await ws.send("hi")
                assert await ws.receive() == reply
        async with client.connect("/api/7/stamped") as ws:
            assert await ws.receive() == "stamped for 7"


def test_fastapi_s_own_decorators_are_for_functions() -> None:
    """A class would be refused by each client's handshake, and nobody told why."""

    class Silent(WebSocketConsumer):
        """Says nothing."""

    app = FastAPI()
    for route in (app.websocket("/a"), APIRouter().websocket("/b")):
        with pytest.raises(
            ConfigurationError, match=r"write app\.router\.routes\.append"
        ):
            route(Silent)
    with pytest.raises(ConfigurationError, match="routed by WebSocketRoute"):
        app.add_api_websocket_route("/c", Silent)


async def test_an_app_mounted_in_fastapi() -> None:
    """It has its own groups; the lifespan is passed on, with FastAPI's state."""
    board = Group("board", sends=str)
    inner = App(groups=Groups("memory://", [board]))

    @inner.websocket_route("/{name}")
    class Board(WebSocketConsumer):
        async def on_connect(self, name: str) -> None:
            await self.join(board)
            await self.send(f"{name} at {self.url_for('ws:Board', name='x').path}")

    app = FastAPI(lifespan=inner.lifespan)
    app.mount("/ws", inner, name="ws")

    @app.post("/say")
    async def say(text: str) -> None:
        await inner.groups.publish(board, text)

    async with TestClient(app) as client, client.connect("/ws/ada") as ws:
        assert await ws.receive() == "ada at /ws/x"
        assert (await client.request("POST", "/say?text=hello")).status == 200
        assert await ws.receive() == "hello"


# -- Django ---------------------------------------------------------------------------


@pytest.fixture
def notes() -> Iterator[None]:
    """Make the example's table, and remove its file."""
    with connection.schema_editor() as schema:
        schema.create_model(in_django.Note)
    connection.close()
    yield
    connection.close()
    in_django.FILE.unlink()


async def test_the_orm_of_django_works_in_a_thread(notes: None) -> None:
    """On every backend: each message is a row."""
    async with TestClient(in_django.app) as client:
        for count in (1, 2):
            async with client.connect("/ws/notes") as ws:
                await ws.send(f"note {count}")
                assert await ws.receive() == f"{count} notes"


@pytest.mark.parametrize(
    "anyio_backend", [("asyncio", {"use_uvloop": False})], ids=["asyncio"]
)
async def test_django_serves_http(notes: None) -> None:
    """Its views see what the sockets wrote; Django's own loop code wants asyncio."""
    async with TestClient(in_django.app) as client:
        async with client.connect("/ws/notes") as ws:
            await ws.send("hello")
            assert await ws.receive() == "1 notes"
        assert (await client.request("GET", "/notes/")).json() == {"notes": ["hello"]}
        assert (await client.request("GET", "/nothing")).status == 404
        assert (await refused(client, "/nothing")).status == 403


# -- python-socketio ------------------------------------------------------------------


def test_socketio_is_mounted_beside() -> None:
    """Its own client talks to it over real sockets, with our sockets at its side."""
    with LiveServer(beside_socketio.app) as server:
        listener, speaker = socketio.SimpleClient(), socketio.SimpleClient()
        with listener, speaker:
            for client in (listener, speaker):
                url = server.http_url("")
                client.connect(url, transports=["websocket"], wait_timeout=5)
            assert speaker.call("say", "hello", timeout=5) == "thank you"
            assert listener.receive(timeout=5) == ["said", {"text": "hello"}]


async def test_sockets_beside_socketio() -> None:
    """The mount takes nothing else."""
    app = beside_socketio.app
    async with TestClient(app) as client, client.connect("/echo") as ws:
        await ws.send("hello")
        assert await ws.receive() == "hello"


# -- Starlette's middleware inside an App -------------------------------------------


async def test_with_sessions() -> None:
    """Whoever logged in over HTTP is known to the socket."""
    async with TestClient(with_sessions.app) as client:
        assert (await refused(client, "/hello")).body == b"log in first"
        cookies = (await client.request("GET", "/login?name=Ada")).cookies
        async with client.connect("/hello", cookies=cookies) as ws:
            assert await ws.receive() == "Hello, Ada!"


@pytest.mark.parametrize(
    ("credentials", "greeting"),
    [(None, "stranger may nothing"), ("YWRhOmVuY2hhbnRyZXNz", "ada may write")],
)
async def test_with_basic_auth(credentials: str | None, greeting: str) -> None:
    """Users and their rights come from Starlette's middleware."""
    headers = {"authorization": f"Basic {credentials}"} if credentials else {}
    async with TestClient(with_basic_auth.app) as client:
        async with client.connect("/door", headers=headers) as ws:
            assert await ws.receive() == greeting
        wrong = {"authorization": "Basic YWRhOnd3dw=="}
        assert (await refused(client, "/door", headers=wrong)).status == 403


async def test_with_identity() -> None:
    """Each tab of a user gets what is for that user, and can be closed."""
    ada, bob = ({"token": f"t-{name}"} for name in ("ada", "bob"))
    async with TestClient(with_identity.app) as client:
        assert (await refused(client, "/inbox")).status == 401
        error = await refused(client, "/inbox", cookies={"token": "forged"})
        assert error.body == b"this token is not known"
        async with (
            client.connect("/inbox", cookies=ada) as first,
            client.connect("/inbox", cookies=ada) as second,
            client.connect("/inbox", cookies=bob) as other,
        ):
            for ws, name in ((first, "Ada"), (second, "Ada"), (other, "Bob")):
                assert await ws.receive() == f"Hello, {name}!"
            await client.request("POST", "/users/1/notify")
            for ws in (first, second):
                assert await ws.receive() == "You have mail."
            response = await client.request("POST", "/users/1/log-out")
            assert response.json() == {"closed": 2}
            for ws in (first, second):
                assert (await ws.receive_close()).code == 1008
            await other.receive_nothing()


async def test_url_table() -> None:
    """Convertors, hosts, prefixes, middleware and URLs from names."""
    async with TestClient(url_table.app) as client:
        async with client.connect("/rooms/7?lang=eo") as ws:
            url = "ws://testserver/rooms/8"
            assert await ws.receive() == f"room 7 in eo, then {url}"
        host = {"host": "tea.example.org"}
        async with client.connect("/", headers=host) as ws:
            assert await ws.receive() == "open for tea"
        async with client.connect("/api/cake/status") as ws:
            assert await ws.receive() == "open for cake"
        assert (await refused(client, "/rooms/x")).status == 403


async def test_with_lifespan() -> None:
    """State, values and work that outlive each connection."""
    async with TestClient(with_lifespan.app) as client:
        async with client.connect("/rows") as ws:
            assert await ws.receive() == "be nice"
            await ws.send("index")
            assert await ws.receive() == "1 rows"
        await client.advance(60)
        async with client.connect("/rows") as ws:
            assert await ws.receive() == "be nice"
            await ws.send("x")
            assert await ws.receive() == "3 rows"
            with pytest.raises(Closed):
                await closed(ws)
    assert with_lifespan.app.state.cleanings >= 1


async def closed(ws: Any) -> None:
    """Close, and wait for more."""
    await ws.close()
    with anyio.fail_after(5):
        await ws.receive()
