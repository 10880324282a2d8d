"""`consumers connect`, as a user has it: in a terminal, and in a pipe."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner

from consumers import App, Groups, Limits, WebSocketConsumer, WebSocketRoute
from consumers.cli import main
from consumers_tests.client.js_app import Talk, rooms
from consumers_tests.proxy import Proxy
from consumers_tests.server.live import KINDS, PATIENCE, ROOT, Server, in_thread
from consumers_tests.valkey import free_port

_NO_URL = "a URL must be ws:// or wss:// with a host"
_WRONG = '{"errors":{"times":"Expected `int`, got `str`"}}'


class Text(WebSocketConsumer):
    async def on_receive(self, message: str) -> None:
        if message == "leave":
            await self.close(4000, "as you wish")
        elif message == "bytes":
            await self.send_bytes(b"\x00\xff")
        else:
            await self.send(f"You said: {message}\x1b")


class Greeter(WebSocketConsumer):
    async def on_connect(self, times: int = 1) -> None:
        for _ in range(times):
            await self.send("hello")
        await self.close()


class Locked(WebSocketConsumer):
    async def on_connect(self) -> None:
        shown = self.headers.get("authorization"), self.headers.get("x-shop")
        if shown != ("Bearer key", "7"):
            await self.close(4401, "who are you?")

    async def on_receive(self, message: list[int]) -> None:
        await self.send(message)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Serve what the tests talk to."""
    table = [
        WebSocketRoute("/talk", Talk, limits=Limits(disconnect_timeout=0.5)),
        WebSocketRoute("/text", Text),
        WebSocketRoute("/greet", Greeter),
        WebSocketRoute("/locked", Locked),
    ]
    app = App(table, groups=Groups("memory://", [rooms]))
    with in_thread(app, KINDS["sansio"]) as server:
        yield server


def command(port: int, path: str, *options: str) -> list[str]:
    url = f"ws://127.0.0.1:{port}{path}"
    return [sys.executable, "-m", "consumers", "connect", url, *options]


def piped(
    server: Server, path: str, lines: str, *options: str
) -> subprocess.CompletedProcess[str]:
    """Run the command with these lines."""
    return subprocess.run(
        command(server.port, path, *options),
        input=lines,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=2 * PATIENCE,
        check=False,
    )


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_pipe_gets_each_answer_as_a_line_of_json(
    server: Server, backend: str
) -> None:
    """Replies, items, errors, pushes and publications come out; it ends by itself."""
    room = f"pipe-{backend}"
    done = piped(
        server,
        "/talk",
        '{"type": "echo", "text": "hé"}\n\n'
        '/request {"type": "echo", "text": "r"}\n'
        '/stream {"type": "count", "to": 2}\n'
        '{"type": "fail", "code": "mine"}\n'
        '/send {"type": "push", "text": "p"}\n'
        '/send {"type": "unheard of"}\n'
        f"/subscribe room.{room}\n"
        f'{{"type": "say", "room": "{room}", "text": "s"}}',
        "--backend",
        backend,
        "--wait",
        "0.3",
    )

    found = [json.loads(line) for line in done.stdout.splitlines()]
    position = next(each["position"] for each in found if "position" in str(each))
    expected = [
        "hé",
        "r",
        0,
        1,
        {"error": {"code": "mine", "detail": {"asked": "mine"}}},
        {"type": "said", "text": "p"},
        {
            "type": "publication",
            "group": f"room.{room}",
            "position": position,
            "message": {"type": "said", "text": "s"},
        },
    ]
    assert all(each in found for each in expected)
    assert any("unknown_type" in str(each) for each in found)
    assert '"type":"snapshot"' in done.stdout
    assert done.stderr.splitlines()[0] == "-- connected"
    assert done.stderr.splitlines()[-1] == "-- closed (1000)"
    assert done.returncode == 0


def test_plain_messages(server: Server) -> None:
    """Without the protocol lines go as they are; what comes is JSON, or becomes it."""
    done = piped(server, "/text", "hello\nbytes", "--plain")

    assert done.stdout.splitlines() == ['"You said: hello\\u001b"', '"AP8="']
    assert done.stderr.splitlines() == [
        "-- connected, with plain messages",
        "-- closed (1000)",
    ]
    assert done.returncode == 0


