"""The first process of a container: PID 1, for which signals and orphans are others.

Made without containers, by a namespace of process ids. Where these are forbidden, as in
some containers, nothing here can run.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from consumers_tests.conftest import without_uvloop
from consumers_tests.server.live import PATIENCE, Process

pytestmark = pytest.mark.may_skip

NAMESPACES = (
    ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"],
    ["unshare", "--pid", "--fork", "--kill-child"],  # as root
)

UNMEASURED = ["env", "-u", "COVERAGE_PROCESS_CONFIG"]
"""Who measures lines takes SIGTERM first, and gives PID 1 back what that ignores."""

ORPHANS = ["sh", "-c", '(sleep 100 & true &); exec "$@"', "sh"]
"""Leaves two processes to the one that follows, of which the second ends at once."""


@pytest.fixture(scope="module")
def alone() -> list[str]:
    """Return the command that gives process ids of its own to what follows it."""
    for command in NAMESPACES:
        try:
            subprocess.run([*command, "true"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return command
    pytest.skip("no namespace of process ids may be made here")


class FirstProcess(Process):
    """`consumers run` as PID 1, which gets its signals from outside."""

    def terminate(self) -> None:
        of_unshare = Path(f"/proc/{self.popen.pid}/task/{self.popen.pid}/children")
        os.kill(int(of_unshare.read_text()), signal.SIGTERM)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param((), id="uvloop", marks=without_uvloop),
        pytest.param(("--backend", "trio"), id="trio"),
        pytest.param(("--workers", "2"), id="workers"),
    ],
)
def test_it_drains(alone: list[str], arguments: tuple[str, ...]) -> None:
    """At SIGTERM handlers end, clients get 1012, and it exits, whoever is orphaned."""
    with (
        ExitStack() as stack,
        FirstProcess(
            "consumers_tests.integration.drained:app",
            *("--port", "0", *arguments),
            under=[*alone, *ORPHANS],
        ) as process,
    ):
        client = stack.enter_context(process.server().connect("/work"))
        assert (json.loads(client.recv(PATIENCE)) == 1) is (
            "--workers" not in arguments
        )
        client.send("0.3")
        assert json.loads(client.recv(PATIENCE)) == "begun"
        process.terminate()

        assert json.loads(client.recv(PATIENCE)) == "done"
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(PATIENCE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        assert process.wait(PATIENCE) == 0


def test_it_ends_while_it_starts(alone: list[str], tmp_path: Path) -> None:
    """SIGTERM during the application's import is not lost, as it is by default."""
    slow = "import sys, time\nprint('importing', file=sys.stderr)\ntime.sleep(100)\n"
    (tmp_path / "slow.py").write_text(slow)
    with FirstProcess("slow:app", cwd=tmp_path, under=[*UNMEASURED, *alone]) as process:
        process.read_until("importing")
        process.terminate()

        assert process.wait(PATIENCE) == 128 + signal.SIGTERM
