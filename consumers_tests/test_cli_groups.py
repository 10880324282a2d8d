"""`consumers groups`, on a real server."""

from __future__ import annotations

import json
import re

from anyio import fail_after, to_thread
from click.testing import CliRunner, Result

from consumers import Group, Groups, History
from consumers.cli import main
from consumers_tests.groups.members import Recorder, join
from consumers_tests.valkey import PATIENCE, Valkey, free_port


def groups(*arguments: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, ["groups", *arguments])


async def test_they_are_a_table(valkey: Valkey) -> None:
    """Each group has a line; what the framework joins for itself is left out."""
    declared = [
        Group("log.{name}", history=History()),
        Group("hall.{name}", presence=True),
    ]
    with fail_after(PATIENCE):
        async with Groups(valkey.url, declared) as served:
            position = await served.publish("log.a", 1)
            await served.publish("log.a", 2)
            for each in (Recorder(), Recorder()):
                await join(served, "hall.x", each)

            table = await to_thread.run_sync(groups, valkey.url)
            listed = await to_thread.run_sync(groups, valkey.url, "--json")

    assert position is not None
    assert (table.exit_code, listed.exit_code) == (0, 0)
    rows = [line.split() for line in table.stdout.splitlines()]
    assert [row for row in rows if row and not re.match("─", row[0])] == [
        ["Group", "Processes", "Position", "Kept", "Present"],
        ["hall.x", "1", "0", "2"],
        ["log.a", "0", f"2.{position.epoch}", "2", "0"],
    ]
    assert [tuple(each.values()) for each in json.loads(listed.stdout)] == [
        ("hall.x", 1, None, 0, 2),
        ("log.a", 0, f"2.{position.epoch}", 2, 0),
    ]
    assert list(json.loads(listed.stdout)[0]) == [
        *("group", "processes", "position", "kept", "present")
    ]


def test_without_groups(valkey: Valkey) -> None:
    """There is a heading, and no line."""
    result = groups(valkey.url)

    assert result.exit_code == 0
    assert len(result.stdout.split()) == 5 + 1
    assert groups(valkey.url, "--json").stdout == "[]\n"


def test_what_is_wrong_is_one_line() -> None:
    """A wrong URL is the caller's, a broker that is away is not."""
    wrong = groups("memory://")
    away = groups(f"redis://127.0.0.1:{free_port()}")

    assert wrong.exit_code == 2
    assert wrong.stderr.startswith("error: the URL of a Redis or Valkey was expected")
    assert away.exit_code == 1
    assert away.stderr.startswith("error: can't reach redis://127.0.0.1:")
    assert wrong.stderr.count("\n") == away.stderr.count("\n") == 1
