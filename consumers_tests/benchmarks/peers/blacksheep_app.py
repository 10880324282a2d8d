"""BlackSheep's WebSocket routes."""

from blacksheep import Application, WebSocket
from blacksheep.server.websocket import WebSocketDisconnectError

app = Application()
members: set[WebSocket] = set()


@app.router.ws("/echo")
async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnectError:
        return


@app.router.ws("/json")
async def json_echo(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            message = await websocket.receive_json()
            message["type"] = "chat.reply"
            await websocket.send_json(message)
    except WebSocketDisconnectError:
        return


@app.router.ws("/broadcast")
async def broadcast(websocket: WebSocket) -> None:
    await websocket.accept()
    members.add(websocket)
    try:
        while True:
            text = await websocket.receive_text()
            for member in list(members):
                await member.send_text(text)
    except WebSocketDisconnectError:
        return
    finally:
        members.discard(websocket)
