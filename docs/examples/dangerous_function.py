"""Tell the client by a close code what went wrong, in a function."""

import random

from starlette import status

from consumers import App, WebSocket

BOOM = 4003
app = App()


@app.websocket_route("/dangerous")
async def dangerous(ws: WebSocket) -> None:
    for _ in range(100):
        await ws.receive()
        if random.random() < 0.1:
            await ws.close(BOOM, "boom")
            return
        await ws.send("OK")
    # Returning does this as well.
    await ws.close(status.WS_1000_NORMAL_CLOSURE)
