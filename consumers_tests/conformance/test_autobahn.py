"""Autobahn's cases, as `kosoku` runs them, against each of our servers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from consumers_tests.server.apps import Probe

from .autobahn import page, read
from .servers import Server, serving

KOSOKU = Path(sys.executable).with_name("kosoku")

# Its 12 and 13 compress 1,000 messages each, its 9 is about how long large ones take.
SLOW = frozenset({"9.*", "12.*", "13.*"})
# One of each kind of text and of parameters, with 1,000 messages of 1 KiB.
# Not those of 16 bytes: `kosoku` fails on a text that comes without being compressed.
COMPRESSED = {f"12.{n}.4" for n in range(1, 6)} | {f"13.{n}.4" for n in range(1, 8)}


def run(
    server: Server, path: Path, cases: set[str], without: frozenset[str] = frozenset()
) -> int:
    """Run cases; return how many there were, none of which failed.

    A case waits for a second, which is not enough on a machine that stands still
    meanwhile: what failed is run once more, with no case beside it.
    """
    result = kosoku(server, path, cases, without, beside=4)
    (found,) = json.loads((path / "index.json").read_text()).values()
    if result.returncode != 0:
        failed = set(re.findall(r"^  ([0-9.]+): ", result.stdout, re.MULTILINE))
        assert failed, result.stdout
        result = kosoku(server, path / "again", failed, beside=1)
    assert result.returncode == 0, result.stdout
    return len(found)


def kosoku(
    server: Server,
    path: Path,
    cases: set[str],
    without: frozenset[str] = frozenset(),
    *,
    beside: int,
) -> subprocess.CompletedProcess[str]:
    """Run cases, so many beside each other, and return what came of it."""
    return subprocess.run(
        # In a process of its own: it puts packages of its own beside the installed.
        [
            KOSOKU,
            f"{server.host}:{server.port}/echo",
            *("--parallelism", str(beside), "--outdir", path),
            *(word for case in sorted(cases) for word in ("--include", case)),
            *(word for case in sorted(without) for word in ("--exclude", case)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=50,
        check=False,
    )


def test_frames_and_closing(loop: str, tmp_path: Path) -> None:
    """No case fails about frames, fragments, pings, reserved bits and closing."""
    cases = {f"{chapter}.*" for chapter in (1, 2, 3, 4, 5, 7, 10)}
    with serving(Probe(), loop) as server:
        assert run(server, tmp_path, cases) == 102


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "compressed"])
def test_all_that_do_not_measure(loop: str, compress: bool, tmp_path: Path) -> None:
    """No case fails, with a server that can compress and with one that can't."""
    with serving(Probe(), loop, ws_per_message_deflate=compress) as server:
        assert run(server, tmp_path, {"*"}, SLOW) == 247


def test_compressed_messages(loop: str, tmp_path: Path) -> None:
    """No case fails that compresses, with each agreement that a client can ask for."""
    with serving(Probe(), loop, ws_per_message_deflate=True) as server:
        assert run(server, tmp_path, COMPRESSED) == len(COMPRESSED)


class Backwards(Probe):
    """An application that sends back something else."""

    async def echo(self, scope: Any, receive: Any, send: Any) -> None:
        async def sending(event: Any) -> None:
            if event.get("text"):
                event = {**event, "text": event["text"][::-1] + "!"}
            await send(event)

        await super().echo(scope, receive, sending)


def test_a_failure_is_seen(tmp_path: Path) -> None:
    """A server that does not echo what it was sent fails."""
    with (
        serving(Backwards(), "asyncio") as server,
        pytest.raises(AssertionError, match=r"1\.1\.2: behavior=FAILED"),
    ):
        run(server, tmp_path, {"1.1.2"})


def test_the_table_of_all_cases() -> None:
    """A row says how many cases passed of each chapter, and a list which did not."""
    behaviors = {
        "1.1.1": ("OK", "OK"),
        "1.1.2": ("NON-STRICT", "OK"),
        "7.1.1": ("INFORMATIONAL", "INFORMATIONAL"),
        "9.1.1": ("OK", "UNCLEAN"),
    }
    cases = {
        case: {"behavior": messages, "behaviorClose": closing, "duration": 1}
        for case, (messages, closing) in behaviors.items()
    }

    said = "`make autobahn` at 0123456789, 2 s"
    lines = page({"trio": read(json.dumps({"trio": cases}))}, said).splitlines()

    assert lines[0] == said
    (row,) = (line for line in lines if line.startswith("| trio |"))
    assert row == "| trio | 2/2 |  |  |  |  |  | 1/1 | 0/1 |  |  |  | 3/4 | 1 | 1 |"
    assert lines[-1] == "- trio, 9.1.1: OK, closing UNCLEAN"
