"""FastAPI's `Depends`, `Query`, `Header` and `Cookie` in hooks."""

from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import pytest
from fastapi import (
    APIRouter,
    Cookie,
    Depends,
    FastAPI,
    Header,
    HTTPException,
    Path,
    Query,
    WebSocketException,
)
from fastapi import WebSocket as FastAPIWebSocket
from fastapi.requests import HTTPConnection
from starlette.applications import Starlette
from starlette.types import ASGIApp

from consumers import App, WebSocket, WebSocketConsumer, WebSocketRoute
from consumers.testing import Refused, TestClient

log: list[str] = []


@pytest.fixture(autouse=True)
def _empty_log() -> None:
    log.clear()


def settings() -> str:
    """Be replaced by tests."""
    return "settings"


async def session(below: Annotated[str, Depends(settings)]) -> AsyncIterator[str]:
    """Log its life."""
    log.append("up")
    try:
        yield f"session of {below}"
    except ValueError as error:
        log.append(f"saw {error}")
        raise
    finally:
        log.append("down")


def blocking() -> Iterator[str]:
    """Run in a worker thread, as FastAPI has it."""
    yield "from a thread"


class Line(WebSocketConsumer):
    async def on_receive(
        self,
        message: str,
        session: Annotated[str, Depends(session)],
        thread: str = Depends(blocking),
    ) -> None:
        log.append(message)
        if message == "raise":
            raise ValueError(message)
        await self.send(f"{session}, {thread}")


def in_fastapi(endpoint: Any, path: str = "/ws") -> FastAPI:
    """Return a FastAPI with a consumer in a router."""
    router = APIRouter()
    router.routes.append(WebSocketRoute(path, endpoint))
    app = FastAPI()
    app.include_router(router)
    return app


async def refusal(app: ASGIApp, path: str = "/ws", **options: Any) -> Refused:
    """Return how a handshake is refused."""
    async with TestClient(app) as client:
        with pytest.raises(Refused) as caught:
            async with client.connect(path, **options):
                raise AssertionError
    return caught.value


@pytest.mark.parametrize(
    "app",
    [
        in_fastapi(Line),
        App([WebSocketRoute("/ws", Line)]),
        Starlette(routes=[WebSocketRoute("/ws", Line)]),
        Line,
    ],
    ids=["fastapi", "app", "starlette", "alone"],
)
async def test_dependencies_live_as_long_as_the_call(app: ASGIApp) -> None:
    """In any application, generators are torn down after each call of the hook."""
    async with TestClient(app) as client, client.connect("/ws") as ws:
        for message in ("a", "b"):
            await ws.send(message)
            assert await ws.receive() == "session of settings, from a thread"

    assert log == ["up", "a", "down", "up", "b", "down"]


async def test_a_generator_sees_what_the_hook_raised() -> None:
    """The teardown runs once, and the exception goes on."""
    async with TestClient(Line) as client, client.connect("/ws") as ws:
        await ws.send("raise")
        with pytest.raises(ValueError, match="raise"):
            await ws.receive()

    assert log == ["up", "raise", "saw raise", "down"]


async def test_overrides_of_fastapi_s_and_of_the_client() -> None:
    """Both replace a dependency, and the client's come first."""
    app = in_fastapi(Line)
    app.dependency_overrides[settings] = lambda: "FastAPI's"
    async with TestClient(app) as client:
        for overrides, expected in ((None, "FastAPI's"), (settings, "the client's")):
            with client.override(overrides or blocking, lambda: "the client's"):
                async with client.connect("/ws") as ws:
                    await ws.send("x")
                    assert f"session of {expected}" in str(await ws.receive())


async def test_a_dependency_refuses_before_accept() -> None:
    """By the exceptions that FastAPI has, however deep, in both first hooks."""

    def deep(kind: str = "") -> None:
        if kind == "http":
            raise HTTPException(402, "pay", {"x-price": "5"})
        if kind == "ws":
            raise WebSocketException(1008, "no")

    def nested(it: Annotated[None, Depends(deep)]) -> None: ...

    class Handshake(WebSocketConsumer):
        async def on_handshake(self, it: Annotated[None, Depends(nested)]) -> None: ...

    class Connect(WebSocketConsumer):
        async def on_connect(self, it: Annotated[None, Depends(nested)]) -> None:
            log.append("on_connect")

    for consumer in (Handshake, Connect):
        app = in_fastapi(consumer)
        error = await refusal(app, "/ws?kind=http")
        assert (error.status, error.body) == (402, b"pay")
        assert error.headers["x-price"] == "5"
        assert (await refusal(app, "/ws?kind=ws")).status == 403
    assert log == []


async def test_fastapi_s_parameters() -> None:
    """Headers, cookies and query parameters with FastAPI's constraints and aliases."""

    class Asking(WebSocketConsumer):
        async def on_connect(
            self,
            shop: int,
            page: Annotated[int, Query(ge=1, alias="p")] = 1,
            tags: list[str] = Query([]),  # noqa: B008
            user_agent: Annotated[str, Header()] = "",
            token: Annotated[str, Cookie()] = "",
        ) -> None:
            await self.send(f"{shop} {page} {tags} {user_agent} {token}")

    app = in_fastapi(Asking, "/{shop}")
    async with TestClient(app) as client:
        async with client.connect(
            "/7?p=2&tags=a&tags=b",
            headers={"user-agent": "test"},
            cookies={"token": "t"},
        ) as ws:
            assert await ws.receive() == "7 2 ['a', 'b'] test t"
        async with client.connect("/7", headers={"user-agent": "test"}) as ws:
            assert await ws.receive() == "7 1 [] test "

    error = await refusal(app, "/7?p=0")
    assert error.status == 400
    assert error.json() == {
        "errors": {"query.p": "Input should be greater than or equal to 1"}
    }


