"""The files that the how-to on deploying shows: they hold what it says, and fit."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml  # type: ignore[import-untyped]

from consumers import App, Groups
from consumers.cli.run import run
from consumers.server.options import Options
from consumers.server.shutdown import CLEAN_UP_TIMEOUT

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "docs" / "examples" / "deploy"
UNITS = sorted(FOLDER.glob("*.service")) + sorted(FOLDER.glob("*.socket"))
PAGE = (ROOT / "docs" / "howto" / "deploy.md").read_text()

LIMIT = (
    Options().drain_delay
    + Options().drain_timeout
    + Options().graceful_timeout
    + CLEAN_UP_TIMEOUT  # of cancelled connections
    + CLEAN_UP_TIMEOUT  # of the application's lifespan
)
"""Seconds that a process may take to end with the defaults."""


def unit(path: Path) -> configparser.ConfigParser:
    """Read a file of systemd's; none here repeats a setting."""
    parser = configparser.ConfigParser(interpolation=None, delimiters="=")
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(path)
    return parser


def manifests() -> dict[str, Any]:
    """Return what Kubernetes is told, by kind."""
    text = (FOLDER / "kubernetes.yaml").read_text()
    return {one["kind"]: one for one in yaml.safe_load_all(text)}


def pod() -> dict[str, Any]:
    found: dict[str, Any] = manifests()["Deployment"]["spec"]["template"]["spec"]
    return found


def commands() -> dict[str, list[str]]:
    """Return each command line that serves, by the file that has it."""
    found = {
        path.name: shlex.split(unit(path)["Service"]["ExecStart"])
        for path in UNITS
        if path.suffix == ".service"
    }
    container = (FOLDER / "Containerfile").read_text()
    listed = re.search(r"^CMD (\[.*\])$", container, re.MULTILINE)
    assert listed is not None
    found["Containerfile"] = yaml.safe_load(listed[1])
    found["kubernetes.yaml"] = pod()["containers"][0]["args"]
    return found


def test_the_page_shows_all_of_them() -> None:
    """Each file is included by the how-to, and is not a copy that could differ."""
    shown = set(re.findall(r"\{literalinclude\} \.\./examples/deploy/(\S+)", PAGE))

    assert shown == {path.name for path in FOLDER.iterdir()}


@pytest.mark.parametrize("name", commands())
def test_each_command_is_one(name: str) -> None:
    """What they run is `consumers run`, with options that there are."""
    program, *arguments = commands()[name]

    assert Path(program).name == "consumers"
    assert arguments[:2] == ["run", "shop.sockets:app"]
    written = [one.replace("%i", "8001") for one in arguments[1:]]
    assert run.make_context("run", written).params["app"] == "shop.sockets:app"


def test_the_container_installs_what_there_is() -> None:
    """The distribution has the name and the extras that the container asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    container = (FOLDER / "Containerfile").read_text()
    asked = re.search(r'^RUN pip install \S+ "(.+)\[(.+)\]"$', container, re.MULTILINE)
    assert asked is not None

    assert asked[1] == project["name"]
    assert {*asked[2].split(",")} <= {*project["optional-dependencies"]}


@pytest.mark.parametrize("kind", ["Deployment", "Service"])
def test_kubernetes_knows_each_field(kind: str) -> None:
    """They fit its own schemas, which have no room for a field that there isn't."""
    newest = kubernetes_validate.latest_version()
    manifest = manifests()[kind]
    kubernetes_validate.validate(manifest, newest, strict=True)

    manifest["spec"]["selectr"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, newest, strict=True)


def test_supervisors_wait_for_long_enough() -> None:
    """What kills a process waits longer than ending takes with the defaults."""
    for path in UNITS:
        if path.suffix == ".service":
            assert float(unit(path)["Service"]["TimeoutStopSec"]) > LIMIT
            assert unit(path)["Service"]["KillMode"] == "mixed"
    [container] = pod()["containers"]
    command, seconds = container["lifecycle"]["preStop"]["exec"]["command"]
    assert command == "sleep"
    assert pod()["terminationGracePeriodSeconds"] > LIMIT + float(seconds)
    assert f"together before it kills: {LIMIT:g} seconds" in PAGE.replace("\n", " ")


def test_nginx_waits_longer_than_pings_take() -> None:
    """A connection that is quiet but for pings is not cut off."""
    found = re.search(
        r"proxy_read_timeout (\d+)s;", (FOLDER / "nginx.conf").read_text()
    )
    interval, timeout = Options().ws_ping_interval, Options().ws_ping_timeout
    assert found is not None
    assert interval is not None
    assert timeout is not None

    assert float(found[1]) > interval + timeout


def test_ports_and_paths_agree() -> None:
    """Probes and services ask where the processes listen, and what they answer."""
    [container] = pod()["containers"]
    [port] = container["ports"]
    arguments = container["args"]
    assert arguments[arguments.index("--port") + 1] == str(port["containerPort"])
    app = App([], groups=Groups(), health=True)
    paths = {getattr(route, "path", None) for route in app.routes}
    for probe in ("readinessProbe", "livenessProbe"):
        asked = container[probe]["httpGet"]
        assert asked["port"] == port["name"]
        assert asked["path"] in paths
    started = unit(FOLDER / "shop@.service")["Service"]
    asked_there = urlsplit(shlex.split(started["ExecStartPost"])[-1].replace("%i", "1"))
    assert asked_there.path in paths
    assert "--port %i" in started["ExecStart"]
    assert asked_there.netloc == f"{Options().host}:1"
    service = manifests()["Service"]["spec"]
    assert service["selector"] == {"app": "shop-sockets"}
    assert service["ports"][0]["targetPort"] == port["name"]


@pytest.mark.may_skip
@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd is not installed"
)
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    """Systemd knows each setting, and finds each unit that another one names."""
    for path in UNITS:
        text = re.sub(
            "(/srv/shop/.venv/bin/consumers|/usr/bin/curl)",
            "/bin/true",
            path.read_text(),
        )
        (tmp_path / path.name.replace("@.", "@8001.")).write_text(text)

    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *sorted(tmp_path.iterdir())],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    ours = [line for line in said.stderr.splitlines() if "shop" in line]
    assert ours == []
