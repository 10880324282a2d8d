"""Starlette as its own documentation shows it: sockets, and HTTP of each kind."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from queue import Queue
from typing import Any, Literal

import anyio.lowlevel
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.datastructures import UploadFile
from starlette.endpoints import HTTPEndpoint, WebSocketEndpoint
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

FOLDER = Path(__file__).parent
THIS_FILE = Path(__file__)


# -- sockets ---------------------------------------------------------------------------


class Echo(WebSocketEndpoint):
    """The endpoint of the page on endpoints."""

    encoding: Literal["text", "bytes", "json"] | None = "text"

    async def on_receive(self, websocket: WebSocket, data: Any) -> None:
        await websocket.send_text(f"Message text was: {data}")


async def everything(websocket: WebSocket) -> None:
    """Accept with what an accept can say, and send what a socket can carry."""
    await websocket.accept(
        subprotocol=websocket.scope["subprotocols"][-1], headers=[(b"x-own", b"yes")]
    )
    await websocket.send_json(
        {
            "url": str(websocket.url),
            "path": websocket.path_params,
            "query": dict(websocket.query_params),
            "cookies": websocket.cookies,
            "header": websocket.headers["x-asked"],
            "client": websocket.client is not None,
            "state": websocket.state.started,
        }
    )
    await websocket.send_bytes(await websocket.receive_bytes())
    async for text in websocket.iter_text():
        await websocket.send_text(text)
        if text == "enough":
            await websocket.close(4001, "as you say")


async def denied(websocket: WebSocket) -> None:
    """Refuse with an answer of HTTP."""
    await websocket.send_denial_response(PlainTextResponse("not you", status_code=401))


async def refused(websocket: WebSocket) -> None:
    """Refuse by closing first."""
    await websocket.close()


# -- HTTP ------------------------------------------------------------------------------


class Hello(HTTPEndpoint):
    async def get(self, request: Request) -> Response:
        return HTMLResponse("<h1>Hello, world!</h1>")


async def item(request: Request) -> Response:
    return JSONResponse({"id": request.path_params["item"]}, status_code=201)


async def move(request: Request) -> Response:
    return RedirectResponse("/hello")


async def stream(request: Request) -> Response:
    async def numbers() -> AsyncIterator[str]:
        for number in range(5):
            yield f"{number} "
            await anyio.lowlevel.checkpoint()

    return StreamingResponse(numbers(), media_type="text/plain")


async def file(request: Request) -> Response:
    return FileResponse(THIS_FILE, filename="own.py")


async def digest(request: Request) -> Response:
    found = hashlib.sha256()
    async for chunk in request.stream():
        found.update(chunk)
    return PlainTextResponse(found.hexdigest())


async def form(request: Request) -> Response:
    async with request.form() as fields:
        upload = fields.get("upload")
        size = len(await upload.read()) if isinstance(upload, UploadFile) else 0
        return JSONResponse({"name": fields["name"], "size": size})


async def background(request: Request) -> Response:
    task = BackgroundTask(request.app.state.done.put, "in the background")
    return PlainTextResponse("soon", background=task)


async def session(request: Request) -> Response:
    request.session["visits"] = request.session.get("visits", 0) + 1
    return JSONResponse(request.session)


async def cookie(request: Request) -> Response:
    response = PlainTextResponse("baked")
    response.set_cookie("a", "1", httponly=True)
    response.set_cookie("b", "2")
    return response


async def wrong(request: Request) -> Response:
    raise HTTPException(418, "short and stout", headers={"x-tea": "yes"})


class Timed(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        response.headers["x-seen"] = request.method
        return response


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[dict[str, str]]:
    yield {"started": "yes"}


def make() -> Starlette:
    """Return the application, new."""
    app = Starlette(
        routes=[
            WebSocketRoute("/echo", Echo),
            WebSocketRoute("/everything/{one:int}", everything),
            WebSocketRoute("/denied", denied),
            WebSocketRoute("/refused", refused),
            Route("/hello", Hello),
            Route("/items/{item:int}", item, methods=["PUT"]),
            Route("/move", move),
            Route("/stream", stream),
            Route("/file", file),
            Route("/digest", digest, methods=["POST"]),
            Route("/form", form, methods=["POST"]),
            Route("/background", background),
            Route("/session", session),
            Route("/cookie", cookie),
            Route("/wrong", wrong),
            Mount("/static", StaticFiles(directory=FOLDER)),
        ],
        middleware=[
            Middleware(SessionMiddleware, secret_key="not a secret"),
            Middleware(GZipMiddleware, minimum_size=10_000),
            Middleware(Timed),
        ],
        lifespan=lifespan,
    )
    app.state.done = Queue()
    return app
