"""What observers cost on a message's path, and that having none costs nothing.

    python -m consumers_tests.benchmarks.observed

For each observer: the bytecode instructions of one more message and its answer, which
are the same in every run, and the microseconds, which are the least of many rounds.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import anyio

from consumers import App, WebSocketRoute
from consumers.logs import ConnectionLog
from consumers.metrics.otel import OpenTelemetry
from consumers.metrics.prometheus import Prometheus
from consumers.observing import Observer
from consumers_tests.benchmarks.in_process import CASES, Bare, Case, Typed, scope

OBSERVERS: dict[str, Callable[[], list[Observer]]] = {
    "none": list,
    "log": lambda: [ConnectionLog()],
    "prometheus": lambda: [Prometheus()],
    "opentelemetry": lambda: [OpenTelemetry()],
}


def app_of(observers: Sequence[Observer]) -> App:
    """Return an application that echoes, and that answers typed messages."""
    routes = [WebSocketRoute("/bare", Bare), WebSocketRoute("/typed", Typed)]
    return App(routes, observers=observers)


async def talk(app: App, case: Case, count: int) -> None:
    """Have one client of an application say so much, and leave."""
    message = {"type": "websocket.receive", "text": case.message}
    events = [
        {"type": "websocket.connect"},
        *[message] * count,
        {"type": "websocket.disconnect", "code": 1000, "reason": ""},
    ]
    events.reverse()

    async def receive() -> Any:
        return events.pop()

    async def send(event: Any) -> None:
        """Take an event."""

    await app(scope(case), receive, send)


async def instructions(app: App, case: Case) -> float:
    """Return how many bytecode instructions a message takes.

    The difference between two talks: what a connection takes is in both. Neither is so
    long that a checkpoint lets the event loop run, which counts by its own measure; and
    the least of some, since a timer may be due in one of them.
    """
    # With what is made once; and from Python 3.13 on not all is counted at first.
    await _traced(app, case, 8)
    short, long = [
        min([await _traced(app, case, length) for _ in range(4)]) for length in (8, 56)
    ]
    return (long - short) / 48


async def _traced(app: App, case: Case, length: int) -> int:
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        await talk(app, case, length)
    finally:
        sys.settrace(before)
    return count


async def microseconds(app: App, case: Case, rounds: int, count: int = 512) -> float:
    """Return the least that a message has taken."""
    least = float("inf")
    for _ in range(rounds):
        began = time.perf_counter()
        await talk(app, case, count)
        least = min(least, time.perf_counter() - began)
    return 1e6 * least / count


async def main(rounds: int) -> None:
    """Print a row for each observer."""
    print(f"{'':15}{'echo':>10}{'':>10}{'typed':>10}")
    for name, make in OBSERVERS.items():
        app, row = app_of(make()), f"{name:15}"
        for case in (CASES["bare"], CASES["typed"]):
            row += f"{await instructions(app, case):>10.1f}"
            row += f"{await microseconds(app, case, rounds):>7.2f} us"
        print(row)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    anyio.run(main, parser.parse_args().rounds)
