"""Where the inspector is, and who may look."""

import re
from typing import Any

import pytest
from starlette.routing import Route

from consumers import App, ConfigurationError, Identity
from consumers.inspector import Inspector
from consumers.testing import Closed, TestClient
from consumers_tests.inspector.lobby import is_staff, lobby, looking


def test_somebody_has_to_say_who_may_look() -> None:
    """Without a rule an application does not start, unless it is being debugged."""
    with pytest.raises(ConfigurationError, match="who may look, got no 'allow'"):
        lobby(inspector=Inspector("/inspector"))

    lobby(inspector=Inspector("/inspector"), debug=True)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"path": "inspector"}, "the path of a page"),
        ({"path": "/inspector/"}, "the path of a page"),
        ({"path": "/{inspector}"}, "the path of a page"),
        ({"path": "/i", "allow": True}, "a function of the connection, got True"),
        ({"path": "/i", "every": 0}, "every must be 0.05 to 3600 seconds, got 0"),
        ({"path": "/i", "every": True}, "every must be"),
    ],
)
def test_mistakes_are_told_at_start_up(arguments: dict[str, Any], text: str) -> None:
    """An argument that can't work is an error when the inspector is made."""
    with pytest.raises(ConfigurationError, match=text):
        Inspector(**arguments)


@pytest.mark.parametrize("path", ["/inspector", "/inspector/live"])
def test_its_paths_are_its_own(path: str) -> None:
    """No route of the table may have its path, or that of its socket."""

    async def page(request: object) -> None: ...

    with pytest.raises(ConfigurationError, match="a path that no route has"):
        App([Route(path, page)], inspector=Inspector("/inspector", allow=is_staff))


async def test_the_page_knows_nothing() -> None:
    """It is one document, with a policy that lets nothing in from elsewhere."""
    async with TestClient(lobby()) as client:
        page = await client.request("GET", "/inspector")
        again = await client.request("GET", "/inspector")

    policy = page.headers["content-security-policy"]
    (nonce,) = set(re.findall(r"nonce-([\w-]+)", policy))
    assert page.status == 200
    assert page.text.count(f'nonce="{nonce}"') == page.text.count("<script") + 1
    assert nonce not in again.text
    assert "<!-- " not in page.text
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert page.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("identity", [None, Identity("eve", data="guest")])
async def test_others_are_refused(identity: Identity | None) -> None:
    """Whom the rule does not allow is told nothing; a browser learns it from 4403."""
    async with TestClient(lobby()) as client:
        path = "/inspector/live"
        async with client.connect(path, identity=identity) as socket:
            with pytest.raises(Closed):
                await socket.receive()
            assert socket.closed is not None
            assert socket.closed.code == 4403


async def test_a_rule_may_wait() -> None:
    """The rule may be ``async``, and asks after ``authenticate``."""

    async def rule(connection: Any) -> bool:
        return is_staff(connection)

    async def authenticate(connection: Any) -> Identity:
        return Identity("ada", data="staff")

    app = lobby(inspector=Inspector("/i", allow=rule), authenticate=authenticate)
    async with TestClient(app) as client, client.connect("/i/live") as socket:
        assert (await socket.receive_json())["connections"] == 0


async def test_no_page_of_another_origin() -> None:
    """Its socket takes its own page alone, also where the application takes any."""
    async with (
        TestClient(lobby(origins="*")) as client,
        client.connect(
            "/inspector/live",
            headers={"origin": "https://evil.example"},
            identity=Identity("ada", data="staff"),
        ) as socket,
    ):
        with pytest.raises(Closed, match="4403"):
            await socket.receive()


async def test_an_application_without_one_has_no_tap() -> None:
    """What is not asked for is not there: neither page nor anything around sockets."""
    app = lobby(inspector=None)
    async with TestClient(app) as client:
        assert (await client.request("GET", "/inspector")).status == 404
        async with client.connect("/echo") as ws:
            await ws.send("hello")
            assert await ws.receive() == "hello"
    assert app._bare
    assert not lobby()._bare


async def test_it_is_told_how_often() -> None:
    """An overview comes every so many seconds."""
    inspector = Inspector("/inspector", allow=is_staff, every=3)
    async with (
        TestClient(lobby(inspector=inspector)) as client,
        looking(client) as window,
    ):
        await client.advance(3)
        assert (await window.socket.receive_json())["type"] == "overview"
