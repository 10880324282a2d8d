"""What the inspector's page is told, and what it may do."""

from typing import Any

import anyio
import pytest

from consumers import App, Identity
from consumers.over_limit import exceeded
from consumers.testing import Refused, TestClient
from consumers_tests.inspector.lobby import lobby, looking, room


@pytest.fixture
def app() -> App:
    return lobby()


@pytest.fixture
def client(app: App) -> TestClient:
    return TestClient(app, raise_server_exceptions=False)


async def test_who_is_connected(client: TestClient) -> None:
    """Each connection is told with who it is, what it does and since when."""
    ben = Identity("ben", name="Ben")
    async with (
        client,
        client.connect("/room/red", identity=ben),
        client.connect("/echo?token=hidden") as echo,
        looking(client) as page,
    ):
        await echo.send("hello")
        await echo.receive()
        now = await page.overview()

    echoing, other = now["rows"]
    assert now["connections"] == now["found"] == 2
    assert now["opened"] == 3
    assert (now["received"], now["sent"]) == (1, 1)
    assert echoing["consumer"] == "Echo"
    assert echoing["path"] == "/echo"
    assert echoing["user"] == ""
    assert (echoing["received"], echoing["sent"]) == (1, 1)
    assert other["user"] == "Ben"
    assert other["groups"] == ["room.red"]
    assert other["address"] == "testclient:50000"
    assert now["at"] - other["since"] < 60
    assert now["looked_at"] is None


async def test_groups(client: TestClient) -> None:
    """Groups are told with their members, the largest first, and who is there."""
    ben, eve = Identity("ben"), Identity("eve")
    async with (
        client,
        client.connect("/room/red", identity=ben),
        client.connect("/room/blue", identity=ben),
        client.connect("/room/blue", identity=eve),
        looking(client) as page,
    ):
        now = await page.overview()
        who = await page.ask("who", group="room.blue")
        none = await page.ask("who", group="nothing-of-the-kind")

    assert now["groups"] == 2
    assert now["group_rows"] == [
        {"name": "room.blue", "members": 2, "presence": True},
        {"name": "room.red", "members": 1, "presence": True},
    ]
    assert (who["users"], who["more"]) == (["ben", "eve"], 0)
    assert none["code"] == "no_presence"


async def test_how_connections_ended(client: TestClient) -> None:
    """Ends are counted by code, refusals by status; each is told once."""
    async with client, looking(client) as page:
        async with client.connect("/echo"):
            pass
        with pytest.raises(Exception, match="418"):
            async with client.connect("/refusing"):
                pass
        now = await page.overview()
        later = await page.overview()

    assert now["codes"] == {"1000": 1, "refused 418": 1}
    assert [(end["consumer"], end["code"], end["by"]) for end in now["ends"]] == [
        ("Echo", 1000, "client"),
        ("Refusing", 418, "refused"),
    ]
    assert later["ends"] == []
    assert later["codes"] == now["codes"]


async def test_refusals_and_exceeded_limits(client: TestClient) -> None:
    """Both are told as they are counted, by the reason and by the limit."""
    async with client, looking(client) as page:
        before = await page.overview()
        with pytest.raises(Refused):
            async with client.connect("/nowhere"):
                raise AssertionError
        exceeded("groups", "on purpose")
        now = await page.overview()

    for counts, name in (("refused", "not_found"), ("over_limit", "groups")):
        assert now[counts][name] == before[counts].get(name, 0) + 1


async def test_errors(client: TestClient) -> None:
    """An exception is told, and if asked for its traceback, without the secret."""
    async with client, looking(client) as page:
        async with client.connect("/echo") as echo:
            await echo.send("fail")
            await client.settle()
        (failure,) = (await page.overview())["failures"]
        explained = await page.ask("explain", failure=failure["number"])

    assert failure["consumer"] == "Echo"
    assert failure["error"].startswith("ZeroDivisionError: token=•••")
    assert "in on_receive" in explained["traceback"]
    assert "hidden-away" not in str(failure) + str(explained)


