"""JWTs of an identity provider, checked with the keys that it publishes.

Run it: ``ISSUER=https://login.example/ consumers run jwt_tokens:app``.
"""

import os
from datetime import UTC, datetime
from typing import Any

import jwt
from anyio import to_thread
from starlette.authentication import AuthCredentials
from starlette.exceptions import HTTPException

from consumers import (
    App,
    Identity,
    WebSocket,
    WebSocketConsumer,
    WebSocketRoute,
    authenticated,
    has_scopes,
)

ISSUER = os.environ.get("ISSUER", "https://login.example/")
AUDIENCE = os.environ.get("AUDIENCE", "https://api.example")
keys = jwt.PyJWKClient(f"{ISSUER}.well-known/jwks.json", timeout=5)


def read(token: str) -> dict[str, Any]:
    return jwt.decode(
        token,
        keys.get_signing_key_from_jwt(token),
        algorithms=["RS256"],  # never what the token says
        audience=AUDIENCE,
        issuer=ISSUER,
        options={"require": ["exp", "sub"]},
    )


async def authenticate(connection: WebSocket) -> Identity | None:
    if connection.token is None:
        return None  # somebody unknown
    try:
        # It may fetch the keys, which blocks: not on the event loop.
        claims = await to_thread.run_sync(read, connection.token)
    except jwt.PyJWKClientConnectionError as error:
        raise HTTPException(503) from error  # the provider is away
    except jwt.PyJWTError as error:
        raise HTTPException(401) from error
    connection.auth = AuthCredentials(claims.get("scope", "").split())
    return Identity(
        claims["sub"],
        datetime.fromtimestamp(claims["exp"], UTC),
        session=claims.get("sid", ""),
    )


class Inbox(WebSocketConsumer):
    allow = authenticated

    async def on_connect(self) -> None:
        await self.send(f"Hello, {self.user.display_name}!")


class Admin(WebSocketConsumer):
    allow = has_scopes("admin")


app = App(
    [WebSocketRoute("/inbox", Inbox), WebSocketRoute("/admin", Admin)],
    authenticate=authenticate,
)
