"""OpenTelemetry: spans of handshakes, messages and publications, and their metrics.

::

    app = App([...], observers=[OpenTelemetry()])

A publication carries the context of whoever published it: what members do with it in
other processes belongs to the same trace. Names are those of the semantic conventions
for messaging, which are still in development.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from time import time_ns
from typing import TYPE_CHECKING, Any, Final

from consumers.errors import ConfigurationError
from consumers.handshake.refusals import refused
from consumers.observing import Observer
from consumers.over_limit import over_limit

from .outcomes import consumer_name, name_of_code, outcome_of

try:
    from opentelemetry import context, metrics, propagate, trace
    from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
except ModuleNotFoundError as missing:
    raise ConfigurationError(
        f"traces must have opentelemetry-api, got no {missing.name!r}; "
        "pip install 'anyio-consumers[opentelemetry]'"
    ) from missing

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import CallbackOptions, MeterProvider
    from opentelemetry.trace import TracerProvider

    from consumers.close import CloseEvent
    from consumers.consumer import WebSocketConsumer
    from consumers.groups import Publication

__all__ = ["OpenTelemetry"]

_NAME: Final = "consumers"
_SYSTEM: Final = {"messaging.system": _NAME}
_SECOND: Final = 1_000_000_000

_Begun = tuple["Span", Any]
"""A span, and what makes current again what was before."""


class OpenTelemetry(Observer):
    """Spans and metrics, for whatever the SDK is set up to export them to.

    - ``connect Chat``: a handshake, as part of the trace that its headers name.
    - ``connection Chat``: the open connection, told when it has ended.
    - ``process Chat.say``: the handling of a message; a trace of its own, linked to
      the handshake, since connections last for hours.
    - ``publish chat.{channel}``: a publication, carried to those who get it.
    - ``deliver chat.{channel}``: its way to the members in one process.

    One for an application: which span is the current one is known once.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        """Begin with the providers that are given, or else the global ones."""
        self._tracer = trace.get_tracer(_NAME, tracer_provider=tracer_provider)
        meter = metrics.get_meter(_NAME, meter_provider=meter_provider)
        # What the current task handles, and publishes.
        self._handling: ContextVar[_Begun | None] = ContextVar(
            "consumers.otel.handling", default=None
        )
        self._publishing: ContextVar[_Begun | None] = ContextVar(
            "consumers.otel.publishing", default=None
        )
        self._handshakes: dict[WebSocketConsumer, Span] = {}
        self._connections = meter.create_up_down_counter(
            "consumers.connections", "{connection}", "Open connections"
        )
        self._closes = meter.create_counter(
            "consumers.connections.closed", "{connection}", "Connections that ended"
        )
        self._process = meter.create_histogram(
            "messaging.process.duration", "s", "How long messages were handled"
        )
        self._operation = meter.create_histogram(
            "messaging.client.operation.duration", "s", "How long publishing took"
        )
        self._sent = meter.create_counter(
            "messaging.client.sent.messages", "{message}", "Messages published"
        )
        self._consumed = meter.create_counter(
            "messaging.client.consumed.messages", "{message}", "Messages handled"
        )
        # Of the whole process, and looked at when somebody collects. Whichever of
        # several applications is asked tells the same: the SDK keeps one of a name.
        meter.create_observable_counter(
            "consumers.refusals",
            [_looking_at(refused, "consumers.refusal.reason")],
            "{handshake}",
            "Handshakes that were refused, by reason",
        )
        meter.create_observable_counter(
            "consumers.over_limit",
            [_looking_at(over_limit, "consumers.limit")],
            "{excess}",
            "How often a limit was exceeded",
        )

    # -- connections ----------------------------------------------------------------

    def opening(self, connection: WebSocketConsumer) -> None:
        """Begin the handshake's span. What its hooks do is part of it."""
        name = consumer_name(connection)
        # The trace that it is part of, and no baggage: that is a stranger's, and would
        # travel with each publication.
        caller = propagate.extract(dict(connection.headers), context.Context())
        parent = trace.set_span_in_context(
            trace.get_current_span(caller), context.Context()
        )
        span = self._tracer.start_span(
            f"connect {name}",
            parent,
            SpanKind.SERVER,
            {"consumers.consumer": name, "consumers.connection.id": connection.id},
        )
        self._handshakes[connection] = span
        # Not taken back: the main task is the connection's own, and ends with it.
        context.attach(trace.set_span_in_context(span))

    def opened(self, connection: WebSocketConsumer, seconds: float) -> None:
        """End the handshake's span."""
        self._connections.add(1, {"consumers.consumer": consumer_name(connection)})
        if (span := self._handshakes.get(connection)) is not None:
            span.end()

    def refused(
        self, connection: WebSocketConsumer, status: int | None, seconds: float
    ) -> None:
        """End it with the status."""
        span = self._handshakes.pop(connection, None)
        if span is not None and span.is_recording():
            if status is not None:
                span.set_attribute("http.response.status_code", status)
                if status >= 500:
                    span.set_status(Status(StatusCode.ERROR))
            span.end()

    def closed(
        self, connection: WebSocketConsumer, event: CloseEvent, seconds: float
    ) -> None:
        """Tell of the connection as a whole."""
        name = consumer_name(connection)
        self._connections.add(-1, {"consumers.consumer": name})
        attributes = {
            "consumers.consumer": name,
            "consumers.close.code": name_of_code(event.code),
            "consumers.close.initiator": event.initiator,
        }
        self._closes.add(1, attributes)
        now = time_ns()
        span = self._tracer.start_span(
            f"connection {name}",
            context.Context(),
            attributes=attributes | {"consumers.connection.id": connection.id},
            links=self._links(connection),
            start_time=now - int(seconds * _SECOND),
        )
        if event.code == 1011:
            span.set_status(Status(StatusCode.ERROR))
        span.end(now)
        self._handshakes.pop(connection, None)

    def failed(self, connection: WebSocketConsumer, error: BaseException) -> None:
        """Tell of an exception by a span of its own: others may have ended."""
        name = consumer_name(connection)
        with self._tracer.start_as_current_span(
            f"failure {name}",
            context.Context(),
            attributes={
                "consumers.consumer": name,
                "consumers.connection.id": connection.id,
            },
            links=self._links(connection),
        ) as span:
            span.record_exception(error)
            span.set_status(Status(StatusCode.ERROR))

    def _links(self, connection: WebSocketConsumer) -> list[Link]:
        span = self._handshakes.get(connection)
        return [] if span is None else [Link(span.get_span_context())]

    # -- messages -------------------------------------------------------------------

    def handling(self, connection: WebSocketConsumer, name: str) -> None:
        """Begin a message's span."""
        consumer = consumer_name(connection)
        span = self._tracer.start_span(
            f"process {consumer}.{name}",
            context.Context(),
            SpanKind.CONSUMER,
            {
                **_handler(consumer, name),
                "consumers.connection.id": connection.id,
            },
            links=self._links(connection),
        )
        _begin(self._handling, span, context.Context())

    def handled(
        self,
        connection: WebSocketConsumer,
        name: str,
        seconds: float,
        error: BaseException | None,
    ) -> None:
        """End it, with what came of it."""
        outcome = outcome_of(error)
        attributes = _handler(consumer_name(connection), name)
        attributes["consumers.outcome"] = outcome
        self._consumed.add(1, attributes)
        self._process.record(seconds, attributes)
        _end(self._handling, {"consumers.outcome": outcome}, error, outcome == "failed")

    # -- publications ---------------------------------------------------------------

    def publishing(self, publications: Sequence[Publication]) -> None:
        """Begin a span, and have the publications carry its context."""
        first = publications[0]
        attributes: dict[str, Any] = {
            **_SYSTEM,
            "messaging.operation.name": "publish",
            "messaging.operation.type": "send",
        }
        if len(publications) > 1:
            attributes["messaging.batch.message_count"] = len(publications)
        span = self._tracer.start_span(
            f"publish {first.pattern}",
            kind=SpanKind.PRODUCER,
            attributes=attributes | _destination(first),
        )
        _begin(self._publishing, span, None)
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        if carrier:
            for publication in publications:
                publication.carrier = carrier

    def published(
        self,
        publications: Sequence[Publication],
        seconds: float,
        error: BaseException | None,
    ) -> None:
        """End it."""
        attributes: dict[str, Any] = {
            **_SYSTEM,
            "messaging.operation.name": "publish",
            "messaging.destination.template": publications[0].pattern,
        }
        if error is not None:
            attributes["error.type"] = type(error).__qualname__
        self._sent.add(len(publications), attributes)
        self._operation.record(seconds, attributes)
        _end(self._publishing, {}, error, error is not None)

    def delivered(self, publication: Publication, members: int, seconds: float) -> None:
        """Tell how it reached the members, as part of the publisher's trace.

        A batch is of several publishers: it is linked to all of them.
        """
        parent: Context = context.Context()
        links: list[Link] = []
        if publication.items is None:
            parent = propagate.extract(publication.carrier or {}, parent)
        else:
            links = [
                Link(span)
                for each in publication.items.values()
                if (span := _carried(each)).is_valid
            ]
        now = time_ns()
        self._tracer.start_span(
            f"deliver {publication.pattern}",
            parent,
            SpanKind.CONSUMER,
            {
                **_SYSTEM,
                "messaging.operation.name": "deliver",
                "messaging.operation.type": "process",
                "consumers.members": members,
                **_destination(publication),
            },
            links,
            now - int(seconds * _SECOND),
        ).end(now)


