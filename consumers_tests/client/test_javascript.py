"""`consumers.js`, which Node.js runs: by itself, and against a real server."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

import consumers.client
from consumers import Group
from consumers.close import should_return
from consumers.testing import LiveServer

from .js_app import make_app

NODE = shutil.which("node")
PACKAGE = Path(consumers.client.__file__).parent
TESTS = Path(__file__).parent / "js"
ROOT = Path(__file__).parent.parent.parent

pytestmark = pytest.mark.skipif(NODE is None, reason="Node.js is missing")


def node(*arguments: str, **environment: str) -> str:
    """Run Node.js, and return what it printed; fail with that if it failed."""
    assert NODE is not None
    done = subprocess.run(
        [NODE, *arguments],
        cwd=TESTS,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def run_tests(*arguments: str, **environment: str) -> dict[str, int]:
    """Run files of tests, and return how many there were and became what."""
    said = node("--test", "--test-reporter=tap", *arguments, **environment)
    return {
        name: int(number)
        for name, number in re.findall(r"^# (\w+) (\d+)$", said, re.MULTILINE)
    }


def flags() -> list[str]:
    """Return what Node.js needs to have a WebSocket: it has had one since 22."""
    major = int(node("--print", "process.versions.node").split(".")[0])
    return ["--experimental-websocket", "--no-warnings"] if major < 22 else []


def test_against_a_scripted_server() -> None:
    """The client's own tests pass, and none of them is skipped."""
    files = [path.name for path in TESTS.glob("*.test.js") if path.stem != "live.test"]

    counts = run_tests(*files)

    assert counts["pass"] > 100
    assert counts["pass"] == counts["tests"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_against_a_real_server(backend: str) -> None:
    """It does the same through sockets that break, with this framework's server."""
    with LiveServer(make_app(), backend=backend) as server:
        address = server.url("").removesuffix("/")

        counts = run_tests(*flags(), "live.test.js", SERVER=address)

    assert counts["pass"] > 15
    assert counts["pass"] == counts["tests"]


@pytest.mark.parametrize("level", [6, 9])
def test_it_has_less_than_7_kib_compressed(level: int) -> None:
    """It has so with zlib, which compresses less than Node.js's own at level 9."""
    source = (PACKAGE / "consumers.js").read_bytes()

    assert len(gzip.compress(source, level)) < 7 * 1024


def test_it_comes_back_after_the_same_codes() -> None:
    """Its list of codes is what `should_return` says."""
    source = (PACKAGE / "consumers.js").read_text()
    listed = re.search(r"const RETURNS = \[([\d,\s]+)\]", source)
    assert listed is not None

    codes = {int(code) for code in re.findall(r"\d+", listed[1])}

    assert codes == {code for code in range(1000, 5000) if should_return(code)}


def test_it_makes_the_same_names_of_groups() -> None:
    """`groupName` escapes each sign as `Group` does."""
    values = [chr(point) for point in [*range(0x2FF), 0x20AC, 0xFFFD, 0x1F600]]
    values += ["", "%", "a.b", "..", "~x_y-z"]
    script = f"""
        import {{ groupName }} from {json.dumps((PACKAGE / "consumers.js").as_uri())};
        const values = {json.dumps(values)};
        const names = values.map((value) => groupName("g.{{value}}", {{ value }}));
        console.log(JSON.stringify(names));
    """

    names = json.loads(node("--input-type=module", "--eval", script))

    group = Group("g.{value}")
    assert names == [group(value).name for value in values]


def test_the_package_for_npm_is_complete() -> None:
    """It has this project's version and license, and all files that it names."""
    package = json.loads((PACKAGE / "package.json").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {*package["files"], package["main"], package["types"]}

    assert package["version"] == project["version"]
    assert package["license"] == project["license"]
    assert (PACKAGE / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert [name for name in named if not (PACKAGE / name).is_file()] == []
    assert (PACKAGE / "README.md").is_file()


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is missing")
def test_what_npm_packs(tmp_path: Path) -> None:
    """The module, its types and what a package needs; nothing of the Python client."""
    npm = shutil.which("npm")
    assert npm is not None
    done = subprocess.run(
        [npm, "pack", "--dry-run", "--json", "--offline", "--ignore-scripts"],
        cwd=PACKAGE,
        env={**os.environ, "npm_config_cache": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    [packed] = json.loads(done.stdout)

    assert packed["name"] == "anyio-consumers"
    assert {file["path"] for file in packed["files"]} == {
        "LICENSE",
        "README.md",
        "consumers.d.ts",
        "consumers.js",
        "package.json",
    }
