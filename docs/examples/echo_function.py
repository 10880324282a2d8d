"""Say back what the client says, as functions.

``/once`` answers one message and is closed when it returns; ``/echo`` goes on until
the client leaves.
"""

from consumers import App, WebSocket

app = App()


@app.websocket_route("/once")
async def once(ws: WebSocket) -> None:
    message = await ws.receive()
    await ws.send(f"You said: {message}")


@app.websocket_route("/echo")
async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(f"You said: {message}")
