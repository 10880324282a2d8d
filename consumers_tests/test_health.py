"""Health: alive, and ready for connections."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from anyio import sleep_forever
from fastapi import FastAPI
from starlette.applications import Starlette

from consumers import App, Groups, LayerUnavailable
from consumers.health import health_routes
from consumers.layers.memory import MemoryLayer
from consumers.runtime.registry import current_registry
from consumers.testing import TestClient


class Silent(MemoryLayer):
    """A layer whose broker does not answer."""

    async def check(self) -> float:
        await sleep_forever()
        raise AssertionError


class Gone(MemoryLayer):
    """A layer whose broker is gone."""

    async def check(self) -> float:
        raise LayerUnavailable("not connected to redis://user:secret@broker")


@pytest.fixture
def draining() -> Iterator[None]:
    current_registry().draining = True
    yield
    current_registry().draining = False


async def test_an_application_is_alive_and_ready() -> None:
    """While its lifespan runs and its layer answers; nobody keeps the answer."""
    async with TestClient(App(health=True)) as client:
        alive = await client.request("GET", "/healthz")
        ready = await client.request("GET", "/readyz")

    assert (alive.status, ready.status) == (200, 200)
    assert ready.json() == {"ready": True}
    assert ready.headers["cache-control"] == "no-store"


async def test_without_being_asked_there_is_no_such_path() -> None:
    """The control: the routes are there because they were asked for."""
    async with TestClient(App()) as client:
        assert (await client.request("GET", "/readyz")).status == 404


@pytest.mark.parametrize("kind", [Starlette, FastAPI])
async def test_the_routes_serve_in_other_tables(kind: Any) -> None:
    """In Starlette and in FastAPI, with the groups' lifespan."""
    groups = Groups()
    app = kind(routes=health_routes(groups), lifespan=groups.lifespan)
    async with TestClient(app) as client:
        assert (await client.request("GET", "/readyz")).status == 200


async def test_before_the_lifespan_it_is_not_ready() -> None:
    """A process that has not started is alive, and gets no connections."""
    async with TestClient(Starlette(routes=health_routes(Groups()))) as client:
        alive = await client.request("GET", "/healthz")
        ready = await client.request("GET", "/readyz")

    assert alive.status == 200
    assert (ready.status, ready.json()["reason"]) == (503, "starting")


@pytest.mark.usefixtures("draining")
async def test_a_server_that_ends_is_not_ready() -> None:
    """It lets go of its connections, and lives until they are gone."""
    async with TestClient(App(health=True)) as client:
        alive = await client.request("GET", "/healthz")
        ready = await client.request("GET", "/readyz")

    assert alive.status == 200
    assert (ready.status, ready.json()["reason"]) == (503, "draining")


async def test_a_layer_that_is_gone_makes_it_unready(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Why is logged, and not told to whoever asks."""
    app = App(groups=Groups(layer=Gone), health=True)
    with caplog.at_level(logging.WARNING, "consumers"):
        async with TestClient(app) as client:
            ready = await client.request("GET", "/readyz")

    assert (ready.status, ready.json()) == (503, {"ready": False, "reason": "layer"})
    assert "not connected" in caplog.text


async def test_a_layer_that_is_silent_is_not_waited_for() -> None:
    """The check answers within seconds, whatever the broker does."""
    from anyio import create_task_group

    found: list[int] = []
    app = App(groups=Groups(layer=Silent), health=True)

    async def ask(client: TestClient) -> None:
        found.append((await client.request("GET", "/readyz")).status)

    async with TestClient(app) as client, create_task_group() as tasks:
        tasks.start_soon(ask, client)
        await client.settle()
        await client.advance(3)

    assert found == [503]
