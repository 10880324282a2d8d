"""The rule that nothing is skipped silently in CI."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = """
import pytest

def test_runs(): pass

@pytest.mark.skip(reason="no browser")
def test_skipped(): pass

@pytest.mark.may_skip
@pytest.mark.skip(reason="only on Windows")
def test_allowed(): pass

@pytest.mark.xfail(strict=True)
def test_known(): assert False
"""
MODULE = "import pytest; pytest.importorskip('no_such_module')"
ROOT = Path(__file__).parent.parent


def run(folder: Path, *arguments: str, ci: bool) -> subprocess.CompletedProcess[str]:
    """Run pytest in `folder` with this suite's conftest."""
    (folder / "conftest.py").write_text(
        (ROOT / "consumers_tests/conftest.py").read_text()
    )
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = may_skip")
    # No other plugins: they are not the subject, and take seconds to import.
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    environment.pop("CI", None)
    if ci:
        environment["CI"] = "true"
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "xdist",
            *arguments,
        ],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


@pytest.mark.parametrize("arguments", [(), ("-n", "1")], ids=["alone", "worker"])
def test_ci_refuses_a_skipped_test(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """With CI set a skip ends the run with 1 and is named, in a worker or not."""
    (tmp_path / "test_suite.py").write_text(SUITE)
    (tmp_path / "test_absent.py").write_text(MODULE)

    result = run(tmp_path, *arguments, ci=True)

    assert result.returncode == pytest.ExitCode.TESTS_FAILED, result.stdout
    assert "test_suite.py::test_skipped: Skipped: no browser" in result.stdout
    assert "test_absent.py: Skipped: could not import" in result.stdout
    assert "test_allowed: " not in result.stdout
    assert "test_known: " not in result.stdout


def test_a_skip_is_accepted_on_a_developers_machine(tmp_path: Path) -> None:
    """Without CI the same run succeeds, which shows that only the rule failed it."""
    (tmp_path / "test_suite.py").write_text(SUITE)
    (tmp_path / "test_absent.py").write_text(MODULE)

    result = run(tmp_path, ci=False)

    assert "1 passed, 3 skipped, 1 xfailed" in result.stdout
    assert result.returncode == pytest.ExitCode.OK, result.stdout
