"""Small ASGI applications with nothing between them and the server."""

from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Receive, Scope, Send

Body = Callable[[Scope, Receive, Send], Awaitable[None]]


def accepting(body: Body) -> ASGIApp:
    """Return an application that accepts, without a lifespan, and then runs `body`."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "websocket"
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        await body(scope, receive, send)

    return app


async def echoing(scope: Scope, receive: Receive, send: Send) -> None:
    """Send back each message, until the client leaves."""
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})


async def waiting(scope: Scope, receive: Receive, send: Send) -> None:
    """Do nothing until the client leaves."""
    while (await receive())["type"] == "websocket.receive":
        pass


def saying(*messages: str) -> ASGIApp:
    """Return an application that sends these messages and waits for the close."""

    async def body(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send({"type": "websocket.send", "text": message})
        await waiting(scope, receive, send)

    return accepting(body)


echo = accepting(echoing)
silent = accepting(waiting)
