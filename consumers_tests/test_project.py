"""What `pyproject.toml` and the `Makefile` promise."""

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT: dict[str, Any] = PYPROJECT["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
GROUPS: dict[str, list[str]] = PYPROJECT["dependency-groups"]
NOT_FOR_TESTS = {"audit", "peers"}


def requirements() -> list[Requirement]:
    """Return everything that users and developers install, by name."""
    groups: list[list[str]] = [
        PROJECT["dependencies"],
        *EXTRAS.values(),
        *(group for name, group in GROUPS.items() if name not in NOT_FOR_TESTS),
    ]
    found = (Requirement(text) for group in groups for text in group)
    return [one for one in found if one.name != PROJECT["name"]]


@pytest.mark.parametrize("requirement", requirements(), ids=lambda one: one.name)
def test_what_is_installed_is_what_was_asked_for(requirement: Requirement) -> None:
    """Each dependency has a lower bound and no upper one, and its release is here."""
    assert [bound.operator for bound in requirement.specifier] == [">="]

    if requirement.marker is None or requirement.marker.evaluate():
        assert requirement.specifier.contains(version(requirement.name))


def test_the_extra_all_names_every_other_extra() -> None:
    """`anyio-consumers[all]` brings each extra, and nothing that is not one."""
    (everything,) = EXTRAS["all"]

    assert Requirement(everything).extras == EXTRAS.keys() - {"all"}


def test_the_installed_version_is_the_declared_one() -> None:
    """The environment holds this project and not an older release of it."""
    assert version(PROJECT["name"]) == PROJECT["version"]


def test_make_without_a_target_prints_help() -> None:
    """`make` lists every target that is meant to be typed, each with a sentence."""
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: ((?:.*\\\n)*.*)$", makefile, re.MULTILINE)
    assert phony is not None
    targets = set(phony[1].replace("\\", " ").split()) - {"programs"}

    shown = subprocess.run(
        ["make", "--no-print-directory"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert set(re.findall(r"^  make ([a-z]+) +\S", shown, re.MULTILINE)) == targets


def test_the_wheel_holds_the_package_alone(tmp_path: Path) -> None:
    """The wheel has the typed package, its licence and command, and no tests."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=50,
    )
    (wheel,) = tmp_path.glob("anyio_consumers-*-py3-none-any.whl")

    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (commands,) = (name for name in names if name.endswith("entry_points.txt"))
        script = archive.read(commands).decode()

    info = f"anyio_consumers-{PROJECT['version']}.dist-info"
    assert {name.split("/")[0] for name in names} == {"consumers", info}
    assert {"consumers/__init__.py", "consumers/py.typed"} <= set(names)
    for name in ("consumers.js", "consumers.d.ts", "package.json", "LICENSE"):
        assert f"consumers/client/{name}" in names
    assets = {
        str(asset.relative_to(ROOT))
        for folder in ("schema", "inspector")
        for asset in (ROOT / "consumers" / folder / "assets").iterdir()
    }
    assert assets <= set(names)
    assert any(name.endswith("/page.html") for name in assets)
    assert f"{info}/licenses/LICENSE" in names
    assert "consumers = consumers.cli:main" in script
