"""Refuse a handshake: with an HTTP status, or with a close that scripts can read."""

from starlette.exceptions import HTTPException

from consumers import App, WebSocketConsumer, WebSocketRoute

SEATS = 2


def check(token: str) -> None:
    if token != "secret":
        raise HTTPException(401, "who are you?")


class Theatre(WebSocketConsumer):
    taken = 0

    async def on_handshake(self, token: str = "") -> None:
        check(token)
        if Theatre.taken == SEATS:
            await self.reject(503, {"seats": SEATS}, headers={"retry-after": "60"})

    async def on_connect(self) -> None:
        Theatre.taken += 1
        self.seated = True

    async def on_disconnect(self, code: int) -> None:
        if hasattr(self, "seated"):  # a refused handshake ends here too
            Theatre.taken -= 1


app = App(
    [
        WebSocketRoute("/theatre", Theatre),
        WebSocketRoute("/browser/theatre", Theatre, refusals="close"),
    ]
)
