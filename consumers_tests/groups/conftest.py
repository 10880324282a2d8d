"""What all tests of groups share."""

from typing import Any

import pytest


@pytest.fixture(
    params=[("asyncio", {"use_uvloop": False}), ("trio", {})], ids=lambda each: each[0]
)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Run each asynchronous test on asyncio and on trio.

    Not on uvloop as well, as other tests are: no socket is touched here.
    """
    backend: tuple[str, dict[str, Any]] = request.param
    return backend
