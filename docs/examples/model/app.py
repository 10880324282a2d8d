"""A chat with a language model: answers that stream, stop, and outlive a connection.

One process: ``consumers run --app-dir docs/examples model.app:app``. Several, over a
broker: the same with ``--workers 2`` and ``GROUPS_URL=redis://127.0.0.1:6379``.
"""

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from consumers import (
    App,
    Groups,
    History,
    MessageError,
    NotAllowed,
    WebSocketConsumer,
    WebSocketRoute,
    receives,
    sleep,
    subscribes,
)
from consumers.client import script

from . import small
from .messages import Ask, Begin, Begun, End, HangUp, Prompt, Stop, Token, Work

LONGEST = 2000
"""How much of an answer is kept: more tokens than the model ever writes."""

AWAY = 2.0
"""Seconds for which a client stays away that wanted to be disconnected."""

groups = Groups(os.environ.get("GROUPS_URL", "memory://"))


# begin: source
@groups.source(
    "answer.{key}",
    sends=Prompt | Token | End,
    history=History(size=LONGEST, ttl=3600),
    linger=30,  # without readers the model goes on for so long
    lease=3,  # if its process is killed, another goes on after that many seconds
)
async def answer(key: str) -> AsyncIterator[Token | End]:
    # What there is already goes on: nobody may have read for long, or another process
    # was killed.
    prompt, number = "", 0
    for part in await written(key):
        match part:
            case Prompt(text):
                prompt = text
            case Token(latest):
                number = latest + 1
            case End():
                return
    if not prompt:
        return
    async with aclosing(small.write(prompt, number)) as tokens:
        async for text in tokens:
            yield Token(number, text)
            number += 1
    yield End("finished")


async def written(key: str) -> list[Prompt | Token | End]:
    """Return what there is of an answer; nothing: there is no such one."""
    history = await groups.history(answer(key))
    return [each.message for each in history.publications]


# end: source


@groups.source("work")
async def work() -> AsyncIterator[Work]:
    """Tell those who look at this process what it is busy with."""
    told = None
    while True:
        now = small.writing()
        if now != told:
            yield Work(now)
        told = now
        await sleep(0.1)


# begin: consumer
class Model(WebSocketConsumer):
    """One page. It speaks `consumers.v1`."""

    # A stream belongs to this connection and ends with it. Having a lane of its own, it
    # does not keep other messages waiting.
    @receives(concurrency=4)
    async def ask(self, message: Ask) -> AsyncIterator[Token]:
        number = 0
        async with aclosing(small.write(message.prompt)) as tokens:
            async for text in tokens:
                yield Token(number, text)
                number += 1

    # A kept answer is written by the group's source, whoever reads it and from where.
    @receives
    async def begin(self, message: Begin) -> Begun:
        # Nobody can guess it, so to have it is to be allowed to read and to stop. Where
        # users log in, keep with it whose it is.
        key = secrets.token_urlsafe(16)
        await self.publish(answer(key), Prompt(message.prompt))
        return Begun(key)

    @subscribes(answer, last=LONGEST)
    async def read(self, key: str) -> None:
        if not await written(key):
            raise NotAllowed("there is no such answer")

    @receives
    async def stop(self, message: Stop) -> None:
        parts = await written(message.key)
        if not parts:
            raise MessageError("no_such_answer")
        if not any(isinstance(part, End) for part in parts):
            await groups.stop(answer(message.key))
            await self.publish(answer(message.key), End("stopped"))

    # end: consumer

    @subscribes(work)
    async def look(self) -> Work:
        return Work(small.writing())

    @receives
    async def hang_up(self, message: HangUp) -> None:
        await self.close(1012, "as you wished", retry=AWAY)


PAGE = Path(__file__).parent / "page"
HEADERS = {
    # Nothing from elsewhere, nothing inline, and no text is ever parsed as HTML.
    "content-security-policy": "default-src 'none'; script-src 'self'; "
    "style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


async def page(request: Request) -> Response:
    return FileResponse(PAGE / "page.html", headers=HEADERS)


app = App(
    [
        Route("/", page),
        WebSocketRoute("/model", Model),
        script("/consumers.js"),
        Mount("/static", StaticFiles(directory=PAGE)),
    ],
    groups=groups,
)
