"""The command line: what it prints, and how it says what is wrong."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from consumers.cli import main
from consumers.server.options import Options
from consumers_tests.server.live import PATIENCE, ROOT, Process
from consumers_tests.server.project import ECHO, Project

SHOP = """
from typing import Annotated
from consumers import App, Provide, WebSocketConsumer
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Host, Mount, Route, WebSocketRoute


def number() -> int: ...


class Orders(WebSocketConsumer):
    async def on_handshake(self, shop: int): ...
    async def on_connect(
        self, shop: int, database: Annotated[int, Provide(number)], tag: str = ""
    ): ...


class Silent(WebSocketConsumer): ...


tickers = App()

@tickers.websocket_route("/ticker/{symbol}")
async def ticker(ws, symbol: str, every: float = 1.0): ...


async def home(request): ...
async def bare(scope, receive, send): ...


class Odd(BaseRoute): ...


app = Starlette(
    routes=[
        WebSocketRoute("/ws/{shop:int}", Orders, name="orders"),
        Route("/", home, methods=["GET"]),
        Mount(
            "/api",
            name="api",
            routes=[*tickers.routes, Route("/x", bare, name="x")],
        ),
        Mount("/files", app=bare),
        WebSocketRoute("/silent", Silent),
        WebSocketRoute("/bare", home),
        Host("admin.example.org", app=Starlette(routes=[Route("/", home)]), name="adm"),
        Odd(),
    ]
)
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.chdir(tmp_path)
    made = Project(tmp_path)
    made.write("probing.py", ECHO)
    with made.undone():
        yield made


def consumers(*arguments: str) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(main, arguments)


def test_help_and_version() -> None:
    """The commands are listed, and the version is that of the distribution."""
    said = consumers("--help").output

    assert re.search(r"^  run +Serve an application\.$", said, re.MULTILINE)
    assert re.search(r"^  routes +Print an app", said, re.MULTILINE)
    assert re.fullmatch(r"consumers \S.*\n", consumers("--version").output)


def test_the_version_of_a_source_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the distribution is not installed the version says so."""

    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("consumers.cli.version", missing)

    assert "not installed" in consumers("--version").output


def test_each_setting_is_an_option() -> None:
    """`consumers run --help` has each option of a server, with its help text."""
    said = " ".join(consumers("run", "--help").output.split())

    for field in fields(Options):
        name = field.name.removesuffix("s") if "dirs" in field.name else field.name
        assert f"--{name.replace('_', '-')} " in said
        first = " ".join(field.metadata["help"].split()[:3])
        assert first in said


def test_a_default_of_zero_is_shown() -> None:
    """It is a number like others, though equal to False."""
    said = " ".join(consumers("run", "--help").output.split())
    shown = said.partition("--drain-delay ")[2].partition(" --")[0]

    assert Options().drain_delay == 0
    assert shown.endswith("[default: 0.0]")


@pytest.mark.parametrize(
    ("arguments", "settings"),
    [
        ([], {}),
        (["--port", "1", "--reload"], {"port": 1, "reload": True}),
        (["--ws-ping-interval", "off"], {"ws_ping_interval": None}),
        (["--ws-ping-interval", "2.5"], {"ws_ping_interval": 2.5}),
        (["--no-access-log"], {"access_log": False}),
        (["--reload-dir", "a", "--reload-dir", "b"], {"reload_dirs": ("a", "b")}),
        (["--backend", "trio", "--workers", "3"], {"backend": "trio", "workers": 3}),
    ],
)
def test_options_arrive(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], settings: dict[str, Any]
) -> None:
    """What is given, and the defaults for all else, is what the server gets."""
    seen: list[Any] = []

    def record(app: str, **given: Any) -> None:
        seen.append((app, Options(**given)))

    # By its path: as a name `run` is the command, which hides the module.
    module = sys.modules["consumers.cli.run"]
    monkeypatch.setattr(module, "serve_until_signal", record)

    result = consumers("run", "probing:app", *arguments)

    assert result.exit_code == 0, result.output
    assert seen == [("probing:app", Options(**settings))]


def test_options_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """An option can be set by a variable with its name."""
    monkeypatch.setenv("CONSUMERS_RUN_PORT", "70000")

    result = consumers("run", "probing:app")

    assert result.stderr == "error: port must be between 0 and 65535, got 70000\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["run", "probing"],
            "MODULE:APP was expected, got 'probing'; write 'probing:app'",
        ),
        (["run", "probnig:app"], "a module 'probnig' was expected in "),
        (
            ["run", "probing:ap"],
            "an ASGI application was expected at 'probing:ap', got no ",
        ),
        (
            ["run", "probing:not_an_application"],
            "'probing:not_an_application' must be an A",
        ),
        (
            ["run", "probing:make"],
            "'probing:make' must be an ASGI application, got <funct",
        ),
        (["run", "broken:app"], "module 'broken' must import without an error, got "),
        (
            ["run", "probing:app", "--host", "192.0.2.1"],
            "port 8000 on 192.0.2.1 must be",
        ),
        (
            ["run", "probing:app", "--ssl-certfile", "x"],
            "ssl_certfile must be a file, ",
        ),
        (["run", "probing:app", "--env-file", "x"], "env_file must be a file, got 'x'"),
        (
            ["run", "probing:app", "--uds", "x", "--fd", "3"],
            "one address was expected, ",
        ),
        (["routes", "probing:app"], "an application with a URL table was expected at "),
        (["routes", "probnig:app"], "a module 'probnig' was expected in "),
        (
            ["routes", "probing:app", "--env-file", "x"],
            "env_file must be a file, got 'x'",
        ),
    ],
)
def test_an_error_is_one_line(
    project: Project, arguments: list[str], expected: str
) -> None:
    """What the caller has to change is the last line on stderr; the exit code is 2."""
    project.write("broken.py", "1 / 0\n")

    result = consumers(*arguments)

    *before, last = result.stderr.splitlines()
    assert result.exit_code == 2
    assert last.startswith(f"error: {expected}")
    # Only an error in the user's own code comes with a traceback, which is the user's.
    assert [line for line in before if "File " in line] == (
        [f'  File "{project.path}/broken.py", line 1, in <module>']
        if "broken:app" in arguments
        else []
    )


def test_a_wrong_value_is_a_usage_error() -> None:
    """A value of the wrong kind is refused by the option's name."""
    result = consumers("run", "probing:app", "--ws-ping-interval", "soon")

    assert result.exit_code == 2
    assert "'soon' is neither a number nor 'off'" in result.stderr


