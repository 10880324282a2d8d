"""A soak: mixed load for an hour, while something is killed every half minute."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import IO

import msgspec

from consumers import Groups

from .application import room
from .jobs import Judged, Note, Wait, Written
from .report import Outcome
from .site import KINDS, PATIENCE, Load, Site, Soaked
from .soak_served import ROOMS, room_of
from .steadiness import Mark, Sample, allowed, growth, more_blocks
from .timelines import draw
from .verdict import PUBLISHER, Kept, Verdict

__all__ = ["Load", "Soaking", "soak"]

EXAMPLES = 3
"""Of what went wrong, how many are shown."""


@dataclass(frozen=True)
class Soaking:
    """How long a run is, and how much goes on."""

    minutes: float = 60.0
    every: float = 30.0
    """Seconds between two kills."""
    look: float = 5.0
    """Seconds between two samples."""
    load: Load = field(default_factory=Load)
    samples: Path | None = None
    """Where samples are written to as they are taken."""
    plot: Path | None = None
    """Where the plot goes; it is drawn anew every minute."""
    kinds: Sequence[str] = KINDS
    """What is killed, each as often."""
    quiet: float = 15.0
    """Seconds without a publication after which none is expected any more."""
    settling: float = PATIENCE
    """Seconds in which all has to be as before, when the clients have left."""


class Watch:
    """Samples the servers that stay, in a thread; notes what was killed."""

    def __init__(self, soaking: Soaking, servers: Sequence[Soaked]) -> None:
        self.soaking = soaking
        self.servers = servers
        self.begun = time.monotonic()
        self.samples: list[Sample] = []
        self.marks: list[Mark] = []
        self.silent = 0
        """How often a server did not answer."""
        self._over = threading.Event()
        self._drawn = 0.0
        self._file: IO[bytes] | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Sample until the block ends."""
        if self.soaking.samples is not None:
            self._file = self.soaking.samples.open("wb", buffering=0)
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()
            if self._file is not None:
                self._file.close()
            self._draw()

    def mark(self, what: str) -> None:
        """Note that something is killed now."""
        self.marks.append(Mark(time.monotonic() - self.begun, what))
        self._write(self.marks[-1])

    def _watch(self) -> None:
        while not self._over.wait(self.soaking.look):
            for server in self.servers:
                try:
                    self._sample(server)
                except OSError:
                    self.silent += 1
            if time.monotonic() > self._drawn + 60:
                self._draw()

    def _sample(self, server: Soaked) -> None:
        state = server.state()
        sample = Sample(
            time.monotonic() - self.begun,
            server.name,
            server.memory(),
            state.tasks,
            state.files,
            state.connections,
            state.cpu,
            state.blocks,
        )
        self.samples.append(sample)
        self._write(sample)

    def _write(self, what: Sample | Mark) -> None:
        if self._file is not None:
            self._file.write(msgspec.json.encode(what) + b"\n")

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        if self.soaking.plot is not None and self.samples:
            title = "A soak: the two servers that are not killed"
            svg = draw(title, self.samples, self.marks)
            self.soaking.plot.write_text(svg)


def soak(backend: str, seed: int, soaking: Soaking, control: str = "") -> Outcome:
    """Run it; ``backend`` is but a name here: there are servers on each."""
    with Site(seed, soaking.load, control) as site:
        site.start_servers()
        before = site.base()
        site.start_clients()
        watch = Watch(soaking, site.staying)
        with watch.watching():
            _break_things(site, watch, Random(seed))
            written = site.stop_writing()
        histories, found = _kept(site.settings.url)
        judged = _judged(site, soaking, written, histories)
        visited = site.visitors.count()
        site.leave()
        after = site.settled(before, soaking.settling)
        site.nobody_is_present()
        site.end_servers()
        outcome = Outcome(backend, seed, control=control)
        outcome.cells = {
            "minutes": soaking.minutes,
            f"killed: {', '.join(KINDS)}": _counts(watch.marks),
            "acknowledged": len(written.acknowledged),
        }
        _tell_kept(outcome, written, found)
        _tell_members(outcome, judged)
        outcome.cells |= {
            "visits": visited.visits,
            "echoes": visited.answers,
            "visits cut off": visited.cut,
        }
        outcome.problems += _short("visitors", visited.wrong)
        for server in site.staying:
            _tell_server(outcome, watch, server.name, soaking)
            held = (before[server.name], after[server.name])
            told = ("/".join(map(str, one.values())) for one in held)
            what = f"{server.name}: tasks/files/consumers before, after"
            outcome.cells[what] = ", ".join(told)
        outcome.problems += _short("servers", site.faults)
        if watch.silent:
            outcome.problems.append(f"{watch.silent} times a server did not answer")
        return outcome


