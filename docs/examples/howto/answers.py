"""Answer word by word, several questions at once, until the client has had enough."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from msgspec import Struct

from consumers import (
    App,
    MessageError,
    NotAllowed,
    WebSocketConsumer,
    WebSocketRoute,
    receives,
    sleep,
)

stopped: list[str] = []


class Ask(Struct, tag="ask"):
    text: str


class Word(Struct, tag="word"):
    text: str


async def think(text: str) -> AsyncGenerator[str, None]:
    """Stand for a model that is slow, and costs money while it runs."""
    try:
        for word in text.split():
            yield word
            if text.startswith("wait"):
                await sleep(30)
    except BaseException:
        stopped.append(text)  # its connection would be closed here
        raise


class Oracle(WebSocketConsumer):
    @receives(concurrency=4, timeout=60)
    async def ask(self, message: Ask) -> AsyncIterator[Word]:
        if not message.text:
            raise MessageError("no_question", "ask something")
        if message.text == "the chef":
            raise NotAllowed
        async with aclosing(think(message.text)) as words:
            async for word in words:
                yield Word(word)


app = App([WebSocketRoute("/ask", Oracle)])
