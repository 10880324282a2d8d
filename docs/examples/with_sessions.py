"""What an HTTP request put into the session, a socket reads.

Run it: ``consumers run with_sessions:app``.
"""

import os

from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from consumers import App, WebSocketConsumer, WebSocketRoute

SECRET_KEY = os.environ.get("SECRET_KEY", "only for this example")


async def login(request: Request) -> Response:
    request.session["name"] = request.query_params.get("name", "somebody")
    return PlainTextResponse("Now open the socket.")


class Hello(WebSocketConsumer):
    async def on_handshake(self) -> None:
        if "name" not in self.session:
            await self.reject(401, "log in first")

    async def on_connect(self) -> None:
        await self.send(f"Hello, {self.session['name']}!")


app = App(
    [Route("/login", login), WebSocketRoute("/hello", Hello)],
    middleware=[Middleware(SessionMiddleware, secret_key=SECRET_KEY)],
)
