"""Traces and metrics, as the SDK's exporters get them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from consumers import (
    App,
    Coalesce,
    Group,
    Groups,
    MessageNotEncodable,
    WebSocketConsumer,
    WebSocketRoute,
)
from consumers.groups.publication import Publication
from consumers.handshake.refusals import refused
from consumers.metrics.otel import OpenTelemetry
from consumers.observing import Observer
from consumers.over_limit import over_limit
from consumers.testing import Refused, TestClient
from consumers_tests.observers import Chat, Echo, Metered

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

room = Group("chat.{channel}")
slow = Group("slow.{name}", outbox=Coalesce(every=1, batch=True))


class Member(WebSocketConsumer):
    async def on_connect(self) -> None:
        await self.join(room("lobby"), slow("one"))


class Closed(WebSocketConsumer):
    async def on_handshake(self) -> None:
        raise ZeroDivisionError


@dataclass
class Telemetry:
    """An observer, and what it has exported."""

    observer: OpenTelemetry
    exporter: InMemorySpanExporter
    reader: InMemoryMetricReader

    def spans(self, begins: str = "") -> list[ReadableSpan]:
        """Return the spans that have ended, by the beginning of their names."""
        found = self.exporter.get_finished_spans()
        return [span for span in found if span.name.startswith(begins)]

    def one(self, name: str) -> ReadableSpan:
        """Return the only span of a name."""
        (span,) = (span for span in self.spans() if span.name == name)
        return span

    def points(self, name: str) -> list[Any]:
        """Return the points of a metric."""
        data = self.reader.get_metrics_data()
        assert data is not None
        return [
            point
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    yield (made := new_telemetry())
    assert made.observer._handshakes == {}


def new_telemetry() -> Telemetry:
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    meters = MeterProvider([reader], shutdown_on_exit=False)
    observer = OpenTelemetry(tracer_provider=tracers, meter_provider=meters)
    return Telemetry(observer, exporter, reader)


def context_of(span: ReadableSpan) -> trace.SpanContext:
    """Return a span's own context."""
    found = span.get_span_context()
    assert found is not None
    return found


async def test_a_handshake_is_part_of_its_caller_s_trace(telemetry: Telemetry) -> None:
    """By its header; what a client adds as baggage goes nowhere."""
    groups = Groups("memory://", [room])
    seen: list[Any] = []

    class Greeting(WebSocketConsumer):
        async def on_connect(self) -> None:
            await self.join(room("lobby"))
            await self.publish(room("lobby"), "hello")

        async def on_receive(self, message: str) -> None: ...

    class Keeping(Observer):
        def delivered(
            self, publication: Publication, members: int, seconds: float
        ) -> None:
            seen.append(publication.carrier)

    app = App(
        [WebSocketRoute("/", Greeting)],
        groups=groups,
        observers=[telemetry.observer, Keeping()],
    )
    headers = {"traceparent": PARENT, "baggage": "planted=yes"}
    async with TestClient(app) as client, client.connect("/", headers=headers) as ws:
        await ws.receive()

    connect = telemetry.one(
        "connect test_a_handshake_is_part_of_its_caller_s_trace.<locals>.Greeting"
    )
    assert connect.kind is SpanKind.SERVER
    assert connect.parent is not None
    assert f"{connect.parent.span_id:x}" == "b7ad6b7169203331"
    publish = telemetry.one("publish chat.{channel}")
    assert publish.parent == context_of(connect)
    assert list(seen[0]) == ["traceparent"]


async def test_messages_are_traces_linked_to_their_handshake(
    telemetry: Telemetry,
) -> None:
    """Since a connection lasts for hours; what they publish belongs to theirs."""
    app = App([WebSocketRoute("/", Chat)], observers=[telemetry.observer])
    async with TestClient(app) as client, client.connect("/") as ws:
        await ws.send_json({"type": "say", "text": "hello"})
        await ws.receive_json()

    connect, message = telemetry.one("connect Chat"), telemetry.one("process Chat.say")
    assert message.kind is SpanKind.CONSUMER
    assert message.parent is None
    assert [link.context for link in message.links] == [context_of(connect)]
    assert message.attributes is not None
    assert message.attributes["messaging.system"] == "consumers"
    assert message.attributes["messaging.operation.type"] == "process"
    publish = telemetry.one("publish undeclared")
    assert publish.parent == context_of(message)
    connection = telemetry.one("connection Chat")
    assert [link.context for link in connection.links] == [context_of(connect)]
    assert connection.attributes is not None
    assert connection.attributes["consumers.close.code"] == "1000"


async def test_a_publication_carries_its_trace_to_other_processes() -> None:
    """What members get in process B belongs to what was handled in process A."""
    here, there = new_telemetry(), new_telemetry()
    sent: list[Publication] = []
    here.observer.publishing([publication := Publication("chat.lobby", "hello")])
    sent.append(publication)
    here.observer.published(sent, 0.001, None)

    wire = Publication.open(publication.payload())
    read = Publication.read("chat.lobby", wire, room)
    there.observer.delivered(read, 3, 0.001)

    publish, deliver = (
        here.one("publish undeclared"),
        there.one("deliver chat.{channel}"),
    )
    assert deliver.parent is not None
    assert deliver.parent.span_id == context_of(publish).span_id
    assert deliver.parent.is_remote
    assert context_of(deliver).trace_id == context_of(publish).trace_id
    assert deliver.attributes is not None
    assert deliver.attributes["consumers.members"] == 3
    assert deliver.attributes["messaging.destination.name"] == "chat.lobby"
    assert deliver.attributes["messaging.destination.template"] == "chat.{channel}"
    assert trace.get_current_span() is trace.INVALID_SPAN


