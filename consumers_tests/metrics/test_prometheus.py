"""Prometheus metrics, as its own parser reads them."""

from collections.abc import Iterator

import pytest
from anyio import to_thread
from howto import observed
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette

from consumers import App, DropNewest, Group, Groups, WebSocketConsumer, WebSocketRoute
from consumers.handshake.refusals import refused
from consumers.layers.memory import MemoryLayer
from consumers.metrics.prometheus import Prometheus
from consumers.over_limit import over_limit
from consumers.testing import Refused, TestClient
from consumers_tests.observers import Chat, Echo, Metered

ACCEPT = "application/openmetrics-text; version=1.0.0"

Found = dict[tuple[str, frozenset[tuple[str, str]]], float]

feed = Group("feed.{name}", outbox=DropNewest(messages=1))


class Reader(WebSocketConsumer):
    async def on_connect(self) -> None:
        await self.join(feed("all"))


class Remote(MemoryLayer):
    """A layer with the figures of one on a broker."""

    def statistics(self) -> dict[str, float]:
        return {"reconnects": 2, "retried": 1, "latency": 0.25}


def read(text: str) -> Found:
    """Return ``{(name, labels): value}``."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(found: Found, name: str, **labels: str) -> float:
    """Return one value; 0 where there is none."""
    return found.get((name, frozenset(labels.items())), 0)


async def scrape(client: TestClient) -> Found:
    """Ask as Prometheus does."""
    response = await client.request("GET", "/metrics")
    assert response.status == 200
    assert response.headers["content-type"].startswith("text/plain")
    return read(response.text)


def names(found: Found) -> Iterator[str]:
    """Yield the values of all labels."""
    for _, labels in found:
        for _, value in labels:
            yield value


async def test_connections_and_messages_are_counted() -> None:
    """While they are open, and when they have ended."""
    metrics = Prometheus()
    app = App([WebSocketRoute("/", Echo), metrics.route()], observers=[metrics])
    async with TestClient(app) as client:
        async with client.connect("/") as ws:
            await ws.send("hello")
            await ws.receive()
            during = await scrape(client)
        after = await scrape(client)

    for found, connections in (during, 1), (after, 0):
        assert of(found, "consumers_connections", consumer="Echo") == connections
        assert of(found, "consumers_connections_opened_total", consumer="Echo") == 1
        for way in "in", "out":
            labels = {"consumer": "Echo", "direction": way}
            assert of(found, "consumers_messages_total", **labels) == 1
            assert of(found, "consumers_message_bytes_total", **labels) == 5
    closed = {"consumer": "Echo", "code": "1000", "by": "client"}
    assert of(after, "consumers_connections_closed_total", **closed) == 1
    timed = {"consumer": "Echo", "handler": "on_receive"}
    assert of(after, "consumers_handler_seconds_count", **timed) == 1


async def test_failures_and_refusals_are_counted() -> None:
    """By what they are; a code that a client makes up is no label of its own."""
    metrics = Prometheus()
    app = App([WebSocketRoute("/", Chat), metrics.route()], observers=[metrics])
    before = refused["not_found"], refused["origin"]
    async with TestClient(app, raise_server_exceptions=False) as client:
        async with client.connect("/") as ws:
            await ws.send_json({"type": "say", "text": "rude"})
            await ws.send_json({"type": "fail"})
            await client.settle()
        async with client.connect("/") as ws:
            await ws.close(4567)
        for path, origin in ("/nowhere", "http://testserver"), ("/", "http://evil"):
            with pytest.raises(Refused):
                async with client.connect(path, headers={"origin": origin}):
                    pass
        found = await scrape(client)

    errors = "consumers_handler_errors_total"
    said = {"consumer": "Chat", "handler": "say", "outcome": "rejected"}
    failed = {"consumer": "Chat", "handler": "fail", "outcome": "failed"}
    assert (of(found, errors, **said), of(found, errors, **failed)) == (1, 1)
    assert of(found, "consumers_failures_total", consumer="Chat") == 1
    closed = {"consumer": "Chat", "code": "4xxx", "by": "client"}
    assert of(found, "consumers_connections_closed_total", **closed) == 1
    refusals = "consumers_refusals_total"
    assert of(found, refusals, reason="not_found") == before[0] + 1
    assert of(found, refusals, reason="origin") == before[1] + 1
    told = {"consumer": "Chat", "status": "403"}
    assert of(found, "consumers_handshakes_refused_total", **told) == 1


async def test_messages_over_a_rate_are_counted() -> None:
    """By the limit, and none that comes within it."""
    metrics = Prometheus()
    app = App([WebSocketRoute("/", Metered), metrics.route()], observers=[metrics])
    before, name = over_limit["message_rate"], "consumers_over_limit_total"
    async with TestClient(app) as client:
        async with client.connect("/") as ws:
            for _ in range(2):
                await ws.send("in time")
                await ws.receive()
            within = await scrape(client)
            await ws.send("too fast")
            assert (await ws.receive_close()).code == 1008
        found = await scrape(client)

    assert of(within, name, limit="message_rate") == before
    assert of(found, name, limit="message_rate") == before + 1
    assert of(found, name, limit="byte_rate") == over_limit["byte_rate"]


async def test_publications_and_slow_readers_are_counted() -> None:
    """By patterns; what waits for whom is looked at, and what was dropped, and why."""
    metrics, groups = Prometheus(), Groups("memory://", [feed])
    app = App(
        [WebSocketRoute("/", Reader), metrics.route()],
        groups=groups,
        observers=[metrics],
    )
    async with TestClient(app) as client, client.connect("/") as ws:
        await ws.stall(0)
        for number in range(20):
            await groups.publish(feed("all"), f"number {number}")
        found = await scrape(client)

    ok = {"group": "feed.{name}", "outcome": "ok"}
    assert of(found, "consumers_publications_total", **ok) == 20
    assert of(found, "consumers_deliveries_total", group="feed.{name}") == 20
    assert of(found, "consumers_publish_seconds_count") == 20
    assert of(found, "consumers_outboxes", consumer="Reader") == 1
    assert of(found, "consumers_outbox_messages", consumer="Reader") >= 1
    assert of(found, "consumers_outbox_bytes", consumer="Reader") >= 8
    assert of(found, "consumers_dropped_total", policy="dropped_newest") > 10
    assert of(found, "consumers_recoveries_total", outcome="complete") == 0
    assert "feed.all" not in set(names(found))


async def test_the_layer_s_figures_are_told() -> None:
    """Where it has some: how long a round trip takes, and what broke."""
    metrics = Prometheus()
    app = App([metrics.route()], groups=Groups(layer=Remote), observers=[metrics])
    async with TestClient(app) as client:
        found = await scrape(client)

    assert of(found, "consumers_layer_reconnects_total") == 2
    assert of(found, "consumers_layer_retried_total") == 1
    assert of(found, "consumers_layer_latency_seconds") == 0.25


async def test_groups_without_an_app_are_told_of() -> None:
    """What `groups.observe` has made them known: drops, and the layer's figures."""
    metrics = Prometheus()
    groups = Groups("memory://", [feed], layer=Remote)
    groups.observe(metrics)
    routes = [WebSocketRoute("/", Reader), metrics.route()]
    site = Starlette(routes=routes, lifespan=groups.lifespan)
    async with TestClient(site) as client, client.connect("/") as ws:
        await ws.stall(0)
        for number in range(20):
            await groups.publish(feed("all"), f"number {number}")
        found = await scrape(client)

    assert of(found, "consumers_deliveries_total", group="feed.{name}") == 20
    assert of(found, "consumers_dropped_total", policy="dropped_newest") > 10
    assert of(found, "consumers_layer_reconnects_total") == 2
    assert of(found, "consumers_layer_latency_seconds") == 0.25


