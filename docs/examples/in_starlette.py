"""Consumers in a Starlette: in our routes and its own, with HTTP beside them.

Run it: ``uvicorn in_starlette:app``.
"""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.routing import WebSocketRoute as StarletteWebSocketRoute

from consumers import Group, Groups, WebSocketConsumer, WebSocketRoute

news = Group("news.{topic}", sends=str)
groups = Groups("memory://", [news])


class News(WebSocketConsumer):
    async def on_connect(self, topic: str) -> None:
        await self.join(news(topic))
        await self.send(f"reading {topic}")


class Echo(WebSocketConsumer):
    async def on_receive(self, message: str) -> None:
        await self.send(message)


async def publish(request: Request) -> Response:
    topic = request.path_params["topic"]
    await groups.publish(news(topic), (await request.body()).decode())
    return Response(status_code=204)


app = Starlette(
    routes=[
        Mount(
            "/topics/{topic}",
            routes=[
                # Ours checks at start-up that the path has what the class asks for.
                WebSocketRoute("/news", News, mounted_at="/topics/{topic}"),
                Route("/publish", publish, methods=["POST"]),
            ],
        ),
        StarletteWebSocketRoute("/echo", Echo),
    ],
    lifespan=groups.lifespan,  # consumers of this table then join these groups
)
