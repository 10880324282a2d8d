"""What observers are told of publications that go through a broker."""

from collections.abc import Iterator, Sequence

import pytest
from anyio import Event, fail_after, to_thread

from consumers import App, Groups, Publication
from consumers.metrics.prometheus import Prometheus
from consumers.observing import Observer
from consumers.testing import TestClient
from consumers_tests.valkey import PATIENCE, Valkey


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    with Valkey() as server:
        yield server


class Carrying(Observer):
    """Puts something in, and tells what came out."""

    def __init__(self) -> None:
        self.came: list[dict[str, str] | None] = []
        self.done = Event()

    def publishing(self, publications: Sequence[Publication]) -> None:
        for publication in publications:
            publication.carrier = {"from": str(publication.message)}

    def delivered(self, publication: Publication, members: int, seconds: float) -> None:
        self.came.append(publication.carrier)
        if len(self.came) == 2:
            self.done.set()


async def test_a_carrier_goes_through_the_broker(valkey: Valkey) -> None:
    """From an event loop and from a thread, to the observers of another process."""
    here, there = Groups(valkey.url), Groups(valkey.url)
    observer = Carrying()
    for groups in here, there:
        groups.observe(observer)
    async with here, there, there.subscribe("lobby"):
        await here.publish("lobby", "a loop")
        await to_thread.run_sync(here.sync.publish, "lobby", "a thread")
        with fail_after(PATIENCE):
            await observer.done.wait()
    here.sync.close()

    assert observer.came == [{"from": "a loop"}, {"from": "a thread"}]


async def test_the_broker_s_figures_are_metrics(valkey: Valkey) -> None:
    """As the layer counts them."""
    metrics = Prometheus()
    app = App([metrics.route()], groups=Groups(valkey.url), observers=[metrics])
    async with TestClient(app) as client:
        await app.groups.publish("lobby", "hello")
        text = (await client.request("GET", "/metrics")).text

    assert "consumers_layer_published_total 1.0" in text
    assert "consumers_layer_reconnects_total 0.0" in text
    assert "consumers_layer_latency_seconds" in text
