"""Chat in channels: the path names the channel, a header the user, the query a wish.

``/chat/lobby?anonymous=true`` joins the lobby without a name. What somebody says goes
to everybody in the channel, the speaker too.
"""

from typing import Annotated, Any

from msgspec import Meta

from consumers import App, Group, WebSocketConsumer, WebSocketRoute

channels = Group("chat.{channel}")
Name = Annotated[str, Meta(max_length=20)]  # what a client asks for has its limits


class Chat(WebSocketConsumer):
    value_type = "json"

    async def on_handshake(self, anonymous: bool = False) -> None:
        if not anonymous and "user" not in self.headers:
            await self.reject(401, "the header 'user' must say who you are")
        self.speaker = "Anonymous" if anonymous else self.headers["user"]

    async def on_connect(self, channel: Name) -> None:
        self.channel = channels(channel)
        await self.join(self.channel)

    async def on_receive(self, message: Any) -> None:
        said = {"user": self.speaker, "message": message}
        await self.publish(self.channel, said)


app = App([WebSocketRoute("/chat/{channel}", Chat)])
