"""A flame graph of one server under load: where its time goes, frame by frame.

`python -m consumers_tests.benchmarks.flames echo16` samples the server with py-spy, and
writes `docs/images/flame-echo16.svg`.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from consumers_tests.benchmarks.catalogue import WORKLOADS
from consumers_tests.benchmarks.jobs import Job
from consumers_tests.benchmarks.measure import load, running
from consumers_tests.benchmarks.plots import STYLE
from consumers_tests.benchmarks.processes import ROOT, open_many_files
from consumers_tests.benchmarks.servers import SERVERS, STOCK

RATE = 500  # samples a second
WIDTH, MARGIN, ROW, HEAD = 960, 20, 18, 70
LETTER = 7.0  # pixels, about, of this font
LEAST = 0.002  # of all time; what is narrower can't be seen
WAITING = ("epoll_", "select", "poll ")
# {what a frame's place holds: its class}, the first that fits.
KINDS = {
    "consumers_tests/": "app",
    "consumers/server/": "server",
    "consumers/": "ours",
    "uvicorn/": "below",
    "_asyncio": "other",
    ".c:": "loop",
    ".pyx:": "loop",
    ".so": "system",
}
LEGEND = {
    "app": "the application",
    "ours": "consumers",
    "server": "its server",
    "below": "uvicorn",
    "loop": "uvloop, libuv",
    "system": "C library, kernel",
    "other": "Python",
}
COLOURS = """
svg { --app: #d9a62e; --ours: #d9764a; --server: #c9907a; --below: #8fa6bd;
  --loop: #6f9fd0; --system: #a9b4bf; --other: #c9c2a5 }
@media (prefers-color-scheme: dark) { svg { --app: #8a6a1d; --ours: #9a4a26;
  --server: #7c5546; --below: #4a6079; --loop: #2f5f93; --system: #4b5662;
  --other: #5d5a45 } }
""".strip()


@dataclass
class Frame:
    """What one function took, with all that it called."""

    name: str
    samples: int = 0
    calls: "dict[str, Frame]" = field(default_factory=dict)

    def add(self, stack: Sequence[str], samples: int) -> None:
        """Count a stack, the outermost function first."""
        frame = self
        frame.samples += samples
        for name in stack:
            frame = frame.calls.setdefault(name, Frame(name))
            frame.samples += samples

    def depth(self, least: float) -> int:
        """Return how many frames are above this one, of those that can be seen."""
        seen = [each for each in self.calls.values() if each.samples >= least]
        return 1 + max((each.depth(least) for each in seen), default=0)


def frames(lines: Iterable[str]) -> Frame:
    """Read stacks as py-spy writes them: ``main (run.py);work (work.py) 12``.

    Without those that wait for something to do, and without the names that a C
    compiler has put into others.
    """
    root = Frame("all")
    for line in lines:
        stack, _, samples = line.rpartition(" ")
        names = [_short(name) for name in stack.split(";") if ".h:" not in name]
        if stack and not names[-1].startswith(WAITING):
            root.add(names, int(samples))
    # What all have in common, down to the event loop, tells nothing.
    while len(root.calls) == 1:
        (root,) = root.calls.values()
    return root


def _short(name: str) -> str:
    """Leave the machine's folders out of a frame's name."""
    name = re.sub(r"\(.*?((consumers|consumers_tests|uvicorn|anyio)/)", r"(\1", name)
    return re.sub(r"\(/.*/([^/]+)\)", r"(\1)", name)


def _kind(name: str) -> str:
    place = name.rpartition("(")[2]
    return next((kind for part, kind in KINDS.items() if part in place), "other")


def drawn(title: str, root: Frame) -> str:
    """Return the picture: what was called stands above who called it."""
    least = LEAST * root.samples
    height = HEAD + root.depth(least) * ROW + MARGIN
    scale = (WIDTH - 2 * MARGIN) / root.samples
    parts = [*_boxes(root, float(MARGIN), height - MARGIN - ROW, scale, least)]
    x = float(MARGIN)
    for kind, words in LEGEND.items():
        parts.append(_rect(x, 42, 12, 12, kind) + "</rect>")
        parts.append(f'<text x="{x + 17:g}" y="52" class="dim">{words}</text>')
        x += 40 + len(words) * LETTER
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{STYLE}\n{COLOURS}\n.box {{ stroke: var(--card) }}</style>",
            f'<rect class="card" width="{WIDTH}" height="{height}" rx="8"/>',
            f'<text x="{MARGIN}" y="28" class="head">{escape(title)}</text>',
            *parts,
            "</svg>\n",
        ]
    )


def _boxes(
    frame: Frame, x: float, y: float, scale: float, least: float
) -> Iterator[str]:
    width = frame.samples * scale
    share = width / (WIDTH - 2 * MARGIN)
    tip = escape(f"{frame.name}: {share:.1%}")
    box = _rect(x, y, width, ROW - 1, _kind(frame.name))
    yield f"{box}<title>{tip}</title></rect>"
    letters = int((width - 6) / LETTER)
    if letters >= 4:
        label = frame.name if len(frame.name) <= letters else frame.name[:letters]
        yield f'<text x="{x + 3:g}" y="{y + 13:g}">{escape(label)}</text>'
    for each in sorted(frame.calls.values(), key=lambda each: each.name):
        if each.samples >= least:
            yield from _boxes(each, x, y - ROW, scale, least)
            x += each.samples * scale


def _rect(x: float, y: float, width: float, height: float, kind: str) -> str:
    place = f'x="{x:.1f}" y="{y:g}" width="{width:.1f}" height="{height:g}"'
    return f'<rect class="box" {place} style="fill: var(--{kind})">'


def sampled(workload: str, name: str, seconds: float) -> list[str]:
    """Return the stacks of one peer's server while it is under load."""
    spy = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or "py-spy"
    chosen = WORKLOADS[workload]
    peer = next(each for each in chosen.peers if each.name == name)
    with (
        tempfile.NamedTemporaryFile("r") as out,
        running(SERVERS[STOCK], peer, chosen) as side,
    ):
        loading = threading.Thread(target=load, args=[Job([side], seconds)])
        command = [spy, "record", "--pid", str(side.servers[0].pid), "--native"]
        options = ["--format", "raw", "--function", "--rate", str(RATE)]
        loading.start()
        subprocess.run(
            [*command, *options, "--duration", f"{seconds:.0f}", "--output", out.name],
            check=True,
        )
        loading.join()
        return out.read().splitlines()


def main() -> None:
    """Sample, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("--peer", default="consumers (own server)")
    parser.add_argument("--seconds", type=float, default=3.0)
    given = parser.parse_args()
    open_many_files()
    root = frames(sampled(given.workload, given.peer, given.seconds))
    title = f"{given.peer}, {given.workload}: CPU time of the server"
    path = ROOT / "docs" / "images" / f"flame-{given.workload}.svg"
    path.write_text(drawn(title, root))
    print(f"{root.samples} samples: {path}")


if __name__ == "__main__":
    main()