async def test_the_path_s_parameters_reach_dependencies() -> None:
    """By name, or by `Path`; one class may be routed to several paths."""

    def of_room(room: str, shop: Annotated[int, Path(ge=1)]) -> str:
        return f"{room} of {shop}"

    class Asking(WebSocketConsumer):
        async def on_connect(
            self, it: Annotated[str, Depends(of_room)], room: Annotated[str, Path()]
        ) -> None:
            await self.send(f"{it}, {room}")

    app = App(
        [
            WebSocketRoute("/{shop}/{room}", Asking),
            WebSocketRoute("/x/{shop}/in/{room}", Asking),
        ]
    )
    async with TestClient(app) as client:
        for path in ("/7/lobby", "/x/7/in/lobby"):
            async with client.connect(path) as ws:
                assert await ws.receive() == "lobby of 7, lobby"
    assert (await refusal(app, "/0/lobby")).json() == {
        "errors": {"path.shop": "Input should be greater than or equal to 1"}
    }


async def test_a_required_parameter_of_fastapi_s() -> None:
    """`Query()` without a default must be in the query, and that is said."""

    class Asking(WebSocketConsumer):
        async def on_handshake(self, key: Annotated[str, Query()]) -> None:
            self.key = key

        async def on_connect(self) -> None:
            await self.send(self.key)

    app = in_fastapi(Asking)
    assert (await refusal(app)).json() == {"errors": {"query.key": "Field required"}}
    async with TestClient(app) as client, client.connect("/ws?key=k") as ws:
        assert await ws.receive() == "k"


async def test_a_wrong_parameter_after_accept_is_the_client_s_fault() -> None:
    """A message's hook that asks for a missing header closes with 1008."""

    class Asking(WebSocketConsumer):
        async def on_receive(
            self, message: str, x_key: Annotated[str, Header()]
        ) -> None: ...

    async with TestClient(Asking) as client, client.connect("/ws") as ws:
        await ws.send("x")
        assert (await ws.receive_close()).code == 1008


async def test_a_dependency_reads_the_connection() -> None:
    """It may ask for FastAPI's connections; state of a middleware is there."""

    async def reading(
        ws: FastAPIWebSocket, connection: HTTPConnection, room: str
    ) -> str:
        return f"{ws.url.path} {connection.query_params} {room} {ws.state.word}"

    class Reading(WebSocketConsumer):
        async def on_connect(self, it: Annotated[str, Depends(reading)]) -> None:
            await self.send(it)

    app = in_fastapi(Reading, "/{room}")

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        scope.setdefault("state", {})["word"] = "hello"
        await app(scope, receive, send)

    async with TestClient(outer) as client, client.connect("/lobby?a=1") as ws:
        assert await ws.receive() == "/lobby a=1 lobby hello"


async def test_a_dependency_must_not_receive_or_send() -> None:
    """Accepting and sending are the consumer's; the error says so."""

    async def sending(ws: FastAPIWebSocket) -> None:
        await ws.accept()

    class Sending(WebSocketConsumer):
        async def on_connect(self, it: Annotated[None, Depends(sending)]) -> None: ...

    async with TestClient(Sending) as client:
        with pytest.raises(RuntimeError, match="a dependency must not receive or send"):
            async with client.connect("/ws"):
                raise AssertionError


async def test_a_router_s_dependencies_do_not_reach_a_consumer() -> None:
    """FastAPI calls those for its own routes alone; a hook has to ask for them."""

    def locked() -> None:
        raise HTTPException(403)

    class Open(WebSocketConsumer):
        async def on_connect(self) -> None:
            await self.send("open")

    class Locked(WebSocketConsumer):
        async def on_handshake(self, it: Annotated[None, Depends(locked)]) -> None: ...

    router = APIRouter()
    router.routes.append(WebSocketRoute("/open", Open))
    router.routes.append(WebSocketRoute("/locked", Locked))
    app = FastAPI(dependencies=[Depends(locked)])
    app.include_router(router, dependencies=[Depends(locked)])

    async with TestClient(app) as client, client.connect("/open") as ws:
        assert await ws.receive() == "open"
    assert (await refusal(app, "/locked")).status == 403


async def test_dependencies_in_a_view() -> None:
    """A function view may depend on things as well, until it returns."""
    app = FastAPI()

    async def view(
        ws: WebSocket, it: Annotated[str, Depends(session)], times: int = 1
    ) -> None:
        async for message in ws:
            await ws.send(f"{message} {it} {times}")

    app.router.routes.append(WebSocketRoute("/ws", view))
    async with TestClient(app) as client, client.connect("/ws?times=2") as ws:
        for message in ("a", "b"):
            await ws.send(message)
            assert await ws.receive() == f"{message} session of settings 2"

    assert log == ["up", "down"]


async def test_dependencies_in_on_disconnect() -> None:
    """The last hook has its own."""

    class Leaving(WebSocketConsumer):
        async def on_disconnect(
            self, code: int, it: Annotated[str, Depends(session)]
        ) -> None:
            log.append(f"{code} {it}")

    async with TestClient(Leaving) as client, client.connect("/ws"):
        pass

    assert log == ["up", "1000 session of settings", "down"]
