"""Tests of a project that uses pytest-asyncio."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from echo import app

from consumers.testing import TestClient


@pytest_asyncio.fixture
async def client() -> AsyncIterator[TestClient]:
    async with TestClient(app, deadline=2) as client:
        yield client


@pytest.mark.asyncio
async def test_echo(client: TestClient) -> None:
    async with client.connect("/echo") as ws:
        await ws.send("hello")
        assert await ws.receive() == "You said: hello"
