"""Let in only who knows the key, in a function. Nothing after ``reject()`` runs.

It sets ``auto_accept=False``: a refusal has to come before the handshake is accepted.
"""

from secrets import compare_digest

from consumers import App, WebSocket

API_KEY = b"s3kr3t"
app = App()


@app.websocket_route("/hello", auto_accept=False)
async def hello(ws: WebSocket) -> None:
    if not compare_digest(ws.headers.get("api-key", "").encode(), API_KEY):
        await ws.reject(401)
    async with ws:
        await ws.send("Hello, authorized client!")
        async for message in ws:
            await ws.send(f"You said: {message}")
