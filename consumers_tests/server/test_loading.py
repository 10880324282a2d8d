"""From MODULE:APP to an application, or to a sentence that helps."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumers.errors import ConfigurationError
from consumers.server.loading import (
    ApplicationFailed,
    describe,
    load,
    load_environment,
)
from consumers.server.options import Options
from consumers_tests.server.apps import Probe
from consumers_tests.server.project import ECHO, Project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.chdir(tmp_path)
    made = Project(tmp_path)
    made.write("probing.py", ECHO)
    with made.undone():
        yield made


def refused(target: str, **settings: object) -> str:
    """Return why a target can't be loaded."""
    with pytest.raises(ConfigurationError) as caught:
        load(target, Options(**settings))  # type: ignore[arg-type]
    return "".join(describe(caught.value))


def test_a_module_of_the_current_directory(project: Project) -> None:
    """A name in a module is found, also inside a package and an object."""
    project.write("shop/__init__.py", "")
    project.write("shop/live.py", f"{ECHO}class Site:\n    app = app\n")

    assert isinstance(load("probing:app", Options()), Probe)
    assert isinstance(load("shop.live:Site.app", Options()), Probe)


def test_a_factory_is_called(project: Project) -> None:
    """With factory, what the function returns is the application."""
    assert isinstance(load("probing:make", Options(factory=True)), Probe)


def test_app_dir_is_searched(project: Project) -> None:
    """A module is found in app_dir."""
    project.write("elsewhere/other.py", ECHO)

    assert isinstance(load("other:app", Options(app_dir="elsewhere")), Probe)
    assert refused("other:app", app_dir="nowhere") == (
        f"app_dir must be a directory, got '{project.path}/nowhere'"
    )


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("probing", "MODULE:APP was expected, got 'probing'; write 'probing:app'"),
        (
            "probing.py",
            "MODULE:APP was expected, got 'probing.py'; write 'probing:app'",
        ),
        (
            "./shop/x.py:site",
            "MODULE:APP was expected, got './shop/x.py:site'; write 'shop.x:site'",
        ),
        (":app", "MODULE:APP was expected, got ':app'; write 'module:app'"),
        ("probing:", "MODULE:APP was expected, got 'probing:'; write 'probing:app'"),
        (
            "probnig:app",
            (
                "a module 'probnig' was expected in '{here}', got none; "
                "did you mean 'probing'?"
            ),
        ),
        (
            "zzz.live:app",
            "a module 'zzz' was expected in '{here}', got none",
        ),
        (
            "probing:ap",
            (
                "an ASGI application was expected at 'probing:ap', got no 'ap' in "
                "'{here}/probing.py'; did you mean 'app'?"
            ),
        ),
        (
            "probing:site",
            (
                "an ASGI application was expected at 'probing:site', got no 'site' in "
                "'{here}/probing.py'; did you mean 'app'?"
            ),
        ),
        (
            "probing:not_an_application",
            "'probing:not_an_application' must be an ASGI application, got 42",
        ),
    ],
)
def test_a_mistake_in_the_target_is_told(
    project: Project, target: str, expected: str
) -> None:
    """What is wrong with the target comes in one line, with what to write instead."""
    assert refused(target) == expected.format(here=project.path)


def test_a_factory_without_the_option_is_told(project: Project) -> None:
    """A function without parameters is taken for a factory, and WSGI for WSGI."""
    assert refused("probing:make").endswith(
        "; add --factory if it returns the application"
    )
    assert refused("probing:wsgi").endswith(
        "; a WSGI application needs a server of its own"
    )


def test_an_application_with_the_option_is_told(project: Project) -> None:
    """What can't be called without arguments is no factory."""
    assert refused("probing:app", factory=True).endswith(
        "; leave --factory out if it is the application"
    )


def test_a_factory_that_returns_nothing_is_told(project: Project) -> None:
    """What a factory returns has to be an application too."""
    project.write("empty.py", "def make(): pass\n")

    assert refused("empty:make", factory=True) == (
        "what 'empty:make' returns must be an ASGI application, got None"
    )


