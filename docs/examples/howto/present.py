"""Who is in a document, and what each of them has selected."""

import os

from msgspec import Struct

from consumers import (
    App,
    Group,
    GroupName,
    Groups,
    Identity,
    Presence,
    PresenceDiff,
    WebSocket,
    WebSocketConsumer,
    WebSocketRoute,
)


class Select(Struct):
    line: int


document = Group("doc.{number}", presence=Presence(linger=2, lease=30))
groups = Groups(os.environ.get("GROUPS_URL", "memory://"), [document])


class Editor(WebSocketConsumer):
    send_type = "json"

    async def on_connect(self, number: int) -> None:
        self.document = document(number)
        async with self.joining(self.document, presence={"line": 1}):
            everybody = await groups.presence(self.document)
            await self.send({"here": {each.key: each.metadata for each in everybody}})

    async def on_receive(self, message: Select) -> None:
        await self.update_presence(self.document, {"line": message.line})

    async def on_presence(self, group: GroupName, diff: PresenceDiff) -> None:
        changed = (*diff.joined, *diff.updated)
        here = {each.key: each.metadata for each in changed}
        await self.send({"here": here, "left": diff.left})


async def authenticate(ws: WebSocket) -> Identity | None:
    name = ws.cookies.get("name")  # in earnest a session, or a token
    return Identity(name) if name else None


app = App(
    [WebSocketRoute("/docs/{number:int}", Editor)],
    groups=groups,
    authenticate=authenticate,
)