@pytest.mark.parametrize("option", ["--plain", "--wait=inf"])
def test_closing_with_a_code(server: Server, option: str) -> None:
    """What the user closes with is told, and is no failure."""
    done = piped(server, "/text", "/help\n/close 4001 enough\nmore", option)

    assert "/close [CODE [REASON]]" in done.stderr
    assert done.stderr.splitlines()[-1] == "-- closed (4001 enough)"
    assert done.returncode == 0


def test_a_server_that_closes(server: Server) -> None:
    """Its code and reason are told, and the exit code is 1."""
    done = piped(server, "/text", "leave\n", "--plain", "--wait", "inf")

    assert done.stderr.splitlines()[-1] == "-- closed (4000 as you wish)"
    assert done.returncode == 1


def test_credentials_and_headers(server: Server) -> None:
    """A token and headers are shown; without them this server closes."""
    options = ("--token", "key", "--header", "X-Shop: 7")
    assert piped(server, "/locked", "[1]\n", *options).stdout.splitlines()[0] == "[1]"

    refused = piped(server, "/locked", "[1]\n")

    assert "closed (4401 who are you?)" in refused.stderr
    assert refused.returncode == 1


def reading(lines: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    """Run the command in this process, with a file as its pipe; return its code."""
    with lines.open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        with pytest.raises(SystemExit) as ended:
            main(["connect", *arguments])
        for thread in threading.enumerate():
            if thread.name.endswith("(_read)"):  # it may still read what is closed here
                thread.join(PATIENCE)
    return ended.value.code


def test_a_pipe_without_a_line_shows_what_comes(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing was asked, so that the server ends it, or a time without news."""
    url = f"ws://127.0.0.1:{server.port}/greet?times=2"
    code = reading(Path(os.devnull), monkeypatch, url, "--wait", "60")

    assert capsys.readouterr().out.splitlines() == ['"hello"', '"hello"']
    assert code == 0


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--wait=inf", f"closed (4400) {_WRONG}"),
        ("--plain", f"error: the handshake was refused with status 400: {_WRONG!r}"),
    ],
)
def test_a_refusal_tells_why(
    server: Server,
    option: str,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By the protocol, and by the body of an answer in HTTP."""
    url = f"ws://127.0.0.1:{server.port}/greet?times=x"
    code = reading(Path(os.devnull), monkeypatch, url, option)

    assert capsys.readouterr().err.splitlines()[-1].removeprefix("-- ") == told
    assert code == 1


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{nonsense", "a message in JSON was expected"),
        ("/nonsense", "a command was expected, got '/nonsense'"),
        ("/cancel", "a request that is not answered was expected"),
        ("/unsubscribe g", "a subscription was expected, got 'g'"),
        ("/subscribe", "a group that is not shown yet was expected, got ''"),
        ("/subscribe g later", "expected a position such as '17.k3jx', got 'later'"),
        ("/close soon", "a close code was expected, got 'soon'"),
    ],
)
def test_a_wrong_line_ends_a_pipe(
    server: Server,
    line: str,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is the caller's mistake: one line on stderr, and exit code 2."""
    lines = tmp_path / "lines"
    lines.write_text(f"{line}\n")

    code = reading(lines, monkeypatch, f"ws://127.0.0.1:{server.port}/talk")

    assert capsys.readouterr().err.splitlines()[-1].startswith(f"error: {told}")
    assert code == 2


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("http://x/",), 2, f"{_NO_URL}, got 'http://x/'; write 'ws://x/'\n"),
        (("https://x/y",), 2, f"{_NO_URL}, got 'https://x/y'; write 'wss://x/y'\n"),
        (("x:80/y",), 2, f"{_NO_URL}, got 'x:80/y'; write 'ws://x:80/y'\n"),
        (("ws://x/", "--header", "x"), 2, "a header such as 'X-Shop: 7' was expected"),
        ((f"ws://127.0.0.1:{free_port()}/",), 1, "can't reach 127.0.0.1:"),
    ],
)
def test_what_is_wrong_is_one_line(
    arguments: tuple[str, ...], code: int, told: str
) -> None:
    """The caller's mistakes have another exit code than a server that is away."""
    result = CliRunner().invoke(main, ["connect", *arguments])

    assert result.exit_code == code
    assert result.stderr.startswith(f"error: {told}")
    assert result.stderr.count("\n") == 1