def test_an_error_in_the_module_shows_its_own_traceback(project: Project) -> None:
    """A module that raises is shown where it raised, without frames of ours."""
    project.write("inner.py", "value = {}['nothing']\n")
    project.write("broken.py", "import inner\n")

    text = refused("broken:app")

    assert text.splitlines()[0] == "Traceback (most recent call last):"
    assert f'File "{project.path}/broken.py", line 1' in text
    assert f'File "{project.path}/inner.py", line 1' in text
    assert "importlib" not in text
    assert "loading.py" not in text
    assert text.splitlines()[-1] == (
        "module 'broken' must import without an error, got KeyError: 'nothing'"
    )


def test_a_mistake_in_a_consumer_shows_where_it_is(project: Project) -> None:
    """A class that this package refuses is shown without this package's frames."""
    project.write(
        "broken.py",
        """
        from consumers import WebSocketConsumer

        class Chat(WebSocketConsumer):
            def on_connect(self): ...
        """,
    )

    text = refused("broken:app")

    files = [line for line in text.splitlines() if line.startswith("  File ")]
    assert files == [f'  File "{project.path}/broken.py", line 4, in <module>']
    assert "must be 'async def'" in text.splitlines()[-1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_pa"),
        ("def broken(:", "SyntaxError: invalid syntax"),
        ("raise SystemExit", "SystemExit"),
    ],
)
def test_whatever_the_module_raises_is_its_own(
    project: Project, text: str, expected: str
) -> None:
    """A missing dependency, a syntax error and an exit are the module's errors."""
    project.write("broken.py", text)

    with pytest.raises(ApplicationFailed, match=expected) as caught:
        load("broken:app", Options())

    assert "broken.py" in describe(caught.value)[0]


def test_a_factory_that_raises_shows_its_own_traceback(project: Project) -> None:
    """A factory that raises is shown where it raised."""
    project.write("broken.py", "def make():\n    return 1 / 0\n")

    text = refused("broken:make", factory=True)

    assert "return 1 / 0" in text
    assert text.endswith(
        "the factory 'broken:make' must return an application, got "
        "ZeroDivisionError: division by zero"
    )


@pytest.mark.parametrize("name", ["consumers.py", "consumers/__init__.py"])
def test_a_namesake_is_told(project: Project, name: str) -> None:
    """A consumers.py of the user's, beside the application, is told by its path."""
    file = project.write(name, ECHO)
    shown = file if file.name == "consumers.py" else file.parent

    for target in ("probing:app", "consumers:app"):
        assert refused(target) == (
            f"the name 'consumers' belongs to this package, got '{shown}' beside the "
            "application; rename it, or move it into a package of yours"
        )


def test_a_namesake_in_a_package_is_fine(project: Project) -> None:
    """A consumers.py inside a package, as Channels projects have it, is in no way."""
    project.write("shop/__init__.py", "")
    project.write("shop/consumers.py", ECHO)

    assert isinstance(load("shop.consumers:app", Options()), Probe)


def test_what_has_no_signature_is_taken(project: Project) -> None:
    """Of a callable without a signature the first connection tells what it is."""
    project.write("compiled.py", "app = max\n")

    assert load("compiled:app", Options()) is max


def test_an_environment_file_is_read(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables of the file are set; those that were set before stay."""
    monkeypatch.setenv("CONSUMERS_SAMPLE_SET", "before")
    monkeypatch.setenv("CONSUMERS_SAMPLE_NEW", "to be removed afterwards")
    monkeypatch.delenv("CONSUMERS_SAMPLE_NEW")
    file = project.write(
        ".env", "CONSUMERS_SAMPLE_SET=after\nCONSUMERS_SAMPLE_NEW=new\n"
    )

    load_environment(str(file))

    assert os.environ["CONSUMERS_SAMPLE_SET"] == "before"
    assert os.environ["CONSUMERS_SAMPLE_NEW"] == "new"
    monkeypatch.delenv("CONSUMERS_SAMPLE_NEW")


def test_a_bad_environment_file_is_told(project: Project) -> None:
    """A missing file, and one that is not text, are told."""
    (project.path / "binary").write_bytes(b"\xff\xfe\x00")

    for name, expected in (
        ("missing", "env_file must be a file, got 'missing'"),
        ("binary", "env_file must be text in UTF-8, got 'binary'"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            load_environment(name)
        assert str(caught.value) == expected
