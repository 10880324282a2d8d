"""python-socketio mounted beside consumers. Socket.IO runs on asyncio alone.

Run it: ``consumers run beside_socketio:app``.
"""

import socketio

from consumers import App, WebSocketConsumer, WebSocketRoute

sio = socketio.AsyncServer(async_mode="asgi")


async def say(sid: str, text: str) -> str:
    await sio.emit("said", {"text": text}, skip_sid=sid)
    return "thank you"


sio.on("say", say)


class Echo(WebSocketConsumer):
    async def on_receive(self, message: str) -> None:
        await self.send(message)


app = App([WebSocketRoute("/echo", Echo)])
app.mount("/socket.io", socketio.ASGIApp(sio))
