"""Look at the request that opened the connection: URL, headers, query."""

from consumers import App, WebSocketConsumer, WebSocketRoute


class Mirror(WebSocketConsumer):
    value_type = "json"

    async def on_connect(self) -> None:
        await self.send(
            {
                "path": self.url.path,
                "secure": self.url.is_secure,
                "agent": self.headers.get("User-Agent"),  # case does not matter
                "query": dict(self.query_parameters),
            }
        )
        await self.close()


app = App([WebSocketRoute("/mirror", Mirror)])
