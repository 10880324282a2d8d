"""Receive and send text, bytes and JSON, as functions: the route says what."""

from consumers import App, WebSocket

app = App()


@app.websocket_route("/upper")
async def upper(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message.upper())


@app.websocket_route("/reverse", value_type="bytes")
async def reverse(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message[::-1])


@app.websocket_route("/keys", value_type="json")
async def keys(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(sorted(message))


@app.websocket_route("/length", receive_type="bytes", send_type="json")
async def length(ws: WebSocket) -> None:
    while True:
        message = await ws.receive()
        await ws.send({"length": len(message)})
        await ws.send_text("counted")
