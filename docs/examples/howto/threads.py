"""Synchronous code: a hook in a worker thread, or one call of a hook."""

import time
from functools import partial
from typing import Annotated

from anyio import CapacityLimiter, from_thread, to_thread

from consumers import App, Provide, WebSocketConsumer, WebSocketRoute, receives


def slow_sum(numbers: list[int]) -> int:
    time.sleep(0.001)
    return sum(numbers)


class Methods(WebSocketConsumer):
    @receives("sum", thread=True)
    def sum(self, numbers: list[int]) -> int:
        return slow_sum(numbers)


class InAThread(WebSocketConsumer):
    @receives(thread=True)
    def on_receive(self, message: list[int]) -> None:
        from_thread.run(self.send, slow_sum(message))


class OneCall(WebSocketConsumer):
    async def on_receive(self, message: list[int]) -> None:
        await self.send(await to_thread.run_sync(partial(slow_sum, message)))


def four_threads() -> CapacityLimiter:
    return CapacityLimiter(4)  # instead of the 40 that all share


Few = Annotated[CapacityLimiter, Provide(four_threads, scope="app")]


class Bounded(WebSocketConsumer):
    async def on_receive(self, message: list[int], few: Few) -> None:
        call = partial(slow_sum, message)
        await self.send(await to_thread.run_sync(call, limiter=few))


app = App(
    [
        WebSocketRoute("/methods", Methods),
        WebSocketRoute("/thread", InAThread),
        WebSocketRoute("/call", OneCall),
        WebSocketRoute("/bounded", Bounded),
    ]
)
