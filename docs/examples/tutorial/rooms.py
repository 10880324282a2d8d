"""A chat: what somebody says goes to everybody in the same channel."""

from msgspec import Struct

from consumers import App, Group, WebSocketConsumer, WebSocketRoute


class Say(Struct):
    text: str


class Said(Struct, tag="said"):
    author: str
    text: str


class Left(Struct, tag="left"):
    author: str


channels = Group("chat.{channel}", sends=Said | Left)


class Chat(WebSocketConsumer):
    async def on_connect(self, channel: str, name: str = "Anonymous") -> None:
        self.name = name
        self.channel = channels(channel)
        await self.join(self.channel)

    async def on_receive(self, message: Say) -> None:
        await self.publish(self.channel, Said(self.name, message.text))

    async def on_disconnect(self, code: int) -> None:
        await self.publish(self.channel, Left(self.name))


app = App([WebSocketRoute("/chat/{channel}", Chat)])
