"""`consumers watch`, on a real server: what it prints, and how it ends."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from typing import Any, Self

import pytest
from anyio import to_thread
from click.testing import CliRunner

from consumers import Group, Groups, History
from consumers.cli import main
from consumers.cli.watch import _watch, line
from consumers.errors import SubscriptionOverflow
from consumers.groups import PresenceDiff, Present, Publication
from consumers.history import Position, Recovery
from consumers_tests.groups.members import Recorder, join
from consumers_tests.server.live import ROOT
from consumers_tests.valkey import PATIENCE, Valkey, free_port

LOG = Group("log.{name}", history=History(), presence=True)


class Watching:
    """The command in a process of its own, both of its streams in one."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "consumers", "watch", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
        )
        # A pipe can't be read with a timeout; the end of the process ends it.
        self._impatience = threading.Timer(2 * PATIENCE, self.process.kill)
        self._impatience.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._impatience.cancel()
        self.process.kill()
        self.process.communicate(timeout=PATIENCE)

    def line(self) -> str:
        """Wait for the next line; return it without the time."""
        assert self.process.stdout is not None
        text = self.process.stdout.readline().rstrip("\n")
        return re.sub(r"^\d\d:\d\d:\d\d  ", "", text)

    def interrupt(self) -> str:
        """End it as Ctrl+C does; return what it says in the end."""
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=PATIENCE)[0]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_it_survives_its_broker(backend: str) -> None:
    """It prints the past, what comes, and what came while the broker was away."""
    with Valkey(append=True) as server:
        groups = Groups(server.url, [LOG])
        first, second = groups.sync.publish_many([("log.a", 1), ("log.a", "two")])
        assert first is not None
        with Watching(server.url, "log.a", "--last", "1", "--backend", backend) as it:
            assert it.line() == "-- watching log.a"
            assert it.line() == f'{second}  "two"'
            third = groups.sync.publish("log.a", {"n": [3]})
            assert it.line() == f'{third}  {{"n":[3]}}'

            server.kill()
            assert re.match(r"-- lost redis://127\.0\.0\.1:\d+ ", it.line())
            server.restart()
            fourth = groups.sync.publish("log.a", 4)
            lines = {it.line(), it.line()}

            assert any(text.startswith("-- connected to redis:") for text in lines)
            assert f"{fourth}  4" in lines
            assert it.interrupt() == ""
            assert it.process.returncode == 0
        groups.sync.close()


def test_what_the_broker_has_lost_is_told() -> None:
    """Where there is a gap there is a line, and then what comes after it."""
    with Valkey() as server:
        groups = Groups(server.url, [LOG])
        groups.sync.publish("log.a", 1)
        with Watching(server.url, "log.a") as it:
            assert it.line() == "-- watching log.a"
            server.wipe()
            server.restart()

            lost, *lines = (it.line() for _ in range(3))

            assert lost.startswith("-- lost redis://")
            assert any(text.startswith("-- connected to") for text in lines)
            assert any(text.startswith("-- group log.a: publica") for text in lines)
            position = groups.sync.publish("log.a", 2)
            assert it.line() == f"{position}  2"
        groups.sync.close()


class Script:
    """Groups, and a subscription of theirs: each tells what the next one will do."""

    recovery = Recovery(True)

    def __init__(self, *steps: Any) -> None:
        self.steps = list(steps)
        self.asked: list[Any] = []
        self.position: Position | None = None

    def subscribe(self, *asked: Any, presence: bool) -> Self:
        self.asked.append(asked)
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None: ...

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Publication:
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        self.position = step.position
        assert isinstance(step, Publication)
        return step


