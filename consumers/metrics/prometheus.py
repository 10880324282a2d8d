"""Prometheus: what an application does, to be scraped.

::

    metrics = Prometheus()
    app = App([..., metrics.route("/metrics")], observers=[metrics])

What happens is counted as it happens. What only is (outboxes, the layer's figures, the
traffic of open connections) is looked at when somebody scrapes.
"""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from anyio import NoEventLoopError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from consumers.errors import ConfigurationError
from consumers.handshake.refusals import refused
from consumers.observing import Observer
from consumers.over_limit import over_limit
from consumers.runtime.traffic import traffic_of, waiting_for

from .outcomes import consumer_name, name_of_code, outcome_of

try:
    from prometheus_client import CollectorRegistry, Counter, Histogram
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        Metric,
    )
    from prometheus_client.exposition import choose_encoder
except ModuleNotFoundError as missing:
    raise ConfigurationError(
        f"Prometheus metrics must have prometheus-client, got no {missing.name!r}; "
        "pip install 'anyio-consumers[prometheus]'"
    ) from missing

if TYPE_CHECKING:
    from consumers.close import CloseEvent
    from consumers.consumer import WebSocketConsumer
    from consumers.groups import Groups, Publication

__all__ = ["Prometheus"]

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
"""Seconds, from a handler that only answers to one that asks a slow database."""

_DROPS: Final = (
    *("coalesced", "superseded", "dropped_oldest", "dropped_newest"),
    *("overflowed", "given_up"),
)
_RECOVERIES: Final = {"recoveries": "complete", "recoveries_failed": "failed"}
_LAYER: Final = {
    "reconnects": "Connections to the broker that were made again",
    "retried": "Calls to the broker that were made again",
    "published": "Publications that were given to the broker",
    "received": "Publications that came from the broker",
}


class Prometheus(Observer):
    """The metrics of one or more applications of this process.

    Labels are names of classes, methods, patterns of groups and reasons, all of which
    the program has: never a path, a group's name, or who somebody is.
    """

    counts_traffic = True

    def __init__(
        self,
        *,
        buckets: Sequence[float] = BUCKETS,
        registry: CollectorRegistry | None = None,
    ) -> None:
        """Begin with nothing counted.

        Args:
            buckets: Of the histograms, in seconds.
            registry: Where the metrics are to be added to others; ``None``: one of
                their own. It takes one `Prometheus`, which several applications share.
        """
        self.registry = CollectorRegistry() if registry is None else registry
        """Where the metrics are: for ``prometheus_client.start_http_server`` too."""
        self._open: set[WebSocketConsumer] = set()
        self._groups: list[Groups] = []
        self._traffic: Counts[tuple[str, str, str]] = Counts()  # of what has ended
        made: dict[str, Any] = {"registry": self.registry}
        self._opened = Counter(
            "consumers_connections_opened", "Accepted handshakes", ["consumer"], **made
        )
        self._closed = Counter(
            "consumers_connections_closed",
            "Connections that have ended, by close code and by who ended them",
            ["consumer", "code", "by"],
            **made,
        )
        self._refused = Counter(
            "consumers_handshakes_refused",
            "Handshakes that a consumer was chosen for, and that were refused",
            ["consumer", "status"],
            **made,
        )
        self._failed = Counter(
            "consumers_failures",
            "Exceptions that have closed a connection",
            ["consumer"],
            **made,
        )
        self._seconds = Histogram(
            "consumers_handler_seconds",
            "How long messages were handled",
            ["consumer", "handler"],
            buckets=buckets,
            **made,
        )
        self._outcomes = Counter(
            "consumers_handler_errors",
            "Messages whose handler did not return",
            ["consumer", "handler", "outcome"],
            **made,
        )
        self._publications = Counter(
            "consumers_publications",
            "Messages that were published in this process",
            ["group", "outcome"],
            **made,
        )
        self._publishing = Histogram(
            "consumers_publish_seconds",
            "How long publishing took: the layer's latency, and delivery here",
            buckets=buckets,
            **made,
        )
        self._delivered = Counter(
            "consumers_deliveries",
            "Publications that were handed to members in this process, one each",
            ["group"],
            **made,
        )
        self.registry.register(_Looking(self))

    # -- for whoever scrapes --------------------------------------------------------

    def route(self, path: str = "/metrics") -> Route:
        """Return a route for any table of Starlette's. It asks nobody who they are."""

        async def metrics(request: Request) -> Response:
            encode, kind = choose_encoder(request.headers.get("accept", ""))
            return Response(encode(self.registry), headers={"content-type": kind})

        return Route(path, metrics)

    # -- what happens ---------------------------------------------------------------

    def attached(self, groups: Groups) -> None:
        """Look at these groups too."""
        if groups not in self._groups:
            self._groups.append(groups)

    def opened(self, connection: WebSocketConsumer, seconds: float) -> None:
        """Count a connection."""
        self._open.add(connection)
        self._opened.labels(consumer_name(connection)).inc()

    def closed(
        self, connection: WebSocketConsumer, event: CloseEvent, seconds: float
    ) -> None:
        """Count its end, and keep what went through it."""
        name = consumer_name(connection)
        self._open.discard(connection)
        self._traffic.update(_of(connection))
        self._closed.labels(name, name_of_code(event.code), event.initiator).inc()

    def refused(
        self, connection: WebSocketConsumer, status: int | None, seconds: float
    ) -> None:
        """Count a handshake that came to nothing."""
        told = "left" if status is None else str(status)
        self._refused.labels(consumer_name(connection), told).inc()

    def failed(self, connection: WebSocketConsumer, error: BaseException) -> None:
        """Count an exception."""
        self._failed.labels(consumer_name(connection)).inc()

    def handled(
        self,
        connection: WebSocketConsumer,
        name: str,
        seconds: float,
        error: BaseException | None,
    ) -> None:
        """Take the time of a handler."""
        consumer = consumer_name(connection)
        self._seconds.labels(consumer, name).observe(seconds)
        if error is not None:
            self._outcomes.labels(consumer, name, outcome_of(error)).inc()

    def published(
        self,
        publications: Sequence[Publication],
        seconds: float,
        error: BaseException | None,
    ) -> None:
        """Count publications; those of one call take one time."""
        self._publishing.observe(seconds)
        outcome = "ok" if error is None else "failed"
        for publication in publications:
            self._publications.labels(publication.pattern, outcome).inc()

    def delivered(self, publication: Publication, members: int, seconds: float) -> None:
        """Count what members were handed."""
        self._delivered.labels(publication.pattern).inc(members)

    # -- what is --------------------------------------------------------------------

    def open_now(self) -> list[WebSocketConsumer]:
        """Return the connections that are open; from any thread."""
        return list(self._open)

    def traffic(self) -> Counts[tuple[str, str, str]]:
        """Return ``{(consumer, "messages" or "bytes", "in" or "out"): how many}``."""
        total = self._traffic.copy()
        for connection in self.open_now():
            total.update(_of(connection))
        return total

    def statistics(self) -> Counts[str]:
        """Return the counts of all groups and their layers."""
        total: Counts[str] = Counts()
        for groups in list(self._groups):
            try:
                total.update(groups.statistics())
            except NoEventLoopError:  # a thread of its own scrapes
                total.update(groups.counters.as_dict())
        return total


