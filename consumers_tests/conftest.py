"""What every test gets: the three backends, and no silent skips in CI."""

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consumers_tests.must_run import NoSilentSkips
from consumers_tests.valkey import Valkey

without_uvloop = pytest.mark.skipif(
    importlib.util.find_spec("uvloop") is None, reason="uvloop is not installed"
)


def pytest_configure(config: pytest.Config) -> None:
    """Refuse skipped tests where nobody reads the list of them."""
    if os.environ.get("CI"):
        config.pluginmanager.register(NoSilentSkips())


# Tests here meet real sockets, where the two loops of asyncio differ; the rest run on
# asyncio and on trio, and with LOOPS=all on uvloop as well.
_SOCKETS = {"client", "faults", "integration", "layers", "server"}


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Leave uvloop out where it makes no difference, unless all loops are asked for."""
    if os.environ.get("LOOPS") == "all":
        return
    left = [item for item in items if _on_uvloop(item) and not _meets_sockets(item)]
    if left:
        config.hook.pytest_deselected(items=left)
        gone = set(left)
        items[:] = [item for item in items if item not in gone]


def _on_uvloop(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    backend = None if callspec is None else callspec.params.get("anyio_backend")
    return backend == ("asyncio", {"use_uvloop": True})


def _meets_sockets(item: pytest.Item) -> bool:
    parts = item.path.relative_to(Path(__file__).parent).parts
    return parts[0] in _SOCKETS or parts[0] == "test_client.py"


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


@pytest.fixture(scope="session")
def shared_valkey() -> Iterator[Valkey]:
    """Run one server for all tests of this process that ask for `valkey`."""
    with Valkey() as server:
        yield server


@pytest.fixture
def valkey(shared_valkey: Valkey) -> Valkey:
    """Return a server without data, for tests that do it no harm.

    A test that kills it, or changes its settings, starts a `Valkey` of its own.
    """
    shared_valkey.command("FLUSHALL")
    return shared_valkey
