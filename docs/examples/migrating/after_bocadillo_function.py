"""A chat like that of Bocadillo's guide, as a function and with a provider.

Run it: ``consumers run migrating.after_bocadillo_function:app``.
"""

from typing import Annotated, Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from consumers import App, Provide, WebSocket


def history() -> list[Any]:
    return []


History = Annotated[list[Any], Provide(history, scope="app")]
clients: set[WebSocket] = set()  # no provider: an HTTP route asks for it too


async def count(request: Request) -> JSONResponse:
    return JSONResponse({"count": len(clients)})


app = App([Route("/clients", count)])


@app.websocket_route("/chat", value_type="json")
async def chat(ws: WebSocket, history: History) -> None:
    clients.add(ws)
    try:
        for message in history:
            await ws.send(message)
        async for message in ws:
            if message["type"] == "message":
                history.append(message)
                for client in list(clients):
                    await client.send(message)
    finally:
        clients.remove(ws)
