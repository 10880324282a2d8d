"""`make audit`: dependencies with known vulnerabilities, where that can be asked.

`pip-audit` says "No known vulnerabilities found" also where it has learned nothing: of
a mirror that has packages and no advisories, for instance. So each service is asked
first about a release that has had advisories for years, and believed if it knows them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

__all__ = ["main"]

SERVICES: Final = ("pypi", "osv")
KNOWN: Final = "jinja2==2.4.1"
"""Has had advisories since 2014."""

BESIDE: Final = os.path.join(os.path.dirname(sys.executable), "pip-audit")

SECONDS_TO_ASK: Final = 20
SECONDS_TO_AUDIT: Final = 240


class NoResultError(Exception):
    """`pip-audit` has found out nothing; the text is why."""


def run(command: Sequence[str], seconds: float) -> list[dict[str, Any]]:
    """Return what was found out about each dependency, as `pip-audit` lists them."""
    plain = ("--format", "json", "--desc", "off", "--progress-spinner", "off")
    try:
        ended = subprocess.run(
            [*command, *plain, "--timeout", "5"],
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except FileNotFoundError:
        raise NoResultError("pip-audit is not installed") from None
    except subprocess.TimeoutExpired:
        raise NoResultError(f"no end within {seconds} seconds") from None
    try:
        # Its status is 1 both for what it found and for what went wrong.
        found: list[dict[str, Any]] = json.loads(ended.stdout)["dependencies"]
    except (ValueError, KeyError):
        said = ended.stderr.strip().splitlines() or [f"status {ended.returncode}"]
        raise NoResultError(said[-1]) from None
    return found


def ask(command: Sequence[str], service: str) -> None:
    """Return if the service knows of what is known, or raise `NoResultError`."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "requirements.txt")
        file.write_text(KNOWN)
        alone = ("--no-deps", "--disable-pip", "--requirement", str(file))
        found = run([*command, "-s", service, *alone], SECONDS_TO_ASK)
    if not any(one.get("vulns") for one in found):
        told = next((one["skip_reason"] for one in found if "skip_reason" in one), "")
        raise NoResultError(told or f"it knows nothing of {KNOWN}")


def audit(command: Sequence[str], service: str) -> bool:
    """Print what is known of each package of this environment; tell if it is good."""
    here = ("--local", "--skip-editable")
    found = run([*command, "-s", service, *here], SECONDS_TO_AUDIT)
    audited = sum("skip_reason" not in one for one in found)
    if not audited:
        raise NoResultError("it knows none of the packages")
    good = True
    for one in found:
        if "skip_reason" in one:
            print(f"Not audited: {one['name']} ({one['skip_reason']})")
        for vulnerability in one.get("vulns", ()):
            good = False
            fixed = ", ".join(vulnerability["fix_versions"]) or "no release"
            print(
                f"{one['name']} {one['version']}: {vulnerability['id']}, "
                f"fixed in {fixed}"
            )
    known = "no known vulnerability" if good else "known vulnerabilities, see above"
    print(f"Packages audited at {service}: {audited}, {known}")
    return good


def main(command: Sequence[str] = (BESIDE,)) -> int:
    """Return 1 if something is vulnerable or an audit broke off; 0 without data."""
    for service in SERVICES:
        try:
            ask(command, service)
        except NoResultError as why:
            print(f"No data from {service}: {why}")
            continue
        try:
            return 0 if audit(command, service) else 1
        except NoResultError as why:
            print(f"The audit at {service} broke off: {why}")
            return 1
    print("The dependencies were NOT audited: no service could be asked.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
