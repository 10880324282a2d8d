"""``authenticate`` says who it is; groups then know each user's connections.

Run it: ``consumers run with_identity:app``.
"""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from consumers import App, Identity, WebSocket, WebSocketConsumer, WebSocketRoute

TOKENS = {"t-ada": ("1", "Ada"), "t-bob": ("2", "Bob")}


async def authenticate(ws: WebSocket) -> Identity | None:
    token = ws.cookies.get("token")
    if token is None:
        return None  # somebody unknown
    if token not in TOKENS:
        raise HTTPException(401, "this token is not known")
    key, name = TOKENS[token]
    return Identity(key, name=name)


class Inbox(WebSocketConsumer):
    async def on_handshake(self) -> None:
        if not self.user.is_authenticated:
            await self.reject(401)

    async def on_connect(self) -> None:
        await self.send(f"Hello, {self.user.display_name}!")


async def notify(request: Request) -> Response:
    # Every tab of the user's gets it.
    key = request.path_params["key"]
    await request.app.groups.publish_to_user(key, "You have mail.")
    return Response(status_code=204)


async def log_out(request: Request) -> Response:
    closed = await request.app.groups.disconnect(user=request.path_params["key"])
    return JSONResponse({"closed": closed})


app = App(
    [
        WebSocketRoute("/inbox", Inbox),
        Route("/users/{key}/notify", notify, methods=["POST"]),
        Route("/users/{key}/log-out", log_out, methods=["POST"]),
    ],
    authenticate=authenticate,
)