def test_a_namesake_is_told_by_both_ways_in(project: Project) -> None:
    """A consumers.py beside the application is told, by script and by module."""
    project.write("site/consumers.py", ECHO)
    project.write("site/probing.py", ECHO)

    result = consumers("run", "probing:app", "--app-dir", "site")
    by_module = subprocess.run(
        [sys.executable, "-m", "consumers", "run", "probing:app", "--app-dir", "site"],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert result.exit_code == by_module.returncode == 2
    assert result.stderr == by_module.stderr
    assert result.stderr.startswith("error: the name 'consumers' belongs to this pack")


def test_the_routes_are_a_table(project: Project) -> None:
    """Each route has a line: path with prefixes, kind, name, endpoint, parameters."""
    project.write("shop.py", SHOP)

    result = consumers("routes", "shop:app")

    assert result.exit_code == 0, result.output
    rows = [re.split(r" {2,}", line.strip()) for line in result.stdout.splitlines()]
    assert [row for row in rows if len(row) > 1] == [
        ["Path", "Kind", "Name", "Endpoint", "Parameters"],
        [
            *("/ws/{shop:int}", "websocket", "orders", "shop.Orders"),
            "shop: int, tag: str = ''",
        ],
        ["/", "GET HEAD", "home", "shop.home"],
        ["/api", "mount", "api"],
        [
            *("/api/ticker/{symbol}", "websocket", "api:ticker", "shop.ticker"),
            "symbol: str, every: float = 1.0",
        ],
        ["/api/x", "GET HEAD", "api:x", "shop.bare"],
        ["/files", "mount", "shop.bare"],
        ["/silent", "websocket", "Silent", "shop.Silent"],
        ["/bare", "websocket", "home", "shop.home"],
        ["//admin.example.org", "host", "adm"],
        ["//admin.example.org/", "GET HEAD", "adm:home", "shop.home"],
        ["Odd", "shop.Odd"],
    ]


def test_a_factory_has_routes_too(project: Project) -> None:
    """Options for finding the application are those of run; an env file is read."""
    project.write("shop.py", f"{SHOP}\ndef make():\n    return app\n")
    project.write(".env", "")

    result = consumers("routes", "shop:make", "--factory", "--env-file", ".env")

    assert result.exit_code == 0, result.output


def test_it_serves() -> None:
    """The command says where it serves, and serves there."""
    with Process("consumers_tests.server.apps:app", "--port", "0") as process:
        with process.server().raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") as sock:
            assert sock.recv(65536).startswith(b"HTTP/1.1 200 OK")
        process.terminate()

        assert process.wait(PATIENCE) == 0
