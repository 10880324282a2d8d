"""Starlette's ``AuthenticationMiddleware`` says who it is, for HTTP and sockets.

Run it: ``consumers run with_basic_auth:app``.
"""

import base64
from typing import Any

from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    BaseUser,
    SimpleUser,
)
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection

from consumers import App, WebSocketConsumer, WebSocketRoute

PASSWORDS = {"ada": "enchantress"}


class Basic(AuthenticationBackend):
    async def authenticate(
        self, conn: HTTPConnection[Any]
    ) -> tuple[AuthCredentials, BaseUser] | None:
        scheme, _, code = conn.headers.get("authorization", "").partition(" ")
        if scheme != "Basic":
            return None
        name, _, password = base64.b64decode(code).decode().partition(":")
        if PASSWORDS.get(name) != password:
            raise AuthenticationError("wrong name or password")  # refused with 403
        return AuthCredentials(["write"]), SimpleUser(name)


class Door(WebSocketConsumer):
    async def on_connect(self) -> None:
        name = self.user.display_name or "stranger"
        rights = ", ".join(self.auth.scopes) or "nothing"
        await self.send(f"{name} may {rights}")


app = App(
    [WebSocketRoute("/door", Door)],
    middleware=[Middleware(AuthenticationMiddleware, backend=Basic())],
)
