"""The short form of the soak, with its controls; and how its samples are judged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import msgspec

from .jobs import Heard, Numbered
from .keeping import Keeping
from .members import Surroundings
from .site import KINDS, Load
from .soak import Soaking, soak
from .steadiness import LONG, Sample, allowed, growth
from .timelines import read

SHORT = Soaking(
    minutes=0.4,
    every=4.0,
    look=1.0,
    load=Load(
        members=24,
        writers=8,
        pause=0.3,
        visitors=1,
        stalled=5.0,
        away=1.0,
        leak=128 * 1024,
    ),
)


def test_nothing_is_lost_and_nothing_stays(tmp_path: Path) -> None:
    """All that was killed is back, all is got once, and who stayed is as before."""
    written, plot = tmp_path / "samples", tmp_path / "plot.svg"

    outcome = soak("all", 1, replace(SHORT, samples=written, plot=plot))

    assert outcome.problems == []
    assert int(outcome.cells["acknowledged"]) > 20
    samples, marks = read(written)
    assert {one.server for one in samples} == {"uvloop", "trio"}
    assert {one.what for one in marks} == {*KINDS}
    assert plot.read_text().count("<polyline") == 10


def test_without_the_guard_something_is_lost() -> None:
    """What came while the broker was away is missed by whoever trusts its link."""
    # What is lost depends on who is back first: so the broker is killed many times.
    often = replace(SHORT, quiet=5.0, kinds=["broker"], every=2.0)

    outcome = soak("all", 1, often, "following")

    assert " lost" in "; ".join(outcome.problems)


def test_what_is_forgotten_is_found() -> None:
    """An application that keeps connections and messages is found by both."""
    outcome = soak("all", 1, replace(SHORT, settling=5.0), "forgetting")

    problems = "; ".join(outcome.problems)
    assert "consumers" in problems
    assert "uvloop grows by" in problems
    assert "trio grows by" in problems


# -- how samples are judged ------------------------------------------------------------

KIB = 1024
HOUR = range(0, 3600, 5)


def busy(seed: int, grows: float) -> list[Sample]:
    """Return an hour of a server that others' clients come to when theirs is killed.

    Args:
        seed: Of how much it holds at each moment.
        grows: KiB that it grows by in a minute.
    """
    random = Random(seed)
    found = []
    for second in HOUR:
        warm = 8000 * min(1.0, second / 600)
        crowded = random.choice((0, 0, 0, 1500))
        kib = 45_000 + warm + crowded + random.gauss(0, 200) + grows * second / 60
        found.append(Sample(second, "uvloop", int(kib * KIB), 20, 18, 50, 0.0))
    return found


def test_a_server_that_is_steady_does_not_grow() -> None:
    """Its caches fill, and clients of others come and go: that is no growth."""
    assert all(growth(busy(seed, 0)) < allowed(60) for seed in range(5))


def test_a_small_leak_is_growth() -> None:
    """A hundred bytes for each of 600 messages in a minute are found."""
    assert all(growth(busy(seed, 60)) > allowed(60) for seed in range(5))


def test_a_short_run_tells_only_what_is_gross() -> None:
    """Before caches are full nothing is said of slow growth."""
    assert allowed(LONG) < 100 < allowed(LONG - 1)


def test_no_samples_do_not_grow() -> None:
    """A run that was cut off at once has nothing to say."""
    assert growth([]) == growth(busy(1, 0)[:1]) == 0


# -- notes that outlive their process --------------------------------------------------


async def test_a_client_goes_on_where_its_notes_end(tmp_path: Path) -> None:
    """The next process has the same notes, and the same position."""
    around = Surroundings([1], 1, resume=True)
    heard = [
        Heard(position="3.a", recovered=False),
        Heard(position="4.a", message=Numbered(1_000_001, 0.0)),
        Heard(position="9.z", message=Numbered(1_000_002, 0.0)),
        Heard(position="7.b", recovered=False),
        Heard(position="8.b", message=Numbered(1_000_003, 0.0)),
    ]
    first = Keeping(around, "/", 0, tmp_path / "notes")
    for one in heard:
        first.hear(msgspec.json.encode(one))

    second = Keeping(around, "/", 0, tmp_path / "notes")

    assert second.segments == first.segments
    assert [one.strangers for one in second.segments] == [1, 0]
    assert (second.position(), second.told) == ("8.b", 1) == ("8.b", first.told)
