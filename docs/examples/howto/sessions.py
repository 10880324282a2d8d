"""Know who connects: by a session cookie, or by a token."""

from typing import Any

from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from consumers import App, Identity, WebSocket, WebSocketConsumer, WebSocketRoute

TOKENS = {"t0k3n": "7"}
USERS = {"42": "Ada", "7": "a robot"}


async def authenticate(connection: WebSocket) -> Identity | None:
    header = connection.headers.get("authorization", "")
    if header.startswith("Bearer "):
        key = TOKENS.get(header.removeprefix("Bearer "))
        if key is None:
            raise HTTPException(401, "this token is not known")
    else:
        key = connection.session.get("user")
    return Identity(key, name=USERS[key]) if key else None


class Account(WebSocketConsumer):
    async def on_handshake(self) -> None:
        if not self.user.is_authenticated:
            await self.reject(401, "log in first")

    async def on_connect(self) -> None:
        await self.send(f"Hello, {self.user.display_name}!")


async def log_in(request: Request[Any]) -> PlainTextResponse:
    request.session["user"] = "42"  # after checking the password
    return PlainTextResponse("welcome")


app = App(
    [Route("/login", log_in, methods=["POST"]), WebSocketRoute("/account", Account)],
    authenticate=authenticate,
    middleware=[Middleware(SessionMiddleware, secret_key="change me")],
)
