"""Tokens that tell by their signature who it is, and until when.

Run it: ``consumers run signed_tokens:app``.
"""

import os
from datetime import timedelta

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.authentication import AuthCredentials
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from consumers import (
    App,
    Group,
    Groups,
    Identity,
    WebSocket,
    WebSocketConsumer,
    WebSocketRoute,
    authenticated,
    has_scopes,
)

SECRET_KEY = os.environ.get("SECRET_KEY", "only for this example")
LASTS = timedelta(minutes=15)
signer = URLSafeTimedSerializer(SECRET_KEY)


async def token(request: Request) -> Response:
    # Check the password, or the session, here.
    name = request.query_params["name"]
    scopes = ["admin"] if name == "ada" else []
    return PlainTextResponse(signer.dumps({"sub": name, "scopes": scopes}))


async def authenticate(connection: WebSocket) -> Identity | None:
    if connection.token is None:
        return None  # somebody unknown
    try:
        claims, issued = signer.loads(
            connection.token, int(LASTS.total_seconds()), return_timestamp=True
        )
    except BadSignature as error:  # or it is too old
        raise HTTPException(401) from error
    connection.auth = AuthCredentials(claims["scopes"])
    return Identity(claims["sub"], expires=issued + LASTS)


async def owns(connection: WebSocketConsumer, user: str) -> bool:
    return bool(connection.user.identity == user)


orders = Group("orders.{user}", allow=owns)


class Orders(WebSocketConsumer):
    allow = authenticated

    async def on_connect(self, user: str) -> None:
        await self.join(orders(user))
        await self.send(f"You get the orders of {user}.")


class Admin(WebSocketConsumer):
    allow = has_scopes("admin")

    async def on_receive(self, message: str) -> None:
        await self.publish(orders(message), "look at your orders")


app = App(
    [
        Route("/token", token, methods=["POST"]),
        WebSocketRoute("/orders/{user}", Orders),
        WebSocketRoute("/admin", Admin),
    ],
    groups=Groups(declared=[orders]),
    authenticate=authenticate,
)