def _looking_at(
    counts: Counter[str], attribute: str
) -> Callable[[CallbackOptions], Iterable[metrics.Observation]]:
    return lambda _: [
        metrics.Observation(count, {attribute: value})
        for value, count in sorted(counts.items())
    ]


def _handler(consumer: str, name: str) -> dict[str, Any]:
    return {
        **_SYSTEM,
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.template": f"{consumer}.{name}",
        "consumers.consumer": consumer,
    }


def _destination(publication: Publication) -> dict[str, Any]:
    found = {"messaging.destination.template": publication.pattern}
    if not publication.group.startswith("@"):  # else it would tell who a user is
        found["messaging.destination.name"] = publication.group
        found["messaging.message.id"] = publication.id
    return found


def _carried(publication: Publication) -> trace.SpanContext:
    carried = propagate.extract(publication.carrier or {}, context.Context())
    return trace.get_current_span(carried).get_span_context()


def _begin(
    begun: ContextVar[_Begun | None], span: Span, within: Context | None
) -> None:
    begun.set((span, context.attach(trace.set_span_in_context(span, within))))


def _end(
    begun: ContextVar[_Begun | None],
    attributes: dict[str, Any],
    error: BaseException | None,
    failed: bool,
) -> None:
    """End the span that the task has begun, and what was current before is again."""
    span, token = begun.get() or (trace.INVALID_SPAN, None)
    begun.set(None)
    if token is not None:
        context.detach(token)
    span.set_attributes(attributes)
    if error is not None and failed:
        span.record_exception(error)
        span.set_status(Status(StatusCode.ERROR, type(error).__qualname__))
        span.set_attribute("error.type", type(error).__qualname__)
    span.end()
