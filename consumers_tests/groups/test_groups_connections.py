"""Groups and connections: publications arrive, and memberships end."""

import pytest
from anyio import to_thread

from consumers import App, Identity, WebSocketConsumer, WebSocketRoute
from consumers.codecs import CODECS
from consumers.groups import Group, Groups
from consumers.testing import Closed, TestClient
from consumers_tests.groups.members import Recorder, join

LOBBY = Group("lobby", presence=True)


class Room(WebSocketConsumer):
    """Ends as the client says."""

    async def on_connect(self) -> None:
        await self.join(LOBBY)
        if self.query_params.get("fail") == "connect":
            raise ValueError("on_connect")

    async def on_receive(self, message: str) -> None:
        match message:
            case "close":
                await self.close(4000)
            case "raise":
                raise ValueError("on_receive")
            case "leave":
                await self.leave(LOBBY, "never.joined")
            case _:
                await self.publish(LOBBY, message)

    async def on_disconnect(self, code: int) -> None:
        await self.publish("ends", f"{code} {await self.groups.count(LOBBY)}")


@pytest.mark.parametrize(
    "how", ["client", "drop", "close", "raise", "kick", "?connect"]
)
async def test_a_membership_ends_with_its_connection(how: str) -> None:
    """However a connection ends, its memberships end before on_disconnect runs."""
    groups = Groups()
    ends = Recorder(CODECS["text"])
    app = App([WebSocketRoute("/", Room)], groups=groups)
    async with TestClient(app, raise_server_exceptions=False) as client:
        await join(groups, "ends", ends)
        path = "/?fail=connect" if how == "?connect" else "/"
        async with client.connect(path, identity=Identity("42")) as ws:
            if how == "client":
                await ws.close()
            elif how == "drop":
                await ws.drop()
            elif how == "kick":
                assert await groups.disconnect(user="42", code=4001) == 1
            elif not how.startswith("?"):
                await ws.send(how)
            if how not in ("client", "drop"):
                await ws.receive_close()
            await client.settle()

            assert await groups.count(LOBBY) == 0
            assert await groups.disconnect(user="42") == 0
            assert [text.split()[1] for text in ends.texts] == ["0"]


async def test_connections_are_published_to_from_everywhere() -> None:
    """From a hook, the test, by user and from a thread, in the order of the calls."""
    groups = Groups()
    app = App([WebSocketRoute("/", Room)], groups=groups)
    async with (
        TestClient(app) as client,
        client.connect("/", identity=Identity("ada")) as one,
        client.connect("/") as two,
    ):
        await two.send("from a hook")
        assert [await one.receive(), await two.receive()] == ["from a hook"] * 2
        await groups.publish(LOBBY, "from outside")
        await groups.publish_to_user("ada", "to a user")
        await to_thread.run_sync(groups.sync.publish, LOBBY, "from a thread")

        assert [await one.receive() for _ in range(3)] == [
            "from outside",
            "to a user",
            "from a thread",
        ]
        assert [await two.receive() for _ in range(2)] == [
            "from outside",
            "from a thread",
        ]
        assert (await groups.presence(LOBBY))[0].key == "ada"
        await two.send("leave")
        await client.settle()
        assert await groups.count(LOBBY) == 1


async def test_a_user_is_disconnected_on_every_connection() -> None:
    """Each of a user's connections is closed with the code, and nobody else's."""
    groups = Groups()
    app = App([WebSocketRoute("/", Room)], groups=groups)
    async with (
        TestClient(app) as client,
        client.connect("/", identity=Identity("ada")) as one,
        client.connect("/", identity=Identity("ada")) as two,
        client.connect("/", identity=Identity("grace")) as other,
    ):
        assert await groups.disconnect(user="ada", code=4003, reason="out") == 2
        for ws in (one, two):
            with pytest.raises(Closed):
                await ws.receive()
            assert ws.closed is not None
            assert (ws.closed.code, ws.closed.reason) == (4003, "out")
        await other.send("still here")
        assert await other.receive() == "still here"
