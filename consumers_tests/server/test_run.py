"""`run`: the last call of a program."""

from __future__ import annotations

import inspect
import os
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import anyio
import pytest

import consumers.server
from consumers.errors import ConfigurationError
from consumers.server import Options, run
from consumers_tests.server.apps import Probe, failing_start
from consumers_tests.server.live import PATIENCE, Process, handshake
from consumers_tests.server.project import Project

BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])
STALLED = ("--unacknowledged-timeout", "off", "--log-level", "info")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.chdir(tmp_path)
    made = Project(tmp_path)
    with made.undone():
        yield made


class Brief(Probe):
    """An application that ends its own server once that has started."""

    async def live(self, scope: Any, receive: Any, send: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await super().live(scope, receive, send)


@BACKENDS
def test_it_returns_after_a_signal(
    backend: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The call says where it serves, and returns after SIGTERM and the shutdown."""
    app = Brief()

    run(app, backend=backend, port=0)

    assert app.lifespan == ["lifespan.startup", "lifespan.shutdown"]
    said = capsys.readouterr().err
    assert "serving on http://127.0.0.1:" in said
    assert "stopping; the same signal again skips the waiting" in said


@BACKENDS
def test_it_returns_after_a_signal_while_it_starts(backend: Any) -> None:
    """A start-up that hangs is cancelled by SIGTERM; it can clean up."""
    ended = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await anyio.sleep(PATIENCE)
            ended.append("waited")
        finally:
            ended.append("cleaned up")

    run(app, backend=backend, port=0)

    assert ended == ["cleaned up"]


def test_an_application_is_imported(project: Project) -> None:
    """An import string is imported from the current directory, after the env file."""
    project.write(".env", "CONSUMERS_SAMPLE=from the file")
    project.write(
        "brief.py",
        """
        import os
        from consumers_tests.server.test_run import Brief
        app = {"from the file": Brief()}[os.environ["CONSUMERS_SAMPLE"]]
        """,
    )

    run("brief:app", port=0, env_file=".env")

    del os.environ["CONSUMERS_SAMPLE"]


def test_its_arguments_are_the_options() -> None:
    """Each option is a keyword argument of `run`, and nothing else is."""
    parameters = inspect.signature(run).parameters

    assert list(parameters) == ["app", *(field.name for field in fields(Options))]
    assert parameters["port"].default == 8000
    with pytest.raises(TypeError, match="ports"):
        run(Probe(), ports=1)  # type: ignore[call-arg]


def test_the_package_exports_two_names() -> None:
    """The servers' package exports what users call, and nothing else."""
    assert consumers.server.__all__ == ["Options", "run"]


@pytest.mark.parametrize("setting", [{"workers": 2}, {"reload": True}])
def test_processes_need_an_import_string(setting: dict[str, Any]) -> None:
    """An application that is an object can't be sent to another process."""
    with pytest.raises(ConfigurationError, match="got Probe; write 'module:app'"):
        run(Probe(), port=0, **setting)


def test_what_cannot_start_is_an_error() -> None:
    """A wrong setting, TLS file or start-up is raised before anything is served."""
    for app, settings, expected in (
        (Probe(), {"port": -1}, "port must be between"),
        (Probe(), {"ssl_certfile": "none.pem"}, "ssl_certfile must be a file"),
        (failing_start, {}, "start-up failed: no database"),
    ):
        with pytest.raises(ConfigurationError, match=expected):
            run(app, **{"port": 0, **settings})  # type: ignore[arg-type]


@BACKENDS
def test_a_stalled_client_does_not_hold_up_the_exit(backend: str) -> None:
    """After SIGTERM the process exits with 0 within its limit, whoever stalls."""
    with (
        Process(
            "consumers_tests.server.apps:app",
            *(
                "--port",
                "0",
                "--backend",
                backend,
                "--graceful-timeout",
                "0.5",
                *STALLED,
            ),
        ) as process,
        process.server().raw(handshake("/flood")) as stalled,
    ):
        assert stalled.recv(12) == b"HTTP/1.1 101"
        begun = time.monotonic()
        process.terminate()

        assert process.wait(PATIENCE) == 0
        assert time.monotonic() - begun < 5


@BACKENDS
def test_the_second_signal_hurries(backend: str) -> None:
    """After the same signal twice nobody is waited for; the lifespan still ends."""
    with (
        Process(
            "consumers_tests.server.apps:app",
            *(
                "--port",
                "0",
                "--backend",
                backend,
                "--graceful-timeout",
                "60",
                *STALLED,
            ),
        ) as process,
        process.server().raw(handshake("/flood")) as stalled,
    ):
        assert stalled.recv(12) == b"HTTP/1.1 101"
        process.terminate()
        process.read_until("stopping")
        process.terminate()

        assert process.wait(PATIENCE) == 0


def test_what_does_not_end_does_not_hold_up_the_exit(project: Project) -> None:
    """On trio a call that shields itself for ever is told, and left with the process.

    The lifespan has ended before, and the socket's file is gone.
    """
    project.write(
        "stuck.py",
        """
        import sys
        import anyio
        from consumers.server import on_trio

        on_trio.CLEAN_UP_TIMEOUT = 0.1

        async def app(scope, receive, send):
            await receive()
            if scope["type"] == "lifespan":
                await send({"type": "lifespan.startup.complete"})
                await receive()
                print("shut down", file=sys.stderr)
                await send({"type": "lifespan.shutdown.complete"})
                return
            await send({"type": "websocket.accept"})
            with anyio.CancelScope(shield=True):
                await anyio.sleep_forever()
        """,
    )
    arguments = ("--backend", "trio", "--uds", "it.sock", "--graceful-timeout", "0")
    with Process("stuck:app", *arguments, cwd=project.path) as process:
        process.read_until("serving")
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            client.connect("it.sock")
            client.sendall(handshake())
            assert client.recv(12) == b"HTTP/1.1 101"
            process.terminate()

            process.read_until("1 calls of the application go on")
            process.read_until("shut down")
            process.read_until("the process ends without them")
            assert process.wait(PATIENCE) == 1

    assert not (project.path / "it.sock").exists()
