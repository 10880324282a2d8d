"""The tap between a connection and a real server, which has a shorter way as well."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from consumers import App, Identity
from consumers.inspector import Inspector
from consumers.inspector.record import Record
from consumers.inspector.tap import TAP_KEY, Tapping
from consumers.testing import LiveServer
from consumers_tests.benchmarks.inspected import per_look, short_way, ways
from consumers_tests.benchmarks.observed import instructions
from consumers_tests.inspector.lobby import is_staff, lobby, room

PATIENCE = 10.0


async def authenticate(connection: Any) -> Identity:
    return Identity("ada", data="staff")


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def served(request: pytest.FixtureRequest) -> Iterator[tuple[App, LiveServer]]:
    """Serve an application with an inspector on a server of ours."""
    inspector = Inspector("/inspector", allow=is_staff, every=3600)
    app = lobby(authenticate=authenticate, inspector=inspector)
    with LiveServer(app, backend=request.param) as server:
        yield app, server


def dial(server: LiveServer, path: str) -> ClientConnection:
    return connect(server.url(path), proxy=None)


def ask(page: ClientConnection, **message: Any) -> dict[str, Any]:
    """Send to the inspector; return what is replied, past the first overview."""
    page.send(json.dumps({"id": 1, **message}))
    answer = {}
    while "id" not in answer:
        answer = json.loads(page.recv(timeout=PATIENCE))
    reply: dict[str, Any] = answer["reply"]
    return reply


def test_frames_on_the_short_way(served: tuple[App, LiveServer]) -> None:
    """What goes past ``receive`` and ``send`` is counted, and seen by who looks."""
    app, server = served
    with (
        dial(server, "/room/red") as member,
        dial(server, "/room/red") as other,
        dial(server, "/inspector/live") as page,
    ):
        rows = json.loads(page.recv(timeout=PATIENCE))["rows"]
        app.groups.sync.publish(room("red"), "unseen")
        for each in (member, other):
            assert each.recv(timeout=PATIENCE) == "unseen"
        ask(page, type="look", connection=rows[-1]["id"])  # the first that came
        for _ in range(3):
            member.send("12")
            assert member.recv(timeout=PATIENCE) == "12"
            assert member.recv(timeout=PATIENCE) == b"12"
        app.groups.sync.publish(room("red"), "seen")
        for each in (member, other):
            assert each.recv(timeout=PATIENCE) == "seen"
        now = ask(page, type="find", text="")
        away = ask(page, type="look", connection=None)
        app.groups.sync.publish(room("red"), "unseen again")
        for each in (member, other):
            assert each.recv(timeout=PATIENCE) == "unseen again"
        last = ask(page, type="find", text="")

    frames = [(frame["sent"], frame["text"]) for frame in now["frames"]]
    echoed = [(False, "12"), (True, "12"), (True, "… 2 bytes")]
    assert frames == echoed * 3 + [(True, "seen")]
    assert (now["rows"][-1]["received"], now["rows"][-1]["sent"]) == (3, 8)
    assert now["rows"][0]["sent"] == 2
    assert away["frames"] == last["frames"] == []
    assert last["rows"][-1]["sent"] == 9


async def test_only_the_latest_frames_are_kept() -> None:
    """Nobody fetches them: 200 stay there, and their numbers tell what is missing."""
    scope: dict[str, Any] = {"type": "websocket", "path": "/x"}
    events = iter([{"type": "websocket.receive", "text": "x"}] * 300)

    async def receive() -> Any:
        return next(events)

    async def send(event: Any) -> None: ...

    async def app(scope: Any, receive: Any, send: Any) -> None:
        tap = scope[TAP_KEY]
        tap.look()
        for _ in range(300):
            await receive()
        kept = tap.frames(0)
        assert [frame.number for frame in kept] == list(range(101, 301))
        assert [frame.number for frame in tap.frames(299)] == [300]
        tap.look_away()
        assert tap.frames(0) == []
        raise LookupError("gone")

    record = Record()
    with pytest.raises(LookupError):
        await Tapping(app, record)(scope, receive, send)

    assert (record.opened, record.received, record.sent) == (1, 300, 0)
    assert [each.error for each in record.failures] == ["LookupError: gone"]
    (end,) = record.ends
    assert (end.code, end.by, end.consumer) == (1006, "network", "")


async def test_what_is_no_websocket_passes() -> None:
    """Requests and lifespans are neither counted nor changed."""
    seen = []

    async def app(*given: Any) -> None:
        seen.append(given)

    record = Record()
    given: Any = ({"type": "http"}, object(), object())
    await Tapping(app, record)(*given)

    assert seen == [given]
    assert record.opened == 0


# On trio a talk takes some more instructions or less, of the event loop's.
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("way", [lambda app: app, short_way], ids=["asgi", "ours"])
async def test_a_message_costs_little_more(way: Any) -> None:
    """Less than a hundred instructions, until somebody looks into the connection."""
    off, on, looked = [
        await instructions(way(app), case) for app, case in ways().values()
    ]

    assert off < on < off + 100
    assert looked > on + 100


async def test_a_look_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    """The benchmark of one does what a page does, beside others that stay."""
    await per_look(rounds=1, crowds=[2])

    row = r" +2 connections, a %s +\d+\.\d\d ms +\d+\.\d\d ms at once\n"
    assert re.fullmatch(row % "look" + row % "search", capsys.readouterr().out)
