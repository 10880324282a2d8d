"""A chat with Channels, and what became of it: one client talks to both.

Where the guide says that both do the same, one script of a client's steps gets the same
from both; where it tells a difference, a test shows both sides. Django has one setting
for a process, so its programs run in processes of their own, on a real server.
"""

import http.client
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import copyfile
from typing import Any

import anyio.from_thread
import pytest
from channels.consumer import SyncConsumer
from channels.exceptions import StopConsumer
from channels.layers import InMemoryChannelLayer, channel_layers
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection

from consumers import App, WebSocketConsumer, WebSocketRoute, receives
from consumers.testing import TestClient
from consumers_tests.server.live import PATIENCE, ROOT, Process, Server

EXAMPLES = ROOT / "docs" / "examples"

BEFORE = "migrating.before_channels:application"
AFTER = "migrating.after_channels:app"
SIDE_BY_SIDE = "migrating.side_by_side:app"


class Programs:
    """Programs of one Django project, each served when it is asked for."""

    def __init__(self, folder: Path) -> None:
        self._empty = folder / "empty.sqlite3"
        self._served: dict[str, Server] = {}
        self._stack = ExitStack()

    def __getitem__(self, name: str) -> Server:
        if name not in self._served:
            if not self._empty.exists():
                self._migrate()
            database = self._empty.with_stem(name.partition(":")[0])
            copyfile(self._empty, database)
            with self._environment(database):
                options = ("--app-dir", str(EXAMPLES), "--port", "0")
                process = Process(*options, "--no-access-log", name)
            self._stack.enter_context(process)
            self._served[name] = process.server()
        return self._served[name]

    def close(self) -> None:
        self._stack.close()

    def _migrate(self) -> None:
        command = ("django", "migrate", "--run-syncdb", "--verbosity", "0")
        with self._environment(self._empty):
            subprocess.run(
                [
                    *(sys.executable, "-m", *command, "--pythonpath", str(EXAMPLES)),
                    *("--settings", "migrating.after_settings"),
                ],
                check=True,
                timeout=2 * PATIENCE,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )

    @contextmanager
    def _environment(self, database: Path) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DATABASE", str(database))
            patch.delenv("DJANGO_SETTINGS_MODULE", raising=False)
            yield


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    programs = Programs(tmp_path_factory.mktemp("databases"))
    yield programs
    programs.close()


def post(
    server: Server, path: str, body: str = "", **headers: str
) -> http.client.HTTPResponse:
    """Send a form."""
    client = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE)
    headers["content-type"] = "application/x-www-form-urlencoded"
    client.request("POST", path, body, headers)
    response = client.getresponse()
    assert response.status == 204
    client.close()
    return response


def cookie_of(server: Server, name: str) -> str:
    """Log somebody in."""
    cookie = post(server, f"/log-in/{name}").getheader("set-cookie", "")
    return str(cookie).partition(";")[0]


def connect(server: Server, path: str, name: str = "") -> ClientConnection:
    """Connect as a user of Django, or as nobody."""
    headers = {"cookie": cookie_of(server, name)} if name else {}
    return server.connect(path, additional_headers=headers)


def say(ws: ClientConnection, **message: Any) -> None:
    ws.send(json.dumps(message))


def heard(ws: ClientConnection) -> Any:
    return json.loads(ws.recv(PATIENCE))


def said(name: str, text: str) -> dict[str, str]:
    return {"type": "said", "name": name, "text": text}


@pytest.mark.parametrize("name", [BEFORE, AFTER])
def test_the_chat_of_channels(programs: Programs, name: str) -> None:
    """Users of Django, a room, the ORM, a view and synchronous code: all the same."""
    server = programs[name]
    with pytest.raises(InvalidStatus) as refused:
        connect(server, "/ws/chat/tea")
    assert refused.value.response.status_code == 403

    with (
        connect(server, "/ws/chat/tea", "ada") as ada,
        connect(server, "/ws/chat/tea", "bob") as bob,
        connect(server, "/ws/chat/milk", "cy") as cy,
        connect(server, "/ws/search") as search,
    ):
        # Who has an answer has joined.
        for each in (ada, bob, cy):
            say(each, type="count")
            assert heard(each) == {"type": "total", "lines": 0}

        say(ada, type="say", text="hello")
        assert heard(ada) == heard(bob) == said("ada", "hello")
        say(bob, type="count")
        assert heard(bob) == {"type": "total", "lines": 1}

        post(server, "/announce/tea", "text=tea+is+ready")
        assert heard(ada) == heard(bob) == said("system", "tea is ready")
        say(cy, type="count")
        assert heard(cy) == {"type": "total", "lines": 0}

        say(search, word="hell")
        assert heard(search) == ["hello"]


