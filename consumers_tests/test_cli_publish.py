"""`consumers publish`, on a real server."""

from __future__ import annotations

import pytest
from click.testing import CliRunner, Result

from consumers import Group, Groups, History
from consumers.cli import main
from consumers_tests.valkey import Valkey, free_port


def publish(*arguments: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, ["publish", *arguments])


def test_it_publishes(valkey: Valkey) -> None:
    """The message is what the JSON says; its position is printed if it is kept."""
    groups = Groups(valkey.url, [Group("log.{name}", history=History())])
    first = groups.sync.publish("log.a", "from a program")
    assert first is not None

    kept = publish(valkey.url, "log.a", '{"text": "hello", "n": [1, null]}')
    again = publish(valkey.url, "log.a", "1", "--idempotency-key", "k")
    repeated = publish(valkey.url, "log.a", "2", "--idempotency-key", "k")
    gone = publish(valkey.url, "other", '"nobody keeps this"')

    assert (kept.exit_code, kept.output) == (0, f"2.{first.epoch}\n")
    assert again.output == repeated.output == f"3.{first.epoch}\n"
    assert (gone.exit_code, gone.output) == (0, "")
    found = groups.sync.history("log.a").publications
    assert [each.message for each in found] == [
        "from a program",
        {"text": "hello", "n": [1, None]},
        1,
    ]
    groups.sync.close()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("memory://", "a", "1"), "the URL of a Redis or Valkey was expected, got 'me"),
        (("http://x", "a", "1"), "a layer's URL must begin with 'memory://', 'redis:"),
        (("redis://x?port=1", "a", "1"), "the options of a layer's URL are cluster, "),
        (("redis://x", "a b", "1"), "a group's name must be 1-255 visible ASCII char"),
        (("redis://x", "@user.1", "1"), "a group's name must be 1-255 visible ASCII "),
        (("redis://x", "a", "hello"), "a message in JSON was expected, got 'hello' ("),
    ],
    ids=["memory", "scheme", "option", "name", "internal", "json"],
)
def test_mistakes_are_one_line(arguments: tuple[str, ...], told: str) -> None:
    """What the caller has to change is told before anything is connected."""
    result = publish(*arguments)

    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {told}")
    assert result.stderr.count("\n") == 1


def test_a_broker_that_is_not_there_is_one_line() -> None:
    """The exit code is another one: nothing is wrong with the command."""
    result = publish(f"redis://:s3cret@127.0.0.1:{free_port()}", "a", "1")

    assert result.exit_code == 1
    assert result.stderr.startswith("error: can't reach redis://:***@127.0.0.1:")
    assert result.stderr.count("\n") == 1
