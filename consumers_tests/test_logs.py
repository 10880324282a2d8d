"""Logs for machines: what each line holds, and what it never does."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from consumers import App, WebSocketRoute
from consumers.logs import ConnectionLog, JSONFormatter
from consumers.testing import Refused, TestClient
from consumers_tests.observers import Echo

SECRETS = ("planted-query", "planted-cookie", "planted-header", "planted-offer")


class Lines(logging.Handler):
    """Keeps the lines."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JSONFormatter())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))

    def read(self) -> list[dict[str, Any]]:
        """Return what they hold."""
        return [json.loads(line) for line in self.lines]


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler, logger = Lines(), logging.getLogger("consumers")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(before)


async def test_a_connection_s_end_is_one_line(lines: Lines) -> None:
    """With its id, consumer, close code, who closed, and how long it lasted."""
    app = App([WebSocketRoute("/echo", Echo)], observers=[ConnectionLog()])
    async with TestClient(app) as client:
        async with client.connect("/echo") as ws:
            await ws.close(4001)
        with pytest.raises(Refused):
            async with client.connect("/echo", headers={"origin": "http://evil"}):
                pass

    ended, refused = (
        line for line in lines.read() if line["logger"] == "consumers.access"
    )
    assert ended["level"] == "info"
    assert ended["connection"]
    assert (ended["consumer"], ended["path"]) == ("Echo", "/echo")
    assert (ended["code"], ended["initiator"]) == (4001, "client")
    assert 0 <= ended["seconds"] < 60
    assert refused["status"] == 403


async def test_nothing_secret_is_a_field(lines: Lines) -> None:
    """Not the query, nor cookies, credentials or offered subprotocols."""
    app = App([WebSocketRoute("/echo", Echo)], observers=[ConnectionLog()])
    async with (
        TestClient(app) as client,
        client.connect(
            f"/echo?token={SECRETS[0]}",
            cookies={"session": SECRETS[1]},
            headers={"authorization": f"Bearer {SECRETS[2]}"},
            subprotocols=[f"bearer.{SECRETS[3]}"],
        ),
    ):
        pass

    assert any("ended" in line for line in lines.lines)
    assert not [secret for secret in SECRETS if secret in "".join(lines.lines)]


async def test_below_the_level_nothing_is_made(lines: Lines) -> None:
    """Where info is not logged, a connection's end is no line."""
    logging.getLogger("consumers").setLevel(logging.WARNING)
    app = App([WebSocketRoute("/echo", Echo)], observers=[ConnectionLog()])
    async with TestClient(app) as client, client.connect("/echo"):
        pass

    assert lines.lines == []


def test_an_exception_is_part_of_its_line(lines: Lines) -> None:
    """So is what was passed as `extra`; what has no form in JSON is its text."""
    try:
        raise ValueError("a\nb")
    except ValueError:
        logging.getLogger("consumers").exception(
            "it %s", "failed", extra={"shop": 7, "what": object, "color_message": "x"}
        )

    (line,) = lines.read()
    assert (line["message"], line["level"], line["shop"]) == ("it failed", "error", 7)
    assert line["what"] == str(object)
    assert line["exception"].endswith("ValueError: a\nb")
    assert "color_message" not in line
    assert line["time"].endswith("+00:00")
