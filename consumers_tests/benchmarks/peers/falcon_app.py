"""Falcon: resources with an `on_websocket` responder."""

from falcon import WebSocketDisconnected
from falcon.asgi import App, Request, WebSocket

members: set[WebSocket] = set()


class Echo:
    async def on_websocket(self, request: Request, websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            while True:
                await websocket.send_text(await websocket.receive_text())
        except WebSocketDisconnected:
            return


class JsonEcho:
    async def on_websocket(self, request: Request, websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            while True:
                message = await websocket.receive_media()
                message["type"] = "chat.reply"
                await websocket.send_media(message)
        except WebSocketDisconnected:
            return


class Broadcast:
    async def on_websocket(self, request: Request, websocket: WebSocket) -> None:
        await websocket.accept()
        members.add(websocket)
        try:
            while True:
                text = await websocket.receive_text()
                for member in list(members):
                    await member.send_text(text)
        except WebSocketDisconnected:
            return
        finally:
            members.discard(websocket)


app = App()
app.add_route("/echo", Echo())
app.add_route("/json", JsonEcho())
app.add_route("/broadcast", Broadcast())