async def test_several_applications_share_one() -> None:
    """And one that is mounted elsewhere is counted by the route of its host."""
    metrics = Prometheus()
    one = App([WebSocketRoute("/", Echo)], observers=[metrics])
    two = App([WebSocketRoute("/", Echo)], observers=[metrics], groups=one.groups)
    site = Starlette(routes=[metrics.route()])
    async with TestClient(one) as client, TestClient(two) as other:  # noqa: SIM117
        async with client.connect("/"), other.connect("/"), TestClient(site) as host:
            found = await scrape(host)

    assert of(found, "consumers_connections", consumer="Echo") == 2


async def test_two_count_apart() -> None:
    """Each has a registry of its own, unless it is given one."""
    registry = CollectorRegistry()
    first, second = Prometheus(), Prometheus(registry=registry, buckets=(1, 2))

    assert first.registry is not registry
    assert second.registry is registry
    with pytest.raises(ValueError, match="Duplicated"):
        Prometheus(registry=registry)


async def test_a_thread_may_scrape() -> None:
    """As `prometheus_client.start_http_server` does, on a port of its own."""
    metrics = Prometheus()
    app = App([WebSocketRoute("/", Echo)], observers=[metrics])
    async with TestClient(app) as client, client.connect("/"):
        text = await to_thread.run_sync(generate_latest, metrics.registry)

    assert of(read(text.decode()), "consumers_connections", consumer="Echo") == 1


async def test_openmetrics_is_spoken_where_it_is_asked_for() -> None:
    """Every metric keeps its rules."""
    metrics = Prometheus()
    app = App([WebSocketRoute("/", Echo), metrics.route()], observers=[metrics])
    async with TestClient(app) as client:
        async with client.connect("/") as ws:
            await ws.send("hello")
            await ws.receive()
        response = await client.request("GET", "/metrics", headers={"accept": ACCEPT})

    found = parse_openmetrics(response.text)  # type: ignore[no-untyped-call]
    families = {family.name for family in found}
    assert {"consumers_connections", "consumers_refusals"} <= families


async def test_the_guide_s_chat_tells_how_it_does() -> None:
    """Its health, and its metrics."""
    async with TestClient(observed.app) as client:
        async with client.connect("/chat") as ws:
            await ws.send("hello")
            assert await ws.receive() == "hello"
        ready = await client.request("GET", "/readyz")
        found = await scrape(client)

    assert ready.status == 200
    labels = {"consumer": "Chat", "direction": "in"}
    assert of(found, "consumers_messages_total", **labels) >= 1
