"""Each of our servers."""

from collections.abc import Iterator

import pytest

from consumers_tests.conftest import without_uvloop

from .http_app import Http
from .http_served import Served
from .servers import OURS, reference, serving


@pytest.fixture(
    params=[
        pytest.param(loop, marks=without_uvloop if loop == "uvloop" else ())
        for loop in OURS
    ]
)
def loop(request: pytest.FixtureRequest) -> str:
    """Run a test on each of our servers."""
    name: str = request.param
    return name


@pytest.fixture(scope="module", params=["uvicorn", "trio"])
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    """Serve HTTP on the server that is the model, uvicorn with `h11`, and on ours."""
    app, name = Http(), request.param
    ours = serving(app, "trio", graceful_timeout=1)
    with reference(app) if name == "uvicorn" else ours as server:
        yield Served(name, app, server)
