"""`make audit`, with services that know, know nothing, and break off."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from consumers_tests.audit import main

KNOWN = {"name": "jinja2", "version": "2.4.1", "vulns": [{"id": "PYSEC-2014-8"}]}
UNKNOWN = {"name": "jinja2", "skip_reason": "not found, and could not be audited"}
SOUND = {"name": "anyio", "version": "4.14", "vulns": []}
BAD = {
    "name": "h11",
    "version": "0.15",
    "vulns": [{"id": "PYSEC-2025-1", "fix_versions": ["0.16"]}],
}

Answer = dict[str, Any] | str
Run = Callable[[dict[str, tuple[Answer, Answer]]], int]

# What pip-audit prints, and its status: 1 for what it found and for what went wrong.
PROGRAM = """
import json, sys

asked, audited = json.loads({answers!r})[sys.argv[sys.argv.index("-s") + 1]]
answer = audited if "--local" in sys.argv else asked
if isinstance(answer, str):
    sys.exit(answer)
print(json.dumps({{"dependencies": answer["all"], "fixes": []}}))
sys.exit(any(one.get("vulns") for one in answer["all"]))
"""


def answering(*dependencies: dict[str, Any]) -> Answer:
    """Make what a service says of these."""
    return {"all": dependencies}


NO_LINK = "ConnectionError: no route to host"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Give what runs it over a program that answers as told for each service."""

    def run(answers: dict[str, tuple[Answer, Answer]]) -> int:
        program = tmp_path / "pip_audit.py"
        program.write_text(PROGRAM.format(answers=json.dumps(answers)))
        return main([sys.executable, "-S", str(program)])

    return run


def test_without_data_it_says_so(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """It passes, and does not take a service that knows nothing for a good result."""
    nothing = answering(UNKNOWN), answering(SOUND)

    status = run({"pypi": nothing, "osv": (NO_LINK, NO_LINK)})

    said = capsys.readouterr().out
    assert status == 0
    assert "No data from pypi: not found, and could not be audited" in said
    assert f"No data from osv: {NO_LINK}" in said
    assert "The dependencies were NOT audited" in said
    assert "Packages audited" not in said


def test_without_the_program_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """Where pip-audit could not be installed nothing was audited either."""
    assert main(["/nowhere/pip-audit"]) == 0

    said = capsys.readouterr().out
    assert "pip-audit is not installed" in said
    assert "The dependencies were NOT audited" in said


def test_a_vulnerability_fails(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the first service has no data the second is asked, and believed."""
    found = answering(SOUND, BAD, {**UNKNOWN, "name": "ours"})

    status = run({"pypi": (NO_LINK, NO_LINK), "osv": (answering(KNOWN), found)})

    said = capsys.readouterr().out
    assert status == 1
    assert "h11 0.15: PYSEC-2025-1, fixed in 0.16" in said
    assert "Not audited: ours" in said
    assert "Packages audited at osv: 2, known vulnerabilities" in said


@pytest.mark.parametrize(
    ("audited", "status", "told"),
    [
        (answering(SOUND), 0, "Packages audited at pypi: 1, no known vulnerability"),
        (NO_LINK, 1, f"The audit at pypi broke off: {NO_LINK}"),
        (answering(UNKNOWN), 1, "it knows none of the packages"),
    ],
    ids=["good", "broken off", "knows none"],
)
def test_what_was_begun_counts(
    run: Run,
    capsys: pytest.CaptureFixture[str],
    audited: Answer,
    status: int,
    told: str,
) -> None:
    """A service that has data is believed; one that then gives none is no success."""
    assert run({"pypi": (answering(KNOWN), audited)}) == status

    assert told in capsys.readouterr().out