class Terminal:
    """The command in a terminal of its own."""

    def __init__(self, port: int, path: str, home: Path, *options: str) -> None:
        self._screen, inside = pty.openpty()
        self.process = subprocess.Popen(
            command(port, path, *options),
            stdin=inside,
            stdout=inside,
            stderr=inside,
            cwd=ROOT,
            env={**os.environ, "XDG_STATE_HOME": str(home), "TERM": "xterm"},
            start_new_session=True,
            # The child runs no other code: threads of this process do not matter.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
        )
        os.close(inside)
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self._screen, text.encode())

    def until(self, pattern: str) -> str:
        """Read the screen until this shows; return all before it, without colours."""
        end = time.monotonic() + PATIENCE
        while (match := re.search(pattern, self.seen)) is None:
            ready = select.select([self._screen], [], [], end - time.monotonic())[0]
            assert ready, f"{pattern!r} was not shown: {self.seen!r}"
            try:
                data = os.read(self._screen, 65_536).decode()
            except OSError:  # how a terminal ends
                raise AssertionError(
                    f"{pattern!r} was not shown: {self.seen!r}"
                ) from None
            self.seen += re.sub(r"\x1b\[[0-9;]*m", "", data)
        before, self.seen = self.seen[: match.end()], self.seen[match.end() :]
        return before

    def end(self) -> int:
        """Wait for the command's end; return its exit code."""
        try:
            code = self.process.wait(PATIENCE)
            with suppress(OSError):  # how a terminal ends
                while data := os.read(self._screen, 65_536):
                    self.seen += data.decode()
            return code
        finally:
            self.process.kill()
            os.close(self._screen)


def test_a_terminal(server: Server, tmp_path: Path) -> None:
    """What comes is shown above the line that is typed; the line survives it."""
    with Proxy(server.port) as proxy:
        it = Terminal(proxy.port, "/talk", tmp_path)
        it.until("-- connected")
        it.type('{"type": "echo", "text": "hi"}\n')
        it.until(r'#1 <  "hi"')
        it.type("/subscribe room.tty\n")
        it.until(r'room\.tty <  {"effects":0}')
        it.type('/request {"type": "say", "room": "tty", "text": "yo"}\n')
        it.until(r'room\.tty 1\.\S+ <  {"type":"said","text":"yo"}')
        it.type('{"type": "count", "to": 2, "pause": true}\n')
        it.until("#3 <  0")
        it.type("/cancel 3\n")
        it.until("-- #3 is cancelled\r\n(.|\n)*> ")
        it.type("half a li")
        it.until("half a li")
        proxy.cut()
        it.until(r"-- lost the connection \(1006.*\); reconnecting in 0\.\d s\r\n")
        it.until(r"> half a li")
        it.until(r"-- subscribed to room\.tty; nothing was missed\r\n.*> half a li")
        it.type("ne\n")
        it.until("-- a message in JSON was expected, got 'half a line'")
        it.type("/unsubscribe room.tty\n/help\n")
        it.until(r"-- unsubscribed from room\.tty")
        # Between two lines the terminal would take the key itself.
        it.until(r"/send JSON(.|\n)*show this\r\n(.|\n)*> ")
        it.type("\x04")
        it.until(r"-- closed \(1000\)")
        assert it.end() == 0

    assert (
        "/subscribe room.tty"
        in (tmp_path / "consumers" / "connect_history").read_text().splitlines()
    )


def test_history_and_ctrl_c(server: Server, tmp_path: Path) -> None:
    """The arrow brings back lines of the last time; Ctrl+C leaves the terminal tidy."""
    history = tmp_path / "consumers" / "connect_history"
    history.parent.mkdir()
    history.write_text('{"type": "echo", "text": "again"}\n')
    it = Terminal(server.port, "/talk", tmp_path, "--backend", "trio")
    it.until("-- connected")
    it.type("\x1b[A\n")
    it.until('#1 <  "again"')
    it.type("\x03")
    assert it.end() == 0, it.seen


def test_it_ends_with_its_reader(server: Server) -> None:
    """`… | consumers connect … | head` prints no traceback."""
    lines = '{"type": "echo", "text": "a"}\n' * 200
    piece = " ".join(command(server.port, "/talk"))
    done = subprocess.run(
        f"{piece} | head -n 1",
        input=lines,
        shell=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=2 * PATIENCE,
        check=False,
    )

    assert done.stdout == '"a"\n'
    assert "Traceback" not in done.stderr
