"""`consumers schema`: what it prints and writes, and how it says what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from consumers.cli import main
from consumers.schema import asyncapi, typescript
from consumers_tests.schema.applications import app

APP = "consumers_tests.schema.applications:app"


def schema(*arguments: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, ["schema", APP, *arguments])


def test_it_prints_the_document() -> None:
    """AsyncAPI as JSON, with what the options say of the application."""
    shown = schema(
        *(
            "--title",
            "Shop",
            "--version",
            "3",
            "--server",
            "ws://a",
            "--server",
            "ws://b",
        )
    )

    assert shown.exit_code == 0
    assert json.loads(shown.stdout) == asyncapi(
        app, title="Shop", version="3", servers=["ws://a", "ws://b"]
    )
    assert shown.stdout.startswith('{\n  "asyncapi": "3.0.0",\n')
    assert len(schema("--indent", "0").stdout.splitlines()) == 1


def test_it_prints_typescript() -> None:
    """With the client imported from where it is."""
    shown = schema("--format", "typescript", "--client", "anyio-consumers")

    assert shown.exit_code == 0
    assert shown.stdout == typescript(app, client="anyio-consumers")


def test_it_writes_a_file(tmp_path: Path) -> None:
    """And prints nothing."""
    shown = schema("--format", "typescript", "-o", str(tmp_path / "app.ts"))

    assert (shown.exit_code, shown.output) == (0, "")
    assert (tmp_path / "app.ts").read_text() == typescript(app)


def test_variables_may_come_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the application is run."""
    monkeypatch.setenv("CONSUMERS_TESTS_SCHEMA", "0")  # and is as before afterwards
    (tmp_path / "env").write_text("CONSUMERS_TESTS_SCHEMA=1\n")

    assert schema("--env-file", str(tmp_path / "env")).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("-o", "/nowhere/app.json"), "the output must be a file that can be written"),
        (("--server", "a"), "a server must be a WebSocket's URL, got 'a'"),
        (("--env-file", "/nowhere"), "env_file must be a file, got '/nowhere'"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    arguments: tuple[str, ...], told: str
) -> None:
    """The exit code is that of a usage error."""
    shown = schema(*arguments)

    assert shown.exit_code == 2
    assert told in shown.stderr
    assert len(shown.stderr.splitlines()) == 1
