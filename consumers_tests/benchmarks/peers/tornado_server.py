"""Tornado's handlers, on its own HTTP server and uvloop: `python -m … PORT`."""

import asyncio
import sys
from typing import Any

import uvloop
from tornado.escape import json_decode
from tornado.httpserver import HTTPServer
from tornado.web import Application
from tornado.websocket import WebSocketHandler

members: set[WebSocketHandler] = set()


class Handler(WebSocketHandler):
    def get_compression_options(self) -> dict[str, Any]:
        """Compress for clients that offer it, as tornado's defaults have it."""
        return {}


class Echo(Handler):
    async def on_message(self, message: str | bytes) -> None:
        await self.write_message(message)


class JsonEcho(Handler):
    async def on_message(self, message: str | bytes) -> None:
        content = json_decode(message)
        content["type"] = "chat.reply"
        await self.write_message(content)


class Broadcast(Handler):
    def open(self, *args: str, **kwargs: str) -> None:
        members.add(self)

    async def on_message(self, message: str | bytes) -> None:
        for member in list(members):
            await member.write_message(message)

    def on_close(self) -> None:
        members.discard(self)


def silent(handler: object) -> None:
    """Log no request."""


async def main(port: int) -> None:
    table = [("/echo", Echo), ("/json", JsonEcho), ("/broadcast", Broadcast)]
    HTTPServer(Application(table, log_function=silent)).listen(port, "127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