async def test_it_goes_on_where_it_was_too_slow(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A terminal that is slower than the group is told so, and misses nothing."""
    publications = [Publication("a", number) for number in (1, 2)]
    for number, publication in enumerate(publications, start=1):
        publication.position = Position(number, "e")
    overflow = SubscriptionOverflow("a", None, publications[0].position)
    script: Any = Script(
        publications[0], overflow, publications[1], StopAsyncIteration()
    )

    await _watch(script, "a", None, 7)

    assert script.asked == [("a", None, 7), ("a", Position(1, "e"), None)]
    out, told = capsys.readouterr()
    assert [text[10:] for text in out.splitlines()] == ["1.e  1", "2.e  2"]
    assert told.splitlines()[1] == "-- more is published than can be printed"


# What is tested runs in a process of its own.
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_group_of_which_nothing_is_kept(valkey: Valkey) -> None:
    """Messages have no position; presence is told of; watching leaves no trace."""
    async with Groups(valkey.url, [Group("hall", presence=True)]) as groups:
        with Watching(valkey.url, "hall") as it:
            assert await to_thread.run_sync(it.line) == "-- watching hall"
            await groups.publish("hall", "hello")
            assert await to_thread.run_sync(it.line) == '-  "hello"'
            assert valkey.keys() == []

            member = Recorder()
            await join(groups, "hall", member, presence={"colour": "red"})
            told = await to_thread.run_sync(it.line)

            assert told == f'-  +"{member.id}" {{"colour":"red"}}'
            assert await to_thread.run_sync(it.interrupt) == ""


def test_a_position_that_is_too_old_is_told(valkey: Valkey) -> None:
    """It goes on with what is there, and says that this is not all."""
    groups = Groups(valkey.url, [LOG])
    position = groups.sync.publish("log.a", 1)
    groups.sync.close()

    with Watching(valkey.url, "log.a", "--since", "17.other", "--last", "1") as it:
        assert it.line() == "-- watching log.a"
        assert it.line() == "-- what came after 17.other is not kept any more"
        assert it.line() == f"{position}  1"


def test_it_ends_with_its_reader(valkey: Valkey) -> None:
    """`consumers watch … | head` prints no traceback."""
    groups = Groups(valkey.url, [LOG])
    groups.sync.publish_many([("log.a", 1), ("log.a", 2)])
    command = f"{sys.executable} -m consumers watch {valkey.url} log.a --last 2"

    piped = subprocess.Popen(
        f"{command} | head -n 1",
        shell=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert piped.stdout is not None
    first = piped.stdout.readline()
    groups.sync.publish_many([("log.a", number) for number in range(3, 6)])
    output, told = piped.communicate(timeout=PATIENCE)
    groups.sync.close()

    assert re.search(r"  1\.\S+  1\n", first)
    assert output == ""
    assert told == "-- watching log.a\n"


@pytest.mark.parametrize(
    ("message", "body"),
    [
        ({"a": [1, None, "é"]}, '{"a":[1,null,"é"]}'),
        ("\x1b[31m\x9b1m\x7f", '"\\u001b[31m\\u009b1m\\u007f"'),
        (b"bytes", '"Ynl0ZXM="'),
        (
            PresenceDiff(
                (Present("ada", ("c-1",), {"n": 1}), Present("bob", ("c-2",), None)),
                (Present("eve", ("c-3",), 7),),
                ("zoe\x1b",),
            ),
            '+"ada" {"n":1}  +"bob"  ~"eve" 7  -"zoe\\u001b"',
        ),
    ],
    ids=["json", "controls", "bytes", "presence"],
)
def test_lines(message: Any, body: str) -> None:
    """One line for each: nothing in a message is a command for the terminal."""
    publication = Publication("log.a", message)
    publication.position = Position(17, "k3jx")

    assert re.fullmatch(r"\d\d:\d\d:\d\d  17\.k3jx  (.*)", line(publication).plain)
    assert line(publication).plain.endswith(f"  {body}")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("memory://", "a"), 2, "the URL of a Redis or Valkey was expected, got 'mem"),
        (("redis://x", "a", "--since", "x"), 2, "expected a position such as '17.k3j"),
        (("redis://x", "a b"), 2, "a group's name must be 1-255 visible ASCII chara"),
        ((f"redis://127.0.0.1:{free_port()}", "a"), 1, "can't reach redis://127.0.0.1"),
    ],
    ids=["memory", "since", "name", "away"],
)
def test_what_is_wrong_is_one_line(
    arguments: tuple[str, ...], code: int, told: str
) -> None:
    """The caller's mistakes have another exit code than a broker that is away."""
    result = CliRunner().invoke(main, ["watch", *arguments])

    assert result.exit_code == code
    assert result.stderr.startswith(f"error: {told}")
    assert result.stderr.count("\n") == 1


def test_a_past_that_is_not_kept_is_told(valkey: Valkey) -> None:
    """It would begin a history where there is none, and does not."""
    result = CliRunner().invoke(main, ["watch", valkey.url, "a", "--last", "2"])

    assert result.exit_code == 2
    assert result.stderr.startswith("error: a group with history was expected, got 'a'")
    assert valkey.keys() == []
