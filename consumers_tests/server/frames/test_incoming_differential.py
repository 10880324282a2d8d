"""Random streams, judged as another engine judges them but for what is listed.

`FRAME_STREAMS=100000` in the environment makes it as many; the module `differential`
does the same from the command line, and counts the differences.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from random import Random
from typing import Final

import pytest

from consumers_tests.server.frames import differential
from consumers_tests.server.frames.clients import client_frame
from consumers_tests.server.frames.differential import DIFFERENCES, compare, judge, run
from consumers_tests.server.frames.streams import stream

PAGE: Final = Path(__file__).parents[3] / "docs/explanation/frames.md"
STREAMS: Final = int(os.environ.get("FRAME_STREAMS", "800"))


def test_random_streams_are_judged_alike() -> None:
    """Messages, pongs and close codes are those of the other engine, however cut."""
    met = run(STREAMS)

    assert sum(met.values()) == STREAMS
    assert met[None] > STREAMS // 2


EXAMPLES = {
    "goodbye": client_frame(0x01, b"a") + client_frame(0x88, b"\x03\xe8"),
    "corrupt": client_frame(0xC1, b"\xff"),
    "both": client_frame(0xF1, b"a" * 2001),
    "early": client_frame(0x81, b"ab\xff ")[:-1],
    "control": client_frame(0x02, b"a" * 2000) + client_frame(0x89, b"?"),
}


@pytest.mark.parametrize("difference", EXAMPLES)
def test_the_differences_are_there(difference: str) -> None:
    """Each difference that a few bytes can show is still one."""
    data = EXAMPLES[difference]

    assert compare(data, [data], compresses=True) == difference


def test_a_difference_that_is_not_listed_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An engine that judged otherwise would be noticed within a few streams."""

    def lenient(data: bytes, max_size: int, compresses: bool) -> differential.Judgement:
        judgement = judge(data, max_size, compresses)
        if judgement.why == "incorrect masking":
            judgement.code = 1000
        return judgement

    monkeypatch.setattr(differential, "judge", lenient)

    with pytest.raises(AssertionError) as caught:
        run(300)

    assert caught.value.__notes__[0].startswith("stream ")


def test_the_page_on_frames_lists_them() -> None:
    """The documentation gives a reason for each difference, and for no other."""
    rows = re.findall(r"^\| (.*?) \|", PAGE.read_text(), re.MULTILINE)
    start = rows.index("What this engine does")

    assert rows[start + 1 :] == list(DIFFERENCES.values())


def test_it_can_be_run_by_hand(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command counts what was judged alike, and each difference."""
    monkeypatch.setattr("sys.argv", ["differential", "--streams", "9", "--seed", "33"])

    differential.main()

    lines = capsys.readouterr().out.splitlines()
    assert sum(int(line.split()[0]) for line in lines[:-1]) == 9
    assert len(lines) == len(DIFFERENCES) + 2


def test_streams_are_the_same_each_time() -> None:
    """A stream's number is all that is needed to see it again."""
    one, two = (stream(Random(7), compresses=True) for _ in range(2))

    assert one == two
    assert set(EXAMPLES) < set(DIFFERENCES)
