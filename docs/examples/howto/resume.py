"""A feed of news that a client can come back to without missing any."""

import os
from pathlib import Path

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from consumers import (
    App,
    Group,
    Groups,
    History,
    Position,
    WebSocketConsumer,
    WebSocketRoute,
)


class News(Struct):
    headline: str


news = Group("news.{topic}", sends=News, history=History(size=1000, ttl=3600))
groups = Groups(os.environ.get("GROUPS_URL", "memory://"), [news])


class Feed(WebSocketConsumer):
    send_type = "json"
    positions = True  # each publication comes with its position

    async def on_connect(self, topic: str, since: Position | None = None) -> None:
        topic_news = news(topic)
        async with self.joining(topic_news, since=since, last=20) as recovery:
            # This comes first, then what was missed, then what is new.
            await self.send(
                {
                    "recovered": recovery.recovered,
                    "replayed": recovery.replayed,
                    "position": str(recovery.position),
                }
            )


async def script(request: Request) -> Response:
    return FileResponse(Path(__file__).with_name("resume.js"))


app = App(
    [Route("/resume.js", script), WebSocketRoute("/news/{topic}", Feed)],
    groups=groups,
)