async def test_a_batch_is_linked_to_all_that_published(telemetry: Telemetry) -> None:
    """It is of several publishers, and so no part of one's trace."""
    groups = Groups("memory://", [slow])
    app = App(
        [WebSocketRoute("/", Member)], groups=groups, observers=[telemetry.observer]
    )
    async with TestClient(app) as client, client.connect("/"):
        await groups.publish(slow("one"), "first")
        await groups.publish_many([(slow("one"), "2nd"), (slow("one"), "3rd")])
        await client.advance(1)

    published = [context_of(span) for span in telemetry.spans("publish slow")]
    batched = [span for span in telemetry.spans("deliver slow") if span.links]
    linked = {link.context.span_id for span in batched for link in span.links}
    assert linked == {context.span_id for context in published}
    assert all(span.parent is None for span in batched)


async def test_who_a_user_is_is_no_attribute(telemetry: Telemetry) -> None:
    """A publication to a user has the pattern for its destination, and no name."""
    app = App(observers=[telemetry.observer])
    async with TestClient(app):
        await app.groups.publish_to_user("alice@example.com", "hello")

    (publish,) = telemetry.spans("publish")
    assert publish.name == "publish @user"
    assert "alice" not in publish.to_json()


async def test_failures_are_errors(telemetry: Telemetry) -> None:
    """Of a message's span, and in a span of their own; an answer is none."""
    app = App(
        [WebSocketRoute("/", Chat), WebSocketRoute("/closed", Closed)],
        observers=[telemetry.observer],
    )
    async with TestClient(app, raise_server_exceptions=False) as client:
        async with client.connect("/") as ws:
            await ws.send_json({"type": "say", "text": "rude"})
            await ws.send_json({"type": "fail"})
            await client.settle()
        with pytest.raises(Refused):
            async with client.connect("/closed"):
                pass

    failed, rude = telemetry.one("process Chat.fail"), telemetry.one("process Chat.say")
    assert failed.status.status_code is StatusCode.ERROR
    assert [event.name for event in failed.events] == ["exception"]
    assert rude.status.status_code is StatusCode.UNSET
    for name in "connection Chat", "failure Chat", "connect Closed":
        assert telemetry.one(name).status.status_code is StatusCode.ERROR
    told = telemetry.one("failure Chat").attributes
    assert told is not None
    assert told["consumers.consumer"] == "Chat"
    attributes = telemetry.one("connect Closed").attributes
    assert attributes is not None
    assert attributes["http.response.status_code"] == 500


async def test_metrics_are_those_of_the_conventions(telemetry: Telemetry) -> None:
    """With few values for each of their attributes."""
    app = App(
        [WebSocketRoute("/", Echo), WebSocketRoute("/chat", Chat)],
        observers=[telemetry.observer],
    )
    async with TestClient(app) as client:
        async with client.connect("/") as ws, client.connect("/chat") as chat:
            await ws.send("hello")
            await ws.receive()
            await chat.send_json({"type": "say", "text": "hello"})
            await chat.receive_json()
            during = telemetry.points("consumers.connections")
        after = telemetry.points("consumers.connections")

    assert [point.value for point in during] == [1, 1]
    assert [point.value for point in after] == [0, 0]
    for name in "messaging.process.duration", "messaging.client.consumed.messages":
        assert len(telemetry.points(name)) == 2
    for name in "messaging.client.operation.duration", "messaging.client.sent.messages":
        (point,) = telemetry.points(name)
        assert point.attributes["messaging.destination.template"] == "undeclared"
    assert len(telemetry.points("consumers.connections.closed")) == 2


async def test_what_was_refused_is_a_metric(telemetry: Telemetry) -> None:
    """Handshakes by the reason, and messages that came too fast by the limit."""
    app = App([WebSocketRoute("/", Metered)], observers=[telemetry.observer])
    before = refused["not_found"], over_limit["message_rate"]
    async with TestClient(app) as client:
        with pytest.raises(Refused):
            async with client.connect("/nowhere"):
                raise AssertionError
        async with client.connect("/") as ws:
            for _ in range(3):
                await ws.send("hello")
            await client.settle()

    for name, attribute, value, expected in (
        ("refusals", "consumers.refusal.reason", "not_found", before[0] + 1),
        ("over_limit", "consumers.limit", "message_rate", before[1] + 1),
    ):
        points = telemetry.points(f"consumers.{name}")
        assert {point.attributes[attribute]: point.value for point in points}[
            value
        ] == expected


async def test_a_publication_that_fails_is_an_error(telemetry: Telemetry) -> None:
    """With its kind, in the span and in the metric."""
    groups = Groups()
    app = App(
        [WebSocketRoute("/", Member)], groups=groups, observers=[telemetry.observer]
    )
    async with TestClient(app) as client, client.connect("/"):
        with pytest.raises(MessageNotEncodable):
            await groups.publish(room("lobby"), object())

    publish = telemetry.one("publish chat.{channel}")
    assert publish.status.status_code is StatusCode.ERROR
    (point,) = telemetry.points("messaging.client.sent.messages")
    assert point.attributes["error.type"] == "MessageNotEncodable"
