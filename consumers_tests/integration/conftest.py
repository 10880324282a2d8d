"""One server of each kind, for all tests that do it no harm."""

from collections.abc import Iterator

import pytest

from consumers_tests.conftest import without_uvloop

from .live import KINDS, Live, serve

MARKS = {
    "ours-uvloop": without_uvloop,
    "sansio-uvloop": without_uvloop,
    # uvicorn calls the old half of `websockets` in a way that was old there already.
    "legacy": pytest.mark.filterwarnings("ignore:remove second arg:DeprecationWarning"),
}


@pytest.fixture(
    scope="session",
    params=[pytest.param(kind, marks=MARKS.get(kind, ())) for kind in KINDS],
)
def kind(request: pytest.FixtureRequest) -> str:
    """Run a test on each server with each of its implementations."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def live(kind: str) -> Iterator[Live]:
    """Give a server that the tests share."""
    with serve(kind) as live:
        yield live


@pytest.fixture(params=["class", "function"])
def style(request: pytest.FixtureRequest) -> str:
    """Run a test on a class, and on a function that does the same."""
    name: str = request.param
    return name
