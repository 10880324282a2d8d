"""Accept and close by hand, in functions: by two calls, or by ``async with``."""

from consumers import App, WebSocket

app = App()


@app.websocket_route("/hello", auto_accept=False)
async def hello(ws: WebSocket) -> None:
    if "hello.v1" in ws.subprotocols:
        await ws.accept("hello.v1", headers={"x-served-by": "hello"})
        await ws.send("Hello, WebSockets!")
        await ws.close()


@app.websocket_route("/with", auto_accept=False)
async def hello_with(ws: WebSocket) -> None:
    async with ws:
        await ws.send("Hello, WebSockets!")