def test_a_logout_closes_what_the_session_has_open(programs: Programs) -> None:
    """Another session of the user goes on, and the cookie is nobody's."""
    server = programs[AFTER]
    headers = {"cookie": cookie_of(server, "dan")}
    with (
        server.connect("/ws/chat/tea", additional_headers=headers) as ws,
        connect(server, "/ws/chat/tea", "dan") as other,
    ):
        for each in (ws, other):
            say(each, type="count")
            heard(each)
        post(server, "/log-out", **headers)
        with pytest.raises(ConnectionClosedError) as closed:
            ws.recv(PATIENCE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
        say(other, type="say", text="still here")
        assert heard(other) == said("dan", "still here")
    with pytest.raises(InvalidStatus):
        server.connect("/ws/chat/tea", additional_headers=headers)


def test_a_wrong_message_broke_the_connection(programs: Programs) -> None:
    """Channels raises in the server; here the client is told, and goes on."""
    with connect(programs[BEFORE], "/ws/chat/tea", "ada") as ws:
        say(ws, type="say")
        with pytest.raises(ConnectionClosedError) as broken:
            ws.recv(PATIENCE)
        assert broken.value.rcvd is None or broken.value.rcvd.code == 1011

    with connect(programs[AFTER], "/ws/chat/tea", "ada") as ws:
        say(ws, type="say")
        assert heard(ws)["error"]["code"] == "invalid_message"
        say(ws, type="say", text="again")
        assert heard(ws) == said("ada", "again")


def test_what_is_no_json_closes(programs: Programs) -> None:
    """An error of the server with Channels, here one of the client: 1007."""
    for name, codes in ((BEFORE, (None, 1011)), (AFTER, (1007,))):
        with connect(programs[name], "/ws/chat/tea", "ada") as ws:
            ws.send('{"type": "say", "text": "h')
            with pytest.raises(ConnectionClosedError) as closed:
                ws.recv(PATIENCE)
            assert (closed.value.rcvd and closed.value.rcvd.code) in codes


def test_an_unknown_type_was_passed_over(programs: Programs) -> None:
    """Before nothing comes back; after the client is told."""
    for name in (BEFORE, AFTER):
        with connect(programs[name], "/ws/chat/elsewhere", "ada") as ws:
            say(ws, type="sing")
            if name == AFTER:
                assert heard(ws)["error"]["code"] == "unknown_type"
            say(ws, type="count")
            assert heard(ws)["type"] == "total"


def test_a_path_that_matched_nothing(programs: Programs) -> None:
    """Channels raises, which answers 500; here 400 and what is wrong, or 403."""
    path = "/ws/chat/no-such-room"
    with pytest.raises(InvalidStatus) as refused:
        connect(programs[BEFORE], path, "ada")
    assert refused.value.response.status_code == 500

    with pytest.raises(InvalidStatus) as refused:
        connect(programs[AFTER], path, "ada")
    assert refused.value.response.status_code == 400
    assert list(json.loads(refused.value.response.body)["errors"]) == ["room"]
    with pytest.raises(InvalidStatus) as refused:
        connect(programs[AFTER], "/elsewhere")
    assert refused.value.response.status_code == 403


def test_both_beside_each_other(programs: Programs) -> None:
    """What has moved and what has not are served, and a view publishes to both."""
    server = programs[SIDE_BY_SIDE]
    with (
        connect(server, "/ws/chat/tea", "ada") as old,
        connect(server, "/v2/chat/tea", "bob") as new,
        connect(server, "/ws/search") as search,
    ):
        for each in (old, new):
            say(each, type="count")
            assert heard(each) == {"type": "total", "lines": 0}
        post(server, "/announce/tea", "text=hello")
        assert heard(old) == heard(new) == said("system", "hello")

        say(old, type="say", text="from the old")
        assert heard(old) == said("ada", "from the old")
        say(new, type="say", text="from the new")
        assert heard(new) == said("bob", "from the new")
        say(search, word="from")
        assert heard(search) == ["from the old", "from the new"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_synchronous_consumers_shared_a_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two handlers that wait for each other: with Channels the second never begins."""
    monkeypatch.setattr("channels.db.close_old_connections", lambda: None)
    layer = InMemoryChannelLayer()
    monkeypatch.setitem(channel_layers.backends, "default", layer)
    together = threading.Barrier(2)

    def meet() -> str:
        try:
            together.wait(0.2 if channels else PATIENCE)
        except threading.BrokenBarrierError:
            return "alone"
        return "together"

    class Before(SyncConsumer):  # type: ignore[misc]  # Channels has no types
        def websocket_connect(self, message: Any) -> None:
            self.send({"type": "websocket.accept"})

        def websocket_receive(self, message: Any) -> None:
            self.send({"type": "websocket.send", "text": meet()})

        def websocket_disconnect(self, message: Any) -> None:
            raise StopConsumer

    class After(WebSocketConsumer):
        @receives(thread=True)
        def on_receive(self, message: str) -> None:
            anyio.from_thread.run(self.send, meet())

    for app, channels in (
        (Before.as_asgi(), True),
        (App([WebSocketRoute("/", After)]), False),
    ):
        async with (
            TestClient(app) as client,
            client.connect("/") as one,
            client.connect("/") as other,
        ):
            await one.send("")
            await other.send("")
            met = [await each.receive() for each in (one, other)]
            assert met == ["alone" if channels else "together"] * 2
        together.reset()
