"""What the framework takes of a connection's life and memory: no server, no network.

    python -m consumers_tests.benchmarks.in_process
    python -m consumers_tests.benchmarks.in_process --backend trio --only raw,room

A fake server calls the application as an ASGI server does, in a task of its own.

- `life`: microseconds from the call to the return: a client comes and leaves, 16 at a
  time. Without the garbage collector, whose part is told by `garbage`: the objects that
  a life leaves to it.
- `talks`: the same with one message and its answer.
- `silent`: bytes of a connection which has said nothing, by Python's own count.
- `idle`: the same after a message.

A time is the least of many rounds. What raw ASGI takes by the same way is subtracted in
the right half: that is the framework's own.
"""

import argparse
import asyncio
import gc
import time
import tracemalloc
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Self, TypeAlias

import anyio
import msgspec
import trio

from consumers import App, Groups, WebSocketConsumer, WebSocketRoute, receives

Event = MutableMapping[str, Any]
Application = Callable[[Event, Any, Any], Awaitable[None]]
Pause = Callable[[], Awaitable[Any]]
Figures = tuple[float, ...]

HEAD = ("life", "talks", "garbage", "silent", "idle")

HEADERS = [
    (b"host", b"127.0.0.1:8000"),
    (b"connection", b"Upgrade"),
    (b"upgrade", b"websocket"),
    (b"sec-websocket-version", b"13"),
    (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
]
BACKENDS = {
    "uvloop": ("asyncio", {"use_uvloop": True}),
    "asyncio": ("asyncio", {}),
    "trio": ("trio", {}),
}


class Say(msgspec.Struct, tag="say"):
    text: str


class Said(msgspec.Struct, tag="said"):
    text: str


class Bare(WebSocketConsumer):
    async def on_receive(self, message: str) -> None:
        await self.send(message)


class Hooks(WebSocketConsumer):
    async def on_connect(self, room: str) -> None:
        self.room = room

    async def on_receive(self, message: str) -> None:
        await self.send(message)

    async def on_disconnect(self, code: int) -> None:
        self.room = ""


class Room(WebSocketConsumer):
    async def on_connect(self) -> None:
        await self.join("room")

    async def on_receive(self, message: str) -> None:
        await self.send(message)


class Typed(WebSocketConsumer):
    @receives
    async def say(self, message: Say) -> Said:
        return Said(message.text)


class Worker(WebSocketConsumer):
    async def on_connect(self) -> None:
        self.start_soon(anyio.sleep_forever)

    async def on_receive(self, message: str) -> None:
        await self.send(message)


async def raw(_scope: Event, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event["text"]})


app = App(
    [
        WebSocketRoute("/bare", Bare),
        WebSocketRoute("/hooks/{room}", Hooks),
        WebSocketRoute("/room", Room),
        WebSocketRoute("/typed", Typed),
        WebSocketRoute("/worker", Worker),
    ],
    groups=Groups(),
)

SAY = '{"type":"say","text":"jackdaws love my big sphinx"}'


@dataclass(frozen=True)
class Case:
    """What is called, and with what."""

    called: Application
    path: str = "/"
    message: str = SAY
    subprotocol: str | None = None


CASES = {
    "raw": Case(raw),
    "class": Case(Bare),
    "bare": Case(app, "/bare"),
    "hooks": Case(app, "/hooks/lobby"),
    "room": Case(app, "/room"),
    "typed": Case(app, "/typed"),
    "v1": Case(
        app,
        "/typed",
        f'{{"type":"request","id":1,"message":{SAY}}}',
        "consumers.v1+json",
    ),
    "worker": Case(app, "/worker"),
}


class Connection:
    """The server's side of one connection: tells its events, then nothing more."""

    __slots__ = ("events", "pause")

    def __init__(self, events: list[Event], pause: Pause) -> None:
        self.events = events
        self.pause = pause

    async def receive(self) -> Event:
        """Return what comes next, after the event loop had its turn."""
        if not self.events:
            await anyio.sleep_forever()
        await self.pause()
        return self.events.pop()

    async def send(self, event: Event) -> None:
        """Take an event."""


def scope(case: Case) -> Event:
    """Return what a server tells of a connection."""
    return {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "ws",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 34567),
        "root_path": "",
        "path": case.path,
        "raw_path": case.path.encode(),
        "query_string": b"",
        "headers": list(HEADERS),
        "subprotocols": [] if case.subprotocol is None else [case.subprotocol],
        "state": {},
        "extensions": {"websocket.http.response": {}},
    }


