"""README.md and the documentation: their code runs, their links and tables hold."""

import ast
import os
import re
import runpy
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import anyio
import click
import echo
import pytest

import consumers
from consumers import Limits
from consumers.cli import COMMANDS
from consumers.client import connect
from consumers.close import CLOSE_CODES
from consumers.handlers.settings import SETTINGS
from consumers.testing import Refused, TestClient
from consumers_tests.valkey import Valkey
from docs.tables import SUBSTITUTIONS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
EXAMPLES = DOCS / "examples"
README = ROOT / "README.md"
PAGES = sorted(
    page for page in DOCS.rglob("*.md") if not {"_build", "changelog.d"} & {*page.parts}
)

SHOWN_TESTS = (
    "howto/test_live.py",
    "howto/test_time.py",
    "howto/test_with_pytest_asyncio.py",
    "migrating/test_after_channels.py",
    "migrating/test_after_fastapi.py",
    "migrating/test_before_channels.py",
    "migrating/test_before_fastapi.py",
    "tutorial/test_rooms.py",
)

BLOCK = re.compile(r"^( *)```python\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
TEST_FILE = re.compile(r"`((?:\w+/)?test_\w+\.py)`")


def python_blocks(page: Path) -> list[str]:
    """Return the Python code that stands on a page itself, without indentation."""
    return [
        re.sub(f"^{indent}", "", code, flags=re.MULTILINE)
        for indent, code in BLOCK.findall(page.read_text())
    ]


def run_pytest(folder: Path, *arguments: str) -> str:
    """Run tests as users do: in a process of its own, without our configuration."""
    (folder / "pytest.ini").write_text(
        f"[pytest]\npythonpath = . {EXAMPLES}\nfilterwarnings = error\n"
        "asyncio_default_fixture_loop_scope = function\n"
    )
    plugins = ("anyio.pytest_plugin", "pytest_asyncio.plugin")
    fixtures = "consumers.testing.fixtures"
    loaded = [word for plugin in (*plugins, fixtures) for word in ("-p", plugin)]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *loaded,
            *("-c", str(folder / "pytest.ini"), "--rootdir", str(folder)),
            *arguments,
        ],
        cwd=folder,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_code_of_the_readme_runs(tmp_path: Path) -> None:
    """The test that it shows passes with the application that it shows."""
    application, test, *_ = python_blocks(README)
    (tmp_path / "echo.py").write_text(application)
    (tmp_path / "test_echo.py").write_text(test)

    assert "2 passed" in run_pytest(tmp_path, "test_echo.py")


async def test_the_readme_s_fastapi_works() -> None:
    """Parameters, a dependency that refuses, and a view that publishes."""
    [code] = [each for each in python_blocks(README) if "FastAPI(" in each]
    names: dict[str, Any] = {"__name__": "readme"}

    exec(code, names)

    async with TestClient(names["app"]) as server:
        with pytest.raises(Refused) as refused:
            async with server.connect("/talk/lobby"):
                raise AssertionError
        assert refused.value.status == 401
        ada = {"x-user": "Ada"}
        async with server.connect("/talk/lobby?shout=1", headers=ada) as ws:
            await ws.send("hi")
            assert await ws.receive() == "Ada: HI"
            await server.request("POST", "/talk/lobby?text=news")
            assert await ws.receive() == "news"


def test_the_readme_s_groups_work(valkey: Valkey) -> None:
    """What it shows of groups across processes keeps what is published."""
    [code] = [each for each in python_blocks(README) if "redis:" in each]
    assert "redis://127.0.0.1:6379" in code
    names: dict[str, Any] = {}

    exec(code.replace("redis://127.0.0.1:6379", valkey.url), names)

    kept = names["groups"].sync.history("chat.lobby").publications
    names["groups"].sync.close()
    assert [each.message for each in kept] == ["hello"]


async def test_the_readme_s_typed_messages_work() -> None:
    """Its chat answers, streams, and sends who subscribes what was said."""
    [code] = [each for each in python_blocks(README) if "@receives" in each]
    names: dict[str, Any] = {"__name__": "readme"}

    exec(code, names)

    say, ask = names["Say"], names["Ask"]
    with anyio.fail_after(10):
        async with (
            TestClient(names["app"]) as server,
            connect("ws://test/chat", transport=server.dial) as client,
            client.subscribe("chat.lobby", type=str) as subscription,
            client.stream(ask("to be"), returns=str) as words,
        ):
            assert await client.request(say("hi"), returns=int) == 2
            assert (await anext(subscription)).message == "hi"
            assert [word async for word in words] == ["to", "be"]
            assert (await server.request("GET", "/consumers.js")).status == 200