def _of(connection: WebSocketConsumer) -> dict[tuple[str, str, str], int]:
    name, traffic = consumer_name(connection), traffic_of(connection)
    return {
        (name, "messages", "in"): traffic.messages_in,
        (name, "messages", "out"): traffic.messages_out,
        (name, "bytes", "in"): traffic.bytes_in,
        (name, "bytes", "out"): traffic.bytes_out,
    }


class _Looking:
    """What is looked at when somebody scrapes."""

    def __init__(self, metrics: Prometheus) -> None:
        self._metrics = metrics

    def describe(self) -> Iterable[Metric]:
        """Return nothing: names are of this module, and not checked."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield each metric with its values of now."""
        yield from self._connections()
        yield from self._moved()
        yield _counter(
            "refusals", "Handshakes that were refused, by reason", "reason", refused
        )
        yield _counter(
            "over_limit", "How often a limit was exceeded", "limit", over_limit
        )
        yield from self._of_groups()

    def _connections(self) -> Iterator[Metric]:
        number: Counts[str] = Counts()
        slow: Counts[str] = Counts()
        messages: Counts[str] = Counts()
        size: Counts[str] = Counts()
        for connection in self._metrics.open_now():
            name = consumer_name(connection)
            number[name] += 1
            waiting = waiting_for(connection)
            if waiting is not None:
                slow[name] += 1
                messages[name] += waiting[0]
                size[name] += waiting[1]
        yield _gauge("connections", "Open connections", number)
        yield _gauge("outboxes", "Connections that something waits for", slow)
        yield _gauge("outbox_messages", "Publications that wait", messages)
        yield _gauge("outbox_bytes", "Bytes of publications that wait", size)

    def _moved(self) -> Iterator[Metric]:
        families = {
            "messages": CounterMetricFamily(
                "consumers_messages",
                "Messages that were received and sent",
                labels=["consumer", "direction"],
            ),
            "bytes": CounterMetricFamily(
                "consumers_message_bytes",
                "Bytes of messages, before compression",
                labels=["consumer", "direction"],
            ),
        }
        for (name, what, way), count in sorted(self._metrics.traffic().items()):
            families[what].add_metric([name, way], count)
        yield from families.values()

    def _of_groups(self) -> Iterator[Metric]:
        counts = self._metrics.statistics()
        yield _counter(
            "dropped",
            "Publications that a connection will not get, by why",
            "policy",
            {name: counts[name] for name in _DROPS},
        )
        yield _counter(
            "recoveries",
            "Returns to a group with a position, by what came of them",
            "outcome",
            {outcome: counts[name] for name, outcome in _RECOVERIES.items()},
        )
        for name, meaning in _LAYER.items():
            if name in counts:
                yield CounterMetricFamily(
                    f"consumers_layer_{name}", meaning, value=counts[name]
                )
        if "latency" in counts:
            yield GaugeMetricFamily(
                "consumers_layer_latency_seconds",
                "The round trip of the last heartbeat to the broker",
                value=counts["latency"],
            )


def _gauge(name: str, meaning: str, values: Counts[str]) -> Metric:
    made = GaugeMetricFamily(f"consumers_{name}", meaning, labels=["consumer"])
    for label, value in sorted(values.items()):
        made.add_metric([label], value)
    return made


def _counter(
    name: str, meaning: str, label: str, values: dict[str, int] | Counts[str]
) -> Metric:
    made = CounterMetricFamily(f"consumers_{name}", meaning, labels=[label])
    for value, count in sorted(values.items()):
        made.add_metric([value], count)
    return made
