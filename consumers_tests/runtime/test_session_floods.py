"""Session: a client that sends what costs the server more than itself."""

from typing import Any

from consumers import WebSocketConsumer
from consumers_tests.doubles import serving


async def test_pings_that_nobody_reads_the_answers_of() -> None:
    """A client that pings and reads nothing takes no memory for it."""
    instances: list[Any] = []

    class Quiet(WebSocketConsumer):
        async def on_connect(self) -> None:
            instances.append(self)

    async with (
        serving(Quiet) as client,
        client.connect("/", subprotocols=["consumers.v1+json"]) as ws,
    ):
        assert (await ws.receive_json())["type"] == "welcome"
        await ws.stall(0)
        for _ in range(500):
            await ws.send({"type": "ping"})
        await client.settle()
        assert len(instances[0]._runtime.tasks.of("service")) < 10
        await ws.resume()
        assert await ws.receive_json() == {"type": "pong"}
