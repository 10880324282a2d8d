"""What every test gets: the three backends, and no silent skips in CI."""

import importlib.util
from typing import Any

import pytest

without_uvloop = pytest.mark.skipif(
    importlib.util.find_spec("uvloop") is None, reason="uvloop is not installed"
)


@pytest.fixture(
    params=[
        pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
        pytest.param(
            ("asyncio", {"use_uvloop": True}), id="uvloop", marks=without_uvloop
        ),
        pytest.param(("trio", {}), id="trio"),
    ]
)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Run each asynchronous test on asyncio, on asyncio with uvloop, and on trio."""
    backend: tuple[str, dict[str, Any]] = request.param
    return backend
