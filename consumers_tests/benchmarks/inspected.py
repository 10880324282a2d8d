"""What the inspector costs: on each message, and while somebody looks.

    python -m consumers_tests.benchmarks.inspected

First the bytecode instructions of one more message and its answer, which are the same
in every run, and the microseconds, which are the least of many rounds: without an
inspector, with one, and on a connection that is looked into. Each by ASGI's ``receive``
and ``send``, and by the way past them that servers of ours offer.

Then one look of an open page at so many connections, which is what the server does each
second, and one with a search, which reads more of each connection: what it takes of the
processor, the least of many rounds, and how much of that is taken at once, before
others have their turn, the median of as many.
"""

import argparse
import time
from collections.abc import Sequence
from statistics import median
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from consumers import App, WebSocketRoute
from consumers.inspector import Inspector
from consumers.inspector.tap import TAP_KEY
from consumers.queues.direct import EXTENSION
from consumers_tests.benchmarks.in_process import (
    BACKENDS,
    SAY,
    Bare,
    Case,
    Event,
    scope,
)
from consumers_tests.benchmarks.observed import instructions, microseconds, talk

CROWDS = (1, 100, 1000, 10_000)
"""Connections in the process of which a page is open."""


class LookedInto(Bare):
    async def on_connect(self) -> None:
        self.scope[TAP_KEY].look()


class Frames:
    """What a server of ours offers beside `receive` and `send`."""

    shares = None

    def __init__(self, receive: Any, send: Any) -> None:
        self._receive, self._send = receive, send
        self._begun = False

    async def receive(self) -> Event:
        """Return what comes next."""
        event: Event = await self._receive()
        return event

    async def send(self, event: Event) -> None:
        """Take an event."""
        await self._send(event)

    def take(self) -> Event | None:
        """Return what comes next; it is there already."""
        try:
            self._receive().send(None)
        except StopIteration as returned:
            event: Event = returned.value
        return event

    def write(self, event: Event) -> bool:
        """Take an event at once."""
        return True

    def write_data(self, data: bytes, is_text: bool) -> bool:
        """Take a message at once."""
        return True


def short_way(app: App) -> Any:
    """Serve an application as servers of ours do."""

    async def served(scope: Event, receive: Any, send: Any) -> None:
        frames = Frames(receive, send)
        extensions = {**scope["extensions"], EXTENSION: frames}
        await app({**scope, "extensions": extensions}, frames.receive, frames.send)

    return served


def inspected() -> App:
    """Return an application that anybody may look into."""
    return App(
        [WebSocketRoute("/bare", Bare), WebSocketRoute("/looked", LookedInto)],
        inspector=Inspector("/inspector", allow=lambda _: True),
    )


def ways() -> dict[str, tuple[App, Case]]:
    """Return applications that echo: without an inspector, with one, looked into."""
    off, on = App([WebSocketRoute("/bare", Bare)]), inspected()
    return {
        "none": (off, Case(off, "/bare", SAY)),
        "inspector": (on, Case(on, "/bare", SAY)),
        "looked into": (on, Case(on, "/looked", SAY)),
    }


async def per_message(rounds: int) -> None:
    """Print a row for each way to have an inspector, and none."""
    print(f"{'':16}{'ASGI':>10}{'':>10}{'ours':>10}")
    for name, (app, case) in ways().items():
        row = f"{name:16}"
        for served in (app, short_way(app)):
            row += f"{await instructions(served, case):>10.1f}"
            row += f"{await microseconds(served, case, rounds):>7.2f} us"
        print(row)


async def per_look(rounds: int, crowds: Sequence[int] = CROWDS) -> None:
    """Print what one look takes, by the number of connections."""
    for crowd in crowds:
        app = inspected()
        async with anyio.create_task_group() as group:
            for _ in range(crowd):
                group.start_soon(_stay, app)
            await anyio.wait_all_tasks_blocked()
            for what, text in (("a look", ""), ("a search", "bare")):
                message = f'{{"type":"find","text":"{text}"}}'
                look = Case(app, "/inspector/live", message)
                whole = min([await _whole(app, look) for _ in range(rounds)])
                turn = median([await _longest_turn(app, look) for _ in range(rounds)])
                print(
                    f"{crowd:>7,} connections, {what:8}{whole:>8.2f} ms"
                    f"{turn:>8.2f} ms at once"
                )
            group.cancel_scope.cancel()


async def _whole(app: App, look: Case, count: int = 8) -> float:
    """Return the milliseconds of the processor that a look takes."""
    began = time.thread_time()
    await talk(app, look, count)
    return 1e3 * (time.thread_time() - began) / count


async def _longest_turn(app: App, look: Case) -> float:
    """Return the most milliseconds of the processor until others have their turn."""
    turns: list[float] = []

    async def others() -> None:
        while True:
            began = time.thread_time()
            await checkpoint()
            turns.append(time.thread_time() - began)

    async with anyio.create_task_group() as group:
        group.start_soon(others)
        await talk(app, look, 1)
        await checkpoint()
        group.cancel_scope.cancel()
    return 1e3 * max(turns)


async def _stay(app: App) -> None:
    events: list[Event] = [{"type": "websocket.connect"}]

    async def receive() -> Event:
        if not events:
            await anyio.sleep_forever()
        return events.pop()

    async def send(event: Event) -> None:
        """Take an event."""

    await app(scope(Case(app, "/bare")), receive, send)


async def main(rounds: int) -> None:
    """Print both tables."""
    await per_message(rounds)
    await per_look(rounds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--backend", default="asyncio", choices=BACKENDS)
    options = parser.parse_args()
    backend, backend_options = BACKENDS[options.backend]
    anyio.run(main, options.rounds, backend=backend, backend_options=backend_options)