def events(case: Case, *, talks: bool) -> list[Event]:
    """Return a life, its end first."""
    message = {"type": "websocket.receive", "text": case.message}
    return [
        {"type": "websocket.disconnect", "code": 1000, "reason": ""},
        *([message] if talks else []),
        {"type": "websocket.connect"},
    ]


class OnAsyncio:
    """Runs applications as uvicorn does."""

    pause = staticmethod(partial(asyncio.sleep, 0))

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()

    def start(self, *arguments: Any) -> None:
        """Start an application."""
        self.tasks.add(asyncio.get_running_loop().create_task(serve(*arguments)))

    async def over(self) -> None:
        """Wait until all have ended."""
        tasks, self.tasks = self.tasks, set()
        for task in tasks:
            await task

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


class OnTrio:
    """Runs applications in a nursery."""

    pause = staticmethod(trio.lowlevel.checkpoint)

    def __init__(self) -> None:
        self.opening: Any = trio.open_nursery()

    def start(self, *arguments: Any) -> None:
        """Start an application."""
        self.nursery.start_soon(serve, *arguments)

    async def over(self) -> None:
        """Wait until all have ended."""
        while self.nursery.child_tasks:
            await trio.lowlevel.checkpoint()

    async def __aenter__(self) -> Self:
        self.nursery = await self.opening.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        self.nursery.cancel_scope.cancel()
        await self.opening.__aexit__(*error)


async def serve(called: Application, scope: Event, connection: Connection) -> None:
    """Serve one connection."""
    await called(scope, connection.receive, connection.send)


Server: TypeAlias = OnAsyncio | OnTrio
Called: TypeAlias = tuple[Application, Event, Connection]


def made(case: Case, count: int, server: Server, *, talks: bool) -> list[Called]:
    """Return connections to be served."""
    return [
        (case.called, scope(case), Connection(events(case, talks=talks), server.pause))
        for _ in range(count)
    ]


async def live(case: Case, server: Server, *, talks: bool, count: int = 320) -> float:
    """Return the microseconds of a life."""
    async with server:
        batches = [made(case, 16, server, talks=talks) for _ in range(count // 16)]
        began = time.perf_counter()
        for batch in batches:
            for each in batch:
                server.start(*each)
            await server.over()
        return 1e6 * (time.perf_counter() - began) / count


async def garbage(case: Case, server: Server, count: int = 160) -> float:
    """Return how many objects a life leaves to the garbage collector."""
    gc.collect()
    await live(case, server, talks=True, count=count)
    return gc.collect() / count


async def idle(case: Case, server: Server, *, talks: bool, count: int = 500) -> float:
    """Return the bytes of a connection that waits."""
    async with server:

        async def start(count: int) -> None:
            for called, told, connection in made(case, count, server, talks=talks):
                del connection.events[0]  # its end
                server.start(called, told, connection)
            for _ in range(20):
                await server.pause()
            gc.collect()

        await start(100)  # with what is made once
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        await start(count)
        taken = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        return taken / count


def measure(name: str, backend: str, rounds: int) -> Figures:
    """Return a case's figures."""
    library, options = BACKENDS[backend]
    kind = OnTrio if library == "trio" else OnAsyncio
    case = CASES[name]

    async def run() -> Figures:
        gc.disable()
        lives = [
            min([await live(case, kind(), talks=talks) for _ in range(rounds)])
            for talks in (False, True)
        ]
        left = await garbage(case, kind())
        kept = [await idle(case, kind(), talks=talks) for talks in (False, True)]
        return (*lives, left, *kept)

    return anyio.run(run, backend=library, backend_options=options)


def main() -> None:
    """Print the table, each case measured in a process of its own."""
    parser = argparse.ArgumentParser(
        prog="python -m consumers_tests.benchmarks.in_process",
        description="Measure a connection's life and memory without a server.",
    )
    parser.add_argument("--backend", default="uvloop", choices=BACKENDS)
    parser.add_argument("--only", default=",".join(CASES), help="cases, with commas")
    parser.add_argument("--rounds", default=30, type=int)
    options = parser.parse_args()
    head = "".join(f"{each:>9}" for each in HEAD)
    print(f"{'':8}{head}   {head}")
    raw_figures: Figures | None = None
    with ProcessPoolExecutor(1, max_tasks_per_child=1) as processes:
        for name in options.only.split(","):
            found = processes.submit(
                measure, name, options.backend, options.rounds
            ).result()
            raw_figures = raw_figures or found
            own = (a - b for a, b in zip(found, raw_figures, strict=True))
            row = "".join(f"{each:9.1f}" for each in found)
            print(f"{name:8}{row}   " + "".join(f"{each:9.1f}" for each in own))


if __name__ == "__main__":
    main()
