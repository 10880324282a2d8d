"""Count who is here, in a function: ``finally`` runs however the connection ended.

A client that vanishes (1006) would be an error; ``caught_close_codes`` says that it is
not one. The built-in ``all`` catches every code, and ``()`` none.
"""

from consumers import App, WebSocket, WebSocketDisconnect

app = App()
here: set[WebSocket] = set()
seen: list[int] = []


@app.websocket_route("/visit", caught_close_codes=(1000, 1001, 1006))
async def visit(ws: WebSocket) -> None:
    here.add(ws)
    try:
        await ws.send(f"{len(here)} here")
        async for _message in ws:
            await ws.send(f"{len(here)} here")
    except WebSocketDisconnect as left:
        seen.append(left.code)
        raise
    finally:
        here.discard(ws)
