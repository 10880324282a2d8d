"""What the short forms of the scenarios need."""

from __future__ import annotations

import sys

import pytest

collect_ignore_glob = [] if sys.platform == "linux" else ["test_*.py"]
"""The runs need Linux, for its clocks of other processes and TCP_USER_TIMEOUT."""


@pytest.fixture(params=["uvloop", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    """Run each scenario on uvicorn with uvloop, and on trio."""
    pytest.importorskip("uvloop", reason="the clients run on uvloop")
    name: str = request.param
    return name
