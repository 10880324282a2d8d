"""Traces that go through a real broker, from one application to another."""

from __future__ import annotations

import pytest
from anyio import fail_after
from opentelemetry.trace import SpanKind

from consumers import App, Group, Groups, History, WebSocketConsumer, WebSocketRoute
from consumers.testing import TestClient
from consumers_tests.valkey import Valkey

from .test_otel import context_of, new_telemetry

PATIENCE = 20


@pytest.mark.parametrize(
    "history", [None, History(size=10)], ids=["no history", "history"]
)
async def test_a_trace_goes_from_message_to_member(
    valkey: Valkey, history: History | None
) -> None:
    """What another application delivers is part of the trace of what was handled."""

    class Chat(WebSocketConsumer):
        async def on_connect(self) -> None:
            await self.join("chat.lobby")
            await self.send("joined")

        async def on_receive(self, message: str) -> None:
            await self.publish("chat.lobby", message)

    here, there = new_telemetry(), new_telemetry()
    clients = [
        TestClient(
            App(
                [WebSocketRoute("/", Chat)],
                groups=Groups(valkey.url, [Group("chat.{channel}", history=history)]),
                observers=[each.observer],
            )
        )
        for each in (here, there)
    ]
    with fail_after(PATIENCE):
        async with (
            clients[0] as client,
            clients[1] as other,
            client.connect("/") as ann,
            other.connect("/") as bob,
        ):
            for each in ann, bob:
                assert await each.receive() == "joined"
            await ann.send("hello")
            assert [await ann.receive(), await bob.receive()] == ["hello"] * 2

    (handled,) = (
        span for span in here.spans("process") if span.kind is SpanKind.CONSUMER
    )
    publish, deliver = (
        here.one("publish chat.{channel}"),
        there.one("deliver chat.{channel}"),
    )
    assert publish.parent == context_of(handled)
    assert deliver.parent is not None
    assert deliver.parent.is_remote
    assert deliver.parent.span_id == context_of(publish).span_id
    assert context_of(deliver).trace_id == context_of(handled).trace_id
    assert there.spans("publish") == []
