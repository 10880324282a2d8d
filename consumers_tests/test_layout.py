"""Where things are: modules and their tests, the top level, the size of files."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from consumers_tests.thorough import LEFT_OUT

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "consumers"
TESTS = ROOT / "consumers_tests"

TOP_LEVEL = {
    "LICENSE",
    "Makefile",
    "README.md",
    "consumers",
    "consumers_tests",
    "docs",
    "pyproject.toml",
}

# Test files whose subject is the whole package or the project: {subject: why}.
WHOLE = {
    "audit": "what `make audit` says, and when it passes",
    "cancellation": "cancels an application at every checkpoint",
    "docs": "that the documentation and README.md hold",
    "embedding": "inside Starlette, FastAPI, Django, beside python-socketio",
    "exports": "the public names",
    "foreign_client": "one that is made of the page on the protocol alone",
    "fuzz": "what no client should send, to each way of reading it",
    "javascript": "consumers.js, by itself and against a real server",
    "layout": "this file",
    "model": "layers against a reference, in any order of calls",
    "must_run": "nothing is skipped silently in CI",
    "peers": "defects measured in other frameworks",
    "peers_chanx": "the same, where none runs beside",
    "project": "pyproject.toml, Makefile, the wheel",
    "typing": "what type checkers see",
    "valkey": "the servers that tests start",
    "vectors": "the examples of the page on the protocol",
}

# Folders of tests that have subjects of their own.
FOLDERS = {
    "attacks",
    "benchmarks",
    "conformance",
    "examples",
    "faults",
    "guide",
    "integration",
}

# What follows on the literal start of a regular expression.
NOT_LITERAL = re.compile(r"[^\w/].*")

HARD_LIMIT = 500
SOFT_LIMIT = 400
LONG_FILES = 3
"""So many files may be longer than the soft limit; the next one is to be split."""


def modules() -> Iterator[tuple[str, ...]]:
    """Yield each module of the package as its path's parts: ("groups", "hub")."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.stem not in ("__init__", "__main__"):
            yield path.relative_to(PACKAGE).with_suffix("").parts


def subject_of(test: Path) -> str:
    """Return what a test file's name says that it is about: "groups_hub_"."""
    named = "_".join(test.relative_to(TESTS).with_suffix("").parts)
    return f"{named.replace('test_', '', 1)}_"


def covers(subject: str, module: tuple[str, ...]) -> bool:
    """Tell whether a test file of this subject is about this module.

    `test_groups_hub.py`, `groups/test_hub.py` and `test_groups.py` are about
    `groups/hub.py`; `test_close_codes.py` is about `close.py`.
    """
    whole, package = f"{'_'.join(module)}_", f"{module[0]}_"
    return subject.startswith(whole) or (len(module) > 1 and subject == package)


def written_tests() -> list[Path]:
    """Return the test files, without those that have folders of their own subject."""
    return sorted(
        path
        for path in TESTS.rglob("test_*.py")
        if path.relative_to(TESTS).parts[0] not in FOLDERS
    )


def test_each_module_has_a_test_file() -> None:
    """Each module of the package has a test file with its name."""
    subjects = [subject_of(test) for test in written_tests()]

    untested = [
        "/".join(module)
        for module in modules()
        if not any(covers(subject, module) for subject in subjects)
    ]

    assert untested == []


def test_each_package_says_what_is_in_it() -> None:
    """The docstring of a package names each of its modules and packages."""
    unnamed = []
    for package in sorted(PACKAGE.rglob("__init__.py")):
        said = ast.get_docstring(ast.parse(package.read_text())) or ""
        inside = [
            *package.parent.glob("[!_]*.py"),
            *package.parent.glob("*/__init__.py"),
        ]
        names = {
            path.parent.name if path.stem == "__init__" else path.stem
            for path in inside
        }
        unnamed += [
            f"{package.parent.name}.{name}"
            for name in sorted(names)
            if not re.search(rf"\b{name}\b", said)
        ]

    assert unnamed == []


def test_each_test_file_has_a_subject() -> None:
    """Each test file is about a module, a package or a listed whole subject."""
    all_modules = [*modules()]

    stray = [
        test.name
        for test in written_tests()
        if (whole := test.stem.removeprefix("test_")) not in WHOLE
        and not (PACKAGE / whole).is_dir()
        and not any(covers(subject_of(test), module) for module in all_modules)
    ]

    assert stray == []


def test_what_is_left_out_is_there() -> None:
    """Each test that `make test` leaves out has the name by which it is left out."""
    tests = {
        str(path.relative_to(TESTS)): path.read_text()
        for path in TESTS.rglob("test_*.py")
    }

    gone = []
    for pattern in LEFT_OUT:
        file, _, test = (NOT_LITERAL.sub("", part) for part in pattern.partition("::"))
        if not any(
            path.startswith(file) and f"def {test}" in text
            for path, text in tests.items()
        ):
            gone.append(pattern)

    assert gone == []


def test_the_top_level_is_what_the_readme_promises() -> None:
    """The project's top level holds seven entries, and dot files."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()

    top = {path.split("/")[0] for path in listed}

    assert {name for name in top if not name.startswith(".")} == TOP_LEVEL


def test_files_are_short() -> None:
    """Few Python files have more than 400 lines, and none has more than 500."""
    length = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for folder in (PACKAGE, TESTS, ROOT / "docs")
        for path in folder.rglob("*.py")
    }

    assert {path: n for path, n in length.items() if n > HARD_LIMIT} == {}
    assert len([path for path, n in length.items() if n > SOFT_LIMIT]) <= LONG_FILES
