"""Chat in channels, as a function: the path names the channel, the query a wish.

``/chat/lobby?anonymous=true`` joins the lobby without a name. What somebody says goes
to everybody in the channel, the speaker too.
"""

from typing import Annotated

from msgspec import Meta

from consumers import App, Group, WebSocketConsumer

app = App()
channels = Group("chat.{channel}")
Name = Annotated[str, Meta(max_length=20)]  # what a client asks for has its limits


@app.websocket_route("/chat/{channel}", value_type="json")
async def chat(ws: WebSocketConsumer, channel: Name, anonymous: bool = False) -> None:
    user = "Anonymous" if anonymous else ws.headers.get("user", "Somebody")
    await ws.join(channels(channel))
    async for message in ws:
        channel_message = {"user": user, "message": message}
        await ws.publish(channels(channel), channel_message)
