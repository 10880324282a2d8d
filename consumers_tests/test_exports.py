"""The public names of `consumers`, and what comes with them."""

from __future__ import annotations

import subprocess
import sys

import consumers

LOADED = """\
import sys, consumers

print(*{"uvicorn", "trio", "coredis"} & {*sys.modules})
"""


def test_no_server_and_no_client_of_a_broker_are_loaded() -> None:
    """An application that another server serves does not wait for ours."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == []


def test_every_name_is_there() -> None:
    """Also those that are imported when they are asked for."""
    assert [name for name in consumers.__all__ if not hasattr(consumers, name)] == []
    assert not hasattr(consumers, "walk")
