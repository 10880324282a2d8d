"""Sessions that the server keeps: log out, and every connection of the session ends.

Run it: ``consumers run server_sessions:app``.
"""

import secrets
from datetime import UTC, datetime, timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from consumers import (
    App,
    Identity,
    WebSocket,
    WebSocketConsumer,
    WebSocketRoute,
    authenticated,
)

LASTS = timedelta(hours=12)
sessions: dict[str, Identity] = {}  # a table of your database, say


async def log_in(request: Request) -> Response:
    # Check the password here.
    session = secrets.token_urlsafe(32)
    sessions[session] = Identity(
        request.query_params["name"], datetime.now(UTC) + LASTS, session=session
    )
    response = Response(status_code=204)
    response.set_cookie("session", session, httponly=True, samesite="lax")
    return response


async def log_out(request: Request) -> Response:
    session = request.cookies.get("session", "")
    sessions.pop(session, None)  # first: who connects now is not let in any more
    closed = await request.app.groups.disconnect(session=session, code=4401)
    return JSONResponse({"closed": closed})


async def authenticate(connection: WebSocket) -> Identity | None:
    return sessions.get(connection.cookies.get("session", ""))


class Inbox(WebSocketConsumer):
    allow = authenticated

    async def on_connect(self) -> None:
        await self.send(f"Hello, {self.user.display_name}!")


app = App(
    [
        Route("/log-in", log_in, methods=["POST"]),
        Route("/log-out", log_out, methods=["POST"]),
        WebSocketRoute("/inbox", Inbox),
    ],
    authenticate=authenticate,
)