def test_the_readme_shows_the_example() -> None:
    """Its echo is the one of docs/examples."""
    tree = ast.parse(Path(echo.__file__).read_text())
    without_docstring = ast.Module(tree.body[1:], tree.type_ignores)

    shown = ast.parse(python_blocks(README)[0])

    assert ast.dump(shown) == ast.dump(without_docstring)


def test_the_tests_that_pages_show_pass(tmp_path: Path) -> None:
    """Those of the tutorial and of the how-to guides, run as users run theirs."""
    shown = [EXAMPLES / name for name in SHOWN_TESTS]
    assert shown == sorted(EXAMPLES.rglob("test_*.py"))

    output = run_pytest(tmp_path, *map(str, shown))

    assert re.search(r"^\d+ passed", output, re.MULTILINE)


def test_serving_by_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tutorial's last program serves its chat on trio, and only if it is run."""
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    monkeypatch.setattr(
        consumers, "run", lambda *args, **options: calls.append((args, options))
    )

    program = str(EXAMPLES / "tutorial/serve.py")
    runpy.run_path(program)
    assert calls == []
    names = runpy.run_path(program, run_name="__main__")

    assert calls == [((names["app"],), {"backend": "trio", "port": 8000})]


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: str(page.name))
def test_links_lead_somewhere(page: Path) -> None:
    """Each link within the project names a file."""
    targets = [link for link in LINK.findall(page.read_text()) if ":" not in link]

    assert [link for link in targets if not (page.parent / link).exists()] == []


def test_the_readme_names_tests_that_exist() -> None:
    """Each row of the table against others names the file that shows it."""
    rows = [line for line in README.read_text().splitlines() if "| yes |" in line]
    named = [TEST_FILE.findall(row) for row in rows]

    assert all(named)
    assert [
        name
        for names in named
        for name in names
        if not (ROOT / "consumers_tests" / name).is_file()
    ] == []


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: str(page.name))
def test_code_on_pages_is_python(page: Path) -> None:
    """What a page marks as Python can be compiled."""
    for code in python_blocks(page):
        compile(code, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_the_tutorial_shows_files_alone() -> None:
    """Each piece of Python in it is included from a file, which tests run."""
    pages = sorted((DOCS / "tutorial").glob("*.md"))

    assert len(pages) > 1
    assert [page.name for page in pages if python_blocks(page)] == []


def test_the_reference_has_every_public_name() -> None:
    """What is exported is documented."""
    text = "".join(page.read_text() for page in (DOCS / "reference").glob("*.md"))

    assert [name for name in consumers.__all__ if name not in text] == []


@pytest.mark.parametrize(
    ("table", "names"),
    [
        ("close_codes", [str(code) for code in CLOSE_CODES]),
        ("settings", list(SETTINGS)),
        ("limits", [field.name for field in fields(Limits)]),
        *(
            (
                f"{command.name}_options",
                [
                    name
                    for option in command.params
                    if isinstance(option, click.Option)
                    for name in (*option.opts, *option.secondary_opts)
                ],
            )
            for command in COMMANDS
        ),
    ],
)
def test_tables_of_the_reference_are_whole(table: str, names: list[str]) -> None:
    """Each is made of the code, has a row for each name, and stands on a page."""
    rows = SUBSTITUTIONS[table].splitlines()[2:]
    first_cells = " ".join(row.split("|")[1] for row in rows)

    assert [name for name in names if f"`{name}`" not in first_cells] == []
    assert any(f"{{{{ {table} }}}}" in page.read_text() for page in PAGES)


def test_close_codes_on_the_page_are_of_the_registry() -> None:
    """The page on close codes names no standard code that the registry lacks."""
    page = (DOCS / "reference" / "close-codes.md").read_text()
    named = {int(code) for code in re.findall(r"\b1\d{3}\b", page)}

    assert named <= CLOSE_CODES.keys()