async def test_frames_while_somebody_looks(client: TestClient) -> None:
    """Frames are told from the look on, both ways, with secrets taken out."""
    async with client, client.connect("/echo") as echo, looking(client) as page:
        await echo.send("before")
        await page.ask("look", connection=await page.id_of("Echo"))
        await echo.send('{"password": "hidden", "n": 1}')
        now = await page.overview()
        assert (await page.overview())["frames"] == []
        away = await page.ask("look", connection=None)
        await echo.send("after")
        after = await page.overview()

    shown = '{"password":"•••","n":1}'
    assert [(frame["sent"], frame["text"]) for frame in now["frames"]] == [
        (False, shown),
        (True, shown),
    ]
    assert now["frames"][0]["size"] == 30
    assert away["looked_at"] is None
    assert after["frames"] == []


async def test_nobody_looks_any_more(client: TestClient) -> None:
    """When the page is closed nothing is kept; while another looks, it is."""
    async with client, client.connect("/echo") as echo, looking(client) as one:
        name = await one.id_of("Echo")
        async with looking(client) as two:
            await two.ask("look", connection=name)
            await one.ask("look", connection=name)
        await client.settle()
        await echo.send("hello")
        assert len((await one.overview())["frames"]) == 2
        await one.ask("look", connection=None)
        await echo.send("hello")
        assert (await one.ask("look", connection=name))["frames"] == []


async def test_publications_are_seen(app: App, client: TestClient) -> None:
    """What a group gets is among the frames of its members."""
    async with client, client.connect("/room/red"), looking(client) as page:
        await page.ask("look", connection=await page.id_of("Member"))
        await app.groups.publish(room("red"), "hello all")
        (frame,) = (await page.overview())["frames"]

    assert frame["text"] == "hello all"
    assert frame["sent"]


@pytest.mark.parametrize("active", [False, True])
async def test_disconnect(client: TestClient, active: bool) -> None:
    """One connection is closed, whether or not it has ever said something."""
    async with client, client.connect("/echo") as echo, looking(client) as page:
        if active:
            await echo.send("hello")
            await echo.receive()
        name = await page.id_of("Echo")
        await page.socket.send({"type": "disconnect", "connection": name, "id": 7})
        with anyio.fail_after(5):
            while echo.closed is None:
                await client.settle()
        assert (echo.closed.code, echo.closed.reason) == (
            1008,
            "disconnected by an operator",
        )


@pytest.mark.parametrize(
    ("kind", "fields", "code"),
    [
        ("look", {"connection": "nobody"}, "gone"),
        ("disconnect", {"connection": "nobody"}, "gone"),
        ("disconnect", {"connection": "nobody", "code": 1006}, "bad_code"),
        ("explain", {"failure": 7}, "gone"),
    ],
)
async def test_mistakes_are_answered(
    client: TestClient, kind: str, fields: dict[str, Any], code: str
) -> None:
    """Who asks for what is not there gets an error, and stays connected."""
    async with client, looking(client) as page:
        assert (await page.ask(kind, **fields))["code"] == code
        assert (await page.overview())["connections"] == 0


@pytest.mark.parametrize("text", ["echo", "BEN", "/ECHO", "testclient"])
async def test_find(client: TestClient, text: str) -> None:
    """Connections are found by class, user, path and address; others are counted."""
    ben = Identity("ben")
    async with (
        client,
        client.connect("/echo", identity=ben),
        client.connect("/room/red"),
        looking(client) as page,
    ):
        now = await page.ask("find", text=text)

    assert now["connections"] == 2
    assert now["rows"][-1]["consumer"] == "Echo"
    assert now["found"] == (2 if text == "testclient" else 1)


async def test_a_slow_reader_comes_first(app: App, client: TestClient) -> None:
    """For whom something waits is told first, with how much that is."""
    async with (
        client,
        client.connect("/room/red") as slow,
        client.connect("/room/blue"),
        looking(client) as page,
    ):
        await slow.stall(buffer=0)
        for _ in range(3):
            await app.groups.publish(room("red"), "x" * 100)
        now = await page.overview()
        await slow.resume()

    first, second = now["rows"]
    assert (now["slow"], now["waiting"]) == (1, first["waiting"])
    assert first["path"] == "/room/red"
    assert first["waiting"] >= 2
    assert first["waiting_bytes"] >= 200
    assert second["waiting"] == 0
