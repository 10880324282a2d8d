"""Several processes on one address."""

from __future__ import annotations

import os
import pickle
import signal
import time
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidMessage

from consumers.server.options import Options
from consumers.server.processes import START_UP_FAILED, Worker
from consumers_tests.server.live import PATIENCE, Process, Server
from consumers_tests.server.project import Project

BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])

SAYS = """
async def app(scope, receive, send):
    assert scope["type"] == "websocket"
    await receive()
    await send({{"type": "websocket.accept"}})
    await send({{"type": "websocket.send", "text": "{word}"}})
    await receive()
"""


def first_message(server: Server, path: str = "/pid") -> str:
    """Return what the server says by itself; try again while it restarts."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with server.connect(path) as client:
                return str(client.recv(timeout=PATIENCE))
        except (OSError, ConnectionClosed, InvalidMessage, EOFError):
            if time.monotonic() > deadline:
                raise


def two_workers(server: Server) -> set[int]:
    """Connect until two workers have answered; return their process ids."""
    found: set[int] = set()
    deadline = time.monotonic() + 2 * PATIENCE
    while len(found) < 2:
        assert time.monotonic() < deadline, f"only {found} answered"
        found.add(int(first_message(server)))
    return found


@BACKENDS
def test_a_dead_worker_is_replaced(backend: str) -> None:
    """Two workers serve one port, one that is killed is replaced, SIGTERM ends all."""
    with Process(
        "consumers_tests.server.apps:app",
        *("--port", "0", "--backend", backend, "--workers", "2"),
    ) as process:
        server = process.server()
        pid = int(first_message(server))
        assert pid != process.popen.pid
        os.kill(pid, signal.SIGKILL)
        process.read_until(f"worker {pid} ended with exit code -9; another one")
        assert int(first_message(server)) != pid

        process.terminate()

        assert process.wait(PATIENCE) == 0


def test_workers_that_cannot_start_are_not_repeated(tmp_path: Path) -> None:
    """An application that can't be imported ends all workers, with exit code 2."""
    Project(tmp_path).write("broken.py", "1 / 0")
    arguments = ("broken:app", "--port", "0", "--workers", "2")

    with Process(*arguments, cwd=tmp_path) as process:
        process.read_until("error: module 'broken' must import without an error, got Z")
        process.read_until("error: the workers could not start; see above")

        assert process.wait(PATIENCE) == START_UP_FAILED


def test_a_worker_that_can_not_be_replaced_takes_nobody_along(tmp_path: Path) -> None:
    """While another worker serves, one that can't start is tried again."""
    away = tmp_path / "away"
    Project(tmp_path).write(
        "flaky.py",
        f"""
        from pathlib import Path

        from consumers_tests.server.apps import app as probe


        async def app(scope, receive, send):
            if scope["type"] == "lifespan" and Path({str(away)!r}).exists():
                await send({{"type": "lifespan.startup.failed"}})
            else:
                await probe(scope, receive, send)
        """,
    )
    arguments = ("flaky:app", "--port", "0", "--workers", "2")
    with Process(*arguments, cwd=tmp_path) as process:
        server = process.server()
        pid, other = two_workers(server)
        away.touch()
        os.kill(pid, signal.SIGKILL)
        process.read_until("ended with exit code 2; another one is started")
        assert int(first_message(server)) == other
        away.unlink()
        (replaced,) = two_workers(server) - {other}
        os.kill(other, signal.SIGKILL)
        process.read_until(f"worker {other} ended with exit code -9; another one")
        assert not two_workers(server) & {pid, other}
        assert replaced != pid

        process.terminate()

        assert process.wait(PATIENCE) == 0


def test_a_worker_ends_when_its_parent_is_killed() -> None:
    """Who has lost its parent stops as at SIGTERM, and leaves the address free."""
    with Process(
        "consumers_tests.server.apps:app", "--port", "0", "--reload"
    ) as process:
        server = process.server()
        pid = int(first_message(server))
        try:
            with server.connect("/echo") as client:
                process.popen.kill()
                with pytest.raises(ConnectionClosed) as closed:
                    client.recv(timeout=PATIENCE)
            process.popen.communicate(timeout=PATIENCE)  # until nobody can write
        except BaseException:
            os.kill(pid, signal.SIGKILL)
            raise

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012


@BACKENDS
def test_a_change_is_loaded(backend: str, tmp_path: Path) -> None:
    """With reload a changed file is served, also after one that could not load."""
    project = Project(tmp_path)
    project.write("words.py", SAYS.format(word="one"))
    arguments = ("words:app", "--port", "0", "--backend", backend, "--reload")

    with Process(*arguments, cwd=tmp_path) as process:
        server = process.server()
        assert first_message(server) == "one"
        project.write("words.py", "def broken(:")
        process.read_until("error: module 'words' must import without an error")
        project.write("words.py", SAYS.format(word="two"))
        process.read_until("Reloading")
        assert first_message(server) == "two"

        process.terminate()

        assert process.wait(PATIENCE) == 0


def test_a_worker_travels_by_pickle() -> None:
    """What a child process does is sent to it as a whole."""
    worker = Worker("echo:app", Options(backend="trio", reload_dirs=("a", "b")))

    assert pickle.loads(pickle.dumps(worker)) == worker


def test_a_worker_says_why_it_cannot_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A worker writes the reason on stderr and exits with 2."""
    with Project(tmp_path).undone(), pytest.raises(SystemExit) as caught:
        Worker("no_such_module:app", Options(app_dir=str(tmp_path)))()

    assert caught.value.code == START_UP_FAILED
    assert capsys.readouterr().err == (
        f"error: a module 'no_such_module' was expected in '{tmp_path}', got none\n"
    )
