"""What the benchmarks say of what they measured: tables, verdicts, plots."""

import subprocess
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

pytest.importorskip("resource", reason="the benchmarks need Linux")

from consumers_tests.benchmarks import contests, report, rows
from consumers_tests.benchmarks.jobs import Sample
from consumers_tests.benchmarks.kept import keep
from consumers_tests.benchmarks.measure import Pair
from consumers_tests.benchmarks.report import Row
from consumers_tests.benchmarks.revisions import RevisionError, checked_out, verdict
from consumers_tests.benchmarks.rows import OURS


def paired(*ratios: float) -> list[Pair]:
    """Return pairs with these ratios."""
    quick = Sample(10.0, 50.0, 0.5)
    return [Pair(Sample(10.0 * ratio, 50.0, 0.5), quick) for ratio in ratios]


def test_the_ratio_is_taken_within_each_pair() -> None:
    """A table shows the median and the range of the rounds' own ratios."""
    slow = Pair(Sample(20.0, 50.0, 0.5), Sample(40.0, 25.0, 0.5))
    fast = Pair(Sample(10.0, 100.0, 0.5), Sample(10.0, 100.0, 0.5))

    text = report.table("Echo", "us", {"gone": "failed", "peer": [slow, fast, fast]})

    assert text.splitlines()[-4:] == [
        "| peer | us | ratio | min-max | per s | client busy |",
        "|---|---:|---:|---:|---:|---:|",
        "| peer | 10.00 | **1.00** | 0.50-1.00 | 100 | 0.50 |",
        "| gone | failed |  |  |  |  |",
    ]


def test_memory_is_told_as_a_share_of_the_reference() -> None:
    """Half as much memory is .5 in a table, and comes before as much."""
    half = [Pair(Sample(20.0), Sample(10.0))]
    measured = {"half": half, "all": [Pair(Sample(20.0), Sample(20.0))]}

    text = report.table("Memory", "KiB", measured)
    overview = report.matrix({"memory": measured}, {"memory": "KiB"})

    assert text.splitlines()[-2] == "| half | 10.00 | **0.50** | 0.50-0.50 |"
    assert overview.splitlines()[-2] == "| half | **0.50** 0.50-0.50 |"


def test_delays_are_shown_where_they_were_measured() -> None:
    """Half and 99 of a hundred deliveries have columns in a broadcast's table."""
    sample = Sample(20.0, 50.0, 0.5, 1.25, 4.5, compressed=False)

    text = report.table("Broadcast", "us", {"peer": [Pair(sample, sample)]})

    assert "| client busy | p50 ms | p99 ms |" in text
    assert text.splitlines()[-1].endswith("| 0.50 | 1.25 | 4.50 |")
    assert "| peer (does not compress) |" in text


def test_rounds_won_are_counted() -> None:
    """Head to head, a round is won by who was cheaper in it."""
    text = report.won("Echo", "consumers", {"Other": paired(0.9, 1.1, 1.2)})

    last = text.splitlines()[-1]
    assert last == "| Other | 11.00 | 10.00 | **1.10** | 0.90-1.20 | 2 of 3 |"


@pytest.mark.parametrize(
    ("changes", "noise", "said"),
    [
        pytest.param((0.9, 0.91, 0.92), (0.98, 1, 1.02), "slower", id="slower"),
        pytest.param((1.1, 1.12, 1.13), (0.98, 1, 1.02), "faster", id="faster"),
        pytest.param((0.9, 0.91, 0.92), (0.88, 1, 1.02), "same", id="noise-is-wider"),
        pytest.param((0.985, 0.986), (1, 1), "same", id="smaller-than-2-%"),
        pytest.param((0.9, 0.9, 1.05), (1, 1, 1), "same", id="a-round-disagrees"),
        pytest.param((0.9,) * 6 + (1.05,), (1,) * 7, "slower", id="one-of-seven"),
    ],
)
def test_a_change_is_more_than_noise(
    changes: tuple[float, ...], noise: tuple[float, ...], said: str
) -> None:
    """A cost has changed when no round of the same code gave as much."""
    assert verdict(paired(*changes), paired(*noise)) == said


def test_what_has_become_slower_is_told() -> None:
    """The comparison of two commits names rows that got slower, and failed ones."""
    measured: dict[str, Row] = {
        "consumers": paired(0.8, 0.8),
        f"consumers {contests.NOISE}": paired(1.0, 1.0),
        "consumers (new)": "not here: consumers.new",
    }

    text, slower = report.changed({"echo1": measured})

    assert slower == ["consumers, echo1"]
    assert "| **0.80** | 0.80-0.80 | 1.00-1.00 | slower |" in text
    assert "| echo1 | consumers (new) | not here: consumers.new |" in text


def test_a_commit_is_measured_with_the_benchmarks_of_today(tmp_path: Path) -> None:
    """Of another commit only the package is taken, and nothing of it stays behind."""

    def git(*arguments: str) -> str:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout

    for folder in ("consumers", "consumers_tests"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "which.py").write_text("old")
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "Old")
    for folder in ("consumers", "consumers_tests"):
        (tmp_path / folder / "which.py").write_text("new")

    with checked_out("HEAD", tmp_path) as tree:
        assert (tree / "consumers/which.py").read_text() == "old"
        assert (tree / "consumers_tests/which.py").read_text() == "new"
        pairs = contests.between_trees(rows.FEW, "consumers", tree)
        assert [pair.label for pair in pairs] == ["consumers", "consumers with itself"]
        assert pairs[0].first == replace(OURS, tree=tree)
        own = replace(rows.OWN_SERVER, tree=tree)
        assert own.missing() == ["consumers.server.uvicorn"]

    assert len(git("worktree", "list").splitlines()) == 1
    with (
        pytest.raises(RevisionError, match="nowhere"),
        checked_out("nowhere", tmp_path),
    ):
        raise AssertionError


def test_a_run_is_kept_with_its_plots(tmp_path: Path) -> None:
    """Tables, dots and a curve are written, each plot an SVG that the page shows."""
    few: dict[str, Row] = {
        "raw ASGI": paired(1, 1),
        "consumers": paired(0.9, 1.1),
        "Else": "failed",
    }
    results = dict.fromkeys(("echo1", "memory", "members-10", "members-100"), few)

    page, *plots = keep("try", ["--rounds", "2"], ["Tables."], results, tmp_path)

    text = page.read_text()
    assert "make bench 'ARGS=--rounds 2'" in text
    assert text.endswith("Tables.\n")
    assert [each.name for each in plots] == [
        "benchmark-try.svg",
        "benchmark-try-members.svg",
    ]
    for each in plots:
        assert f"](../../images/{each.name})" in text
        drawn = ET.fromstring(each.read_text())
        words = {words.text for words in drawn.iter("{http://www.w3.org/2000/svg}text")}
        assert {"raw ASGI", "consumers"} <= words
        assert "Else" not in words
