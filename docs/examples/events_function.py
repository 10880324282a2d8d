"""Say back what the client says, as a function, with ASGI events."""

from consumers import App, WebSocket

app = App()


@app.websocket_route("/echo")
async def echo(ws: WebSocket) -> None:
    event = await ws.receive_event()
    if event["type"] == "websocket.disconnect":  # here it is returned, not raised
        return
    message = event["text"]
    await ws.send_event({"type": "websocket.send", "text": f"You said: {message}"})
