"""All of Autobahn's own cases against each server, and a table of what came of it.

`make autobahn`; 517 cases take about ten minutes for each server, which mostly waits:
`make autobahn ARGS="--beside 3"` tries three at a time. Autobahn's own runner is for
Python 2.7, which has to be there; `kosoku` runs most of its cases without, among the
tests.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from consumers_tests.faults.report import commit, machine

from .servers import COMMANDS, in_process

__all__ = ["CHAPTERS", "Result", "page", "read"]

Result = Mapping[str, tuple[str, str]]
"""``{case: (what was said of its messages, what of its closing)}``."""

CHAPTERS: Final = {
    "1": "framing",
    "2": "pings and pongs",
    "3": "reserved bits",
    "4": "opcodes",
    "5": "fragments",
    "6": "UTF-8",
    "7": "closing",
    "9": "sizes up to 16 MiB and counts of messages",
    "10": "automatic fragments",
    "12": "sizes of compressed messages",
    "13": "parameters of compression",
}
# What the suite itself counts as passed.
HARMLESS: Final = ("OK", "NON-STRICT", "INFORMATIONAL")


def read(report: str) -> Result:
    """Read the file that lists what came of each case, for the one server in it."""
    (cases,) = json.loads(report).values()
    return {
        case: (found["behavior"], found["behaviorClose"])
        for case, found in cases.items()
    }


def page(results: Mapping[str, Result], said: str) -> str:
    """Return what was run, and the table: a row for each server."""
    lines = [
        said,
        "",
        "| server | " + " | ".join(CHAPTERS) + " | all | not strict | failed |",
        "|---|" + "---:|" * (len(CHAPTERS) + 3),
    ]
    for name, result in results.items():
        chapters = Counter(case.partition(".")[0] for case in result)
        failed = _failed(result)
        bad = Counter(case.partition(".")[0] for case in failed)
        loose = sum("NON-STRICT" in each for each in result.values())
        cells = [
            f"{chapters[one] - bad[one]}/{chapters[one]}" if chapters[one] else ""
            for one in CHAPTERS
        ]
        total = f"{len(result) - len(failed)}/{len(result)}"
        row = (name, *cells, total, str(loose), str(len(failed)))
        lines.append(f"| {' | '.join(row)} |")
    chapters_named = (f"{number} {about}" for number, about in CHAPTERS.items())
    lines += ["", f"The chapters: {', '.join(chapters_named)}.", ""]
    for name, result in results.items():
        for case in _failed(result):
            messages, closing = result[case]
            lines.append(f"- {name}, {case}: {messages}, closing {closing}")
    return "\n".join([*lines, ""])


def _failed(result: Result) -> Sequence[str]:
    return [
        case
        for case, said in result.items()
        if any(word not in HARMLESS for word in said)
    ]


def run(
    wstest: Path, name: str, cases: Sequence[str], compress: bool, out: Path
) -> Result:
    """Serve, and let Autobahn's own runner ask."""
    options = ["--ws-max-size", str(20 * 1024 * 1024), "--no-access-log"]
    options += ["--ws-per-message-deflate"] * compress
    with in_process(name, *options) as (_, server):
        url = f"ws://{server.host}:{server.port}/echo"
        out.mkdir(parents=True, exist_ok=True)
        (out / "spec.json").write_text(
            json.dumps(
                {
                    "outdir": str(out),
                    "servers": [{"agent": name, "url": url}],
                    "cases": list(cases),
                    # Without compression the server has nothing to say to these.
                    "exclude-cases": [] if compress else ["12.*", "13.*"],
                    "exclude-agent-cases": {},
                }
            )
        )
        command = [str(wstest), "--mode", "fuzzingclient", "--spec", "spec.json"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=out)
    return read((out / "index.json").read_text())


def main() -> None:
    """Run what the command line says, write the page, and fail if a case has."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wstest", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="a folder for reports")
    parser.add_argument("--out", type=Path, required=True, help="the page to write")
    parser.add_argument("--servers", default=",".join(COMMANDS))
    parser.add_argument("--cases", default="*", help="such as 7.*,9.1.1")
    parser.add_argument("--beside", type=int, default=1, help="servers at a time")
    given = parser.parse_args()
    command = "make autobahn"
    if asked := [
        f"--{name} {value}"
        for name in ("servers", "cases", "beside")
        if (value := getattr(given, name)) != parser.get_default(name)
    ]:
        command += f' ARGS="{" ".join(asked)}"'
    said = f"`{command}` at {commit()}"  # before anybody changes a file

    def tried(row: str) -> Result:
        name, _, compressed = row.partition(", ")
        result = run(
            given.wstest.absolute(),
            name,
            given.cases.split(","),
            bool(compressed),
            given.work.resolve() / row.replace(", ", "-"),
        )
        print(f"{row}: {len(_failed(result))} of {len(result)} failed", flush=True)
        return result

    begun = time.monotonic()
    # The long rows first, so that they have company until the end.
    names = given.servers.split(",")
    rows = [*(f"{name}, compressed" for name in names), *names]
    with ThreadPoolExecutor(given.beside) as threads:
        found = dict(zip(rows, threads.map(tried, rows), strict=True))
    results = {row: found[row] for row in sorted(rows)}
    said += f", {time.monotonic() - begun:,.0f} s. {machine()}"
    given.out.write_text(page(results, said))
    if any(map(_failed, results.values())):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
