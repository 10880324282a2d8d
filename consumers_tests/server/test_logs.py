"""What a serving process logs."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from consumers.logs import ConnectionLog
from consumers.observing import observers_everywhere
from consumers.server.logs import configure_logging
from consumers.server.options import Options
from consumers_tests.server.project import Project


def test_the_level_is_that_of_the_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Messages from the level on go to stderr; the application's stay its own."""
    with Project(tmp_path).undone():
        configure_logging(Options(log_level="warning"))
        logging.getLogger("consumers.server").info("not this")
        logging.getLogger("uvicorn.error").warning("but this")
        logging.getLogger("shop").warning("not this either")

    said = capsys.readouterr().err
    assert "but this" in said
    assert "not this" not in said


def test_the_access_log_can_be_off(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the access log requests are not logged, and all else is."""
    with Project(tmp_path).undone():
        for on in (True, False):
            configure_logging(Options(access_log=on))
            for name in ("uvicorn", "consumers"):
                logging.getLogger(f"{name}.access").info("GET / on %s", on)
                logging.getLogger(f"{name}.error").info("started")

    said = capsys.readouterr().err
    assert said.count("GET / on True") == 2
    assert "GET / on False" not in said
    assert said.count("started") == 4


def test_json_is_a_line_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And each connection's end is one, unless there is no access log."""
    before = [*observers_everywhere()]
    try:
        with Project(tmp_path).undone():
            configure_logging(Options(log_format="json", access_log=False))
            assert observers_everywhere() == before
            for _ in range(2):
                configure_logging(Options(log_format="json"))
            (added,) = (each for each in observers_everywhere() if each not in before)
            logging.getLogger("uvicorn.error").info("started with ?token=%s", "s" * 20)
    finally:
        observers_everywhere()[:] = before

    assert isinstance(added, ConnectionLog)
    (line,) = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert (told["logger"], told["level"]) == ("uvicorn.error", "info")
    assert "sss" not in told["message"]