def _break_things(site: Site, watch: Watch, random: Random) -> None:
    """Kill one thing after the other, each kind as often, until it is time to end."""
    soaking = watch.soaking

    def wait(until: float) -> None:
        while (left := until - time.monotonic()) > 0:
            site.program.look()  # it writes how far it is, and is to be read
            time.sleep(min(left, 0.5))

    end = watch.begun + soaking.minutes * 60
    due = watch.begun + soaking.every
    kinds: list[str] = []
    # Each kind once at the least, however short the run and busy the machine.
    while due < end or len(watch.marks) < len(soaking.kinds):
        wait(due)
        kinds = kinds or random.sample(soaking.kinds, len(soaking.kinds))
        kind = kinds.pop()
        watch.mark(kind)
        site.break_one(kind, lambda seconds: wait(time.monotonic() + seconds))
        due = max(due + soaking.every, time.monotonic() + soaking.every / 4)
    wait(end)


def _kept(url: str) -> tuple[dict[str, Kept], Counter[int]]:
    """Return what each group has kept: offsets, and how often each number."""
    histories: dict[str, Kept] = {}
    found: Counter[int] = Counter()
    with closing(Groups(url, [room]).sync) as groups:
        for n in range(ROOMS):
            kept = groups.history(f"room.{n}")
            offsets = [one.position.offset for one in kept.publications if one.position]
            histories[f"room.{n}"] = Kept(kept.position.epoch, offsets)
            found.update(one.message["number"] for one in kept.publications)
    return histories, found


def _judged(
    site: Site, soaking: Soaking, written: Written, histories: dict[str, Kept]
) -> list[Judged]:
    """Have the members' processes compare what they got with what there was."""
    sent: dict[str, dict[int, int]] = {room: {} for room in histories}
    for number in written.acknowledged:
        publisher, n = divmod(number, PUBLISHER)
        room = sent[room_of(number)]
        room[publisher] = max(room.get(publisher, 0), n)
    command = Wait(sent, dict(histories), PATIENCE, soaking.quiet)
    found = []
    for clients in site.clients:
        judged = clients.crowd.perform(command, PATIENCE).judged
        assert judged is not None
        found.append(judged)
    return found


def _tell_kept(outcome: Outcome, written: Written, found: Counter[int]) -> None:
    lost = sum(number not in found for number in written.acknowledged)
    twice = sum(count > 1 for count in found.values())
    outcome.cells |= {"not kept": lost, "kept twice": twice}
    if lost:
        outcome.problems.append(f"{lost} acknowledged were not kept")
    if twice:
        outcome.problems.append(f"{twice} are kept twice")


def _tell_members(outcome: Outcome, judged: Sequence[Judged]) -> None:
    verdict = sum((one.verdict for one in judged), Verdict())
    notes: list[Note] = [one.note for one in judged]
    disagreeing = sum(one.disagreeing for one in judged)
    told = sum(note.told for note in notes)
    away = sum(note.clients - note.joined for note in notes)
    outcome.cells |= {
        "deliveries": sum(note.received for note in notes),
        "lost": verdict.lost,
        "twice": verdict.twice,
        "out of order": verdict.disordered + disagreeing,
        "told": told,
    }
    if verdict:
        outcome.problems.append(
            f"{verdict.lost} lost, {verdict.twice} twice, {verdict.disordered} out of "
            f"order, {verdict.strangers} of another history, {verdict.stuck} stuck"
        )
    if disagreeing:
        outcome.problems.append(f"{disagreeing} groups with more than one order")
    if told:
        outcome.problems.append(f"{told} members were told recovered=False")
    if away:
        outcome.problems.append(f"{away} members are not back")


def _tell_server(outcome: Outcome, watch: Watch, name: str, soaking: Soaking) -> None:
    samples = [sample for sample in watch.samples if sample.server == name]
    grows = growth(samples)
    outcome.cells[f"{name}: KiB/min"] = grows
    outcome.cells[f"{name}: blocks/min"] = more_blocks(samples)
    if samples:
        took = samples[-1].at - samples[0].at
        spent = samples[-1].cpu - samples[0].cpu
        outcome.cells[f"{name}: MiB"] = samples[-1].memory / 1024**2
        outcome.cells[f"{name}: % of a CPU"] = 100 * spent / max(took, 1.0)
    if grows > allowed(soaking.minutes):
        outcome.problems.append(f"{name} grows by {grows:.0f} KiB per minute")


def _counts(marks: Sequence[Mark]) -> str:
    return ", ".join(str(sum(one.what == kind for one in marks)) for kind in KINDS)


def _short(whose: str, faults: Sequence[str]) -> list[str]:
    if not faults:
        return []
    some = "; ".join(one[:300] for one in [*dict.fromkeys(faults)][:EXAMPLES])
    return [f"{whose}: {len(faults)} faults, such as {some}"]
