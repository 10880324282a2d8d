"""Programs beside the server: what each publishes reaches the clients."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from anyio import fail_after, to_thread
from websockets.sync.client import ClientConnection

from consumers import Group, Groups, History
from consumers_tests.server.live import PATIENCE, ROOT, Process, Server
from consumers_tests.valkey import Valkey

VIEW = """
import sys
from pkgutil import resolve_name
from django.conf import settings
from django.test import RequestFactory

settings.configure()
request = RequestFactory().post("/prices/TEA/", {"value": "5"})
answer = resolve_name(sys.argv[1])(request, "TEA")
print(answer.status_code, answer.content.decode())
"""


@pytest.fixture
def server(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Server, Valkey]]:
    """Serve the store, over a broker that its other programs find as well."""
    monkeypatch.setenv("GROUPS_URL", valkey.url)
    folder = str(ROOT / "docs" / "examples")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT), folder)))
    options = ("--app-dir", "docs/examples", "--port", "0", "--no-access-log")
    with Process(*options, "store.sockets:app") as process:
        yield process.server(), valkey


def module(path: str) -> tuple[str, str]:
    """Return what runs a file of the examples as a module."""
    return ("-m", path.removesuffix(".py").replace("/", "."))


def run(*arguments: str) -> str:
    """Run a Python program to its end; return what it prints."""
    command = (sys.executable, *arguments)
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=2 * PATIENCE, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@contextmanager
def running(*arguments: str) -> Iterator[None]:
    """Run a Python program beside the block."""
    with subprocess.Popen((sys.executable, *arguments)) as program:
        try:
            yield
            assert program.poll() is None, "it has ended by itself"
        finally:
            program.kill()


def heard(client: ClientConnection) -> Any:
    return json.loads(client.recv(PATIENCE))


def price(symbol: str, value: float) -> dict[str, object]:
    return {"type": "price", "symbol": symbol, "value": value}


def test_every_kind_of_program_publishes(server: tuple[Server, Valkey]) -> None:
    """A script, a view of Django, the command line: each reaches who watches."""
    serving, broker = server
    with serving.connect("/prices/TEA") as tea, serving.connect("/prices/MILK") as milk:
        run(*module("store/importing.py"), "TEA=3.5", "MILK=1.2")
        assert heard(tea) == price("TEA", 3.5)
        assert heard(milk) == price("MILK", 1.2)

        answer = run("-c", VIEW, "store.views:set_price")
        assert answer.startswith('200 {"position": "2.')
        assert heard(tea) == price("TEA", 5)

        message = json.dumps(price("TEA", 6))
        run("-m", "consumers", "publish", broker.url, "prices.TEA", message)
        assert heard(tea) == price("TEA", 6)


def test_a_program_that_listens(server: tuple[Server, Valkey]) -> None:
    """It gets the latest publication first, then each, and publishes by itself."""
    serving, _ = server
    run(*module("store/importing.py"), "TEA=5")
    program = module("store/alarms.py")
    with serving.connect("/alarms") as alarms, running(*program, "TEA", "4"):
        assert heard(alarms) == {"symbol": "TEA", "value": 5}
        run(*module("store/importing.py"), "TEA=3", "TEA=9")
        assert heard(alarms) == {"symbol": "TEA", "value": 9}


async def test_a_user_needs_no_more_rights_than_documented() -> None:
    """With the ACL that the how-to shows everything works that groups do."""
    page = (ROOT / "docs" / "howto" / "deploy.md").read_text()
    [rights] = re.findall(r"^user store on >\S+ (.*)$", page, re.MULTILINE)
    room = Group("room", history=History(), presence=True)
    with Valkey(password="of the default user") as broker, fail_after(PATIENCE):
        broker.command("ACL", "SETUSER", "store", "on", ">pw", *rights.split())
        url = f"redis://store:pw@127.0.0.1:{broker.port}"
        async with Groups(url, [room]) as groups, groups.subscribe(room) as heard:
            first = await groups.publish(room, "one", idempotency_key="1")
            assert (await anext(heard)).message == "one"
            assert (await groups.history(room)).position == first
            assert await groups.count(room) == 0
            second = await to_thread.run_sync(groups.sync.publish, room, "two")
            assert (await anext(heard)).position == second
            assert (await groups.health()).ok

        groups.sync.close()
        assert broker.command("ACL", "LOG") == []
