"""What every test gets: the backends, examples, and no silent skips in CI."""

import gc
import importlib.util
import os
from collections.abc import Generator, Iterator
from typing import Any

import hypothesis
import pytest

from consumers_tests.excesses import Excesses
from consumers_tests.must_run import NoSilentSkips
from consumers_tests.thorough import are_all_wanted, is_left_out
from consumers_tests.valkey import Valkey

without_uvloop = pytest.mark.skipif(
    importlib.util.find_spec("uvloop") is None, reason="uvloop is not installed"
)

BACKENDS = [
    pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
    pytest.param(("trio", {}), id="trio"),
]
if are_all_wanted():  # else they are not even made: each process collects all tests
    uvloop = ("asyncio", {"use_uvloop": True})
    BACKENDS.insert(1, pytest.param(uvloop, id="uvloop", marks=without_uvloop))


def pytest_configure(config: pytest.Config) -> None:
    """Refuse skipped tests where nobody reads the list of them."""
    if os.environ.get("CI"):
        config.pluginmanager.register(NoSilentSkips())
    # Examples are the same each time, as in CI, and may take as long as they take.
    hypothesis.settings.register_profile(
        "ours",
        database=None,
        deadline=None,
        derandomize=True,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    hypothesis.settings.load_profile("ours")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Let the garbage collector pass over what is there before the first test.

    That stays until the last one. To look through it again and again takes almost half
    of the time of collecting tests, which each process does, and some of each test's.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Leave out what takes long, unless all tests are asked for."""
    gone = {item for item in items if is_left_out(item)}
    if gone and len(items) > 1:  # who names one test wants that one
        config.hook.pytest_deselected(items=[*gone])
        items[:] = [item for item in items if item not in gone]


@pytest.fixture(params=BACKENDS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Run each asynchronous test on asyncio and trio, or on uvloop too."""
    backend: tuple[str, dict[str, Any]] = request.param
    return backend


@pytest.fixture
def excesses(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Excesses:
    """Return what tells which limits the test has exceeded."""
    return Excesses(monkeypatch, caplog)


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
