"""Look at the request that opened the connection, in a function."""

from consumers import App, WebSocket

app = App()


@app.websocket_route("/mirror", send_type="json")
async def mirror(ws: WebSocket) -> None:
    await ws.send(
        {
            "path": ws.url.path,
            "secure": ws.url.is_secure,
            "agent": ws.headers.get("User-Agent"),  # case does not matter
            "query": dict(ws.query_parameters),
        }
    )
