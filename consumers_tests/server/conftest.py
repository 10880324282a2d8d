"""Each server that an application can meet."""

import pytest

from consumers_tests.conftest import without_uvloop
from consumers_tests.server.live import KINDS, Kind


@pytest.fixture(
    params=[
        pytest.param(name, marks=without_uvloop if kind.uvloop else ())
        for name, kind in KINDS.items()
    ]
)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Run a test on each server with each of its implementations."""
    return KINDS[request.param]
