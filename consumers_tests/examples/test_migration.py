"""Programs with FastAPI and Bocadillo, and what became of them.

Where a guide says that both do the same, one script of a client's steps gets the same
from both; where it tells a difference, a test shows both sides. Those with Channels are
in `test_migration_channels.py`.
"""

import json
import re
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, WebSocket
from migrating import (
    after_bocadillo_class,
    after_bocadillo_function,
    after_fastapi,
    before_fastapi,
)
from starlette.types import ASGIApp
from websockets.sync.client import ClientConnection

from consumers import WebSocketConsumer, WebSocketRoute
from consumers.testing import ClientConnection as Ws
from consumers.testing import Refused, TestClient
from consumers_tests.server.live import PATIENCE, ROOT, Process
from consumers_tests.valkey import Valkey

EXAMPLES = ROOT / "docs" / "examples"
GUIDES = ROOT / "docs" / "howto"


def said(name: str, text: str) -> dict[str, str]:
    return {"type": "said", "name": name, "text": text}


def say(ws: ClientConnection, **message: Any) -> None:
    ws.send(json.dumps(message))


def heard(ws: ClientConnection) -> Any:
    return json.loads(ws.recv(PATIENCE))


# -- FastAPI --------------------------------------------------------------------------

both = pytest.mark.parametrize(
    "app", [before_fastapi.app, after_fastapi.app], ids=["before", "after"]
)


async def here(ws: Ws) -> Any:
    """Ask how many are in the room."""
    await ws.send_json({"type": "who"})
    return await ws.receive_json()


@both
async def test_the_rooms_of_fastapi(app: ASGIApp) -> None:
    """A token, rooms, who is here, a route that publishes, leaving: all the same."""
    async with TestClient(app) as client:
        with pytest.raises(Refused) as refused:
            async with client.connect("/rooms/tea?token=wrong"):
                raise AssertionError
        assert refused.value.status == 403

        async with (
            client.connect("/rooms/tea?token=t-ada") as ada,
            client.connect("/rooms/milk?token=t-ada") as elsewhere,
        ):
            async with client.connect("/rooms/tea?token=t-bob") as bob:
                await client.settle()
                assert await here(ada) == {"type": "here", "count": 2}
                await ada.send_json({"type": "say", "text": "hello"})
                for each in (ada, bob):
                    assert await each.receive_json() == said("ada", "hello")
                response = await client.request("POST", "/rooms/tea?text=ready")
                assert response.status == 204
                for each in (ada, bob):
                    assert await each.receive_json() == said("system", "ready")
            assert await ada.receive_json() == said("bob", "has left")
            assert await here(ada) == {"type": "here", "count": 1}
            await elsewhere.receive_nothing()
    before_fastapi.manager.rooms.clear()


@pytest.mark.parametrize("wrong", ['{"type": "say"}', "no JSON"])
async def test_a_message_that_raises_broke_the_room(wrong: str) -> None:
    """The list keeps who is gone, and who sends to it is the next to fall."""
    app = before_fastapi.app
    async with (
        TestClient(app, raise_server_exceptions=False) as client,
        client.connect("/rooms/tea?token=t-bob") as bob,
        client.connect("/rooms/tea?token=t-ada") as ada,
    ):
        await client.settle()
        await bob.send(wrong)
        await client.settle()
        assert await here(ada) == {"type": "here", "count": 2}
        await ada.send_json({"type": "say", "text": "hello"})
        assert (await ada.receive_close()).code == 1006
    before_fastapi.manager.rooms.clear()


@pytest.mark.parametrize("wrong", ['{"type": "say"}', "no JSON"])
async def test_here_it_breaks_nothing(wrong: str) -> None:
    """Its sender is told, or closed with 1007; everybody else goes on."""
    async with (
        TestClient(after_fastapi.app) as client,
        client.connect("/rooms/tea?token=t-bob") as bob,
        client.connect("/rooms/tea?token=t-ada") as ada,
    ):
        await bob.send(wrong)
        if wrong == "no JSON":
            assert (await bob.receive_close()).code == 1007
            assert await ada.receive_json() == said("bob", "has left")
        else:
            assert (await bob.receive_json())["error"]["code"] == "invalid_message"
        await ada.send_json({"type": "say", "text": "hello"})
        assert await ada.receive_json() == said("ada", "hello")


async def test_an_unknown_type_was_passed_over() -> None:
    """Before nothing comes back; after the client is told, with the id that it gave."""
    song = {"type": "sing", "id": 7}
    async with (
        TestClient(before_fastapi.app) as client,
        client.connect("/rooms/tea?token=t-bob") as bob,
    ):
        await bob.send_json(song)
        await bob.receive_nothing()
    async with (
        TestClient(after_fastapi.app) as client,
        client.connect("/rooms/tea?token=t-bob") as bob,
    ):
        await bob.send_json(song)
        answer = await bob.receive_json()
        assert (answer["id"], answer["error"]["code"]) == (7, "unknown_type")
        await bob.send_json({"type": "who", "id": 8})
        answer = {"id": 8, "reply": {"type": "here", "count": 1}}
        assert await bob.receive_json() == answer
    before_fastapi.manager.rooms.clear()


@both
async def test_a_slow_client_kept_everybody_waiting(app: ASGIApp) -> None:
    """A list is sent to one by one; a group waits for nobody."""
    async with (
        TestClient(app) as client,
        client.connect("/rooms/tea?token=t-bob") as bob,
        client.connect("/rooms/tea?token=t-ada") as ada,
    ):
        await client.settle()
        await bob.stall(0)
        await ada.send_json({"type": "say", "text": "hello"})
        if app is before_fastapi.app:
            await ada.receive_nothing()
            await bob.resume()
        assert await ada.receive_json() == said("ada", "hello")
        if app is after_fastapi.app:
            await bob.resume()
        assert await bob.receive_json() == said("ada", "hello")
        await client.settle()
    before_fastapi.manager.rooms.clear()


async def test_a_wrong_parameter_is_named() -> None:
    """FastAPI answers 403 without a word; here it is 400 and what is wrong."""

    async def page_of(page: int) -> int:
        return page

    class Pages(WebSocketConsumer):
        async def on_connect(self, page: Annotated[int, Depends(page_of)]) -> None: ...

    app = FastAPI()

    @app.websocket("/before")
    async def before(ws: WebSocket, page: Annotated[int, Depends(page_of)]) -> None: ...

    app.router.routes.append(WebSocketRoute("/after", Pages))
    async with TestClient(app) as client:
        for path, status in (("/before", 403), ("/after", 400)):
            with pytest.raises(Refused) as refused:
                async with client.connect(f"{path}?page=x"):
                    raise AssertionError
            assert refused.value.status == status
        assert list(refused.value.json()["errors"]) == ["query.page"]


@pytest.mark.parametrize("name", ["before_fastapi", "after_fastapi"])
def test_several_workers(
    name: str, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list ends at its process; groups with a broker reach every one."""
    monkeypatch.setenv("REDIS_URL", valkey.url)
    options = ("--app-dir", str(EXAMPLES), "--port", "0", "--no-access-log")
    command = (*options, f"migrating.{name}:app")
    with Process(*command) as one, Process(*command) as other:
        servers = one.server(), other.server()
        with (
            servers[0].connect("/rooms/tea?token=t-ada") as ada,
            servers[1].connect("/rooms/tea?token=t-bob") as bob,
        ):
            counts = []
            for ws in (ada, bob):
                say(ws, type="who")  # who is answered has joined
                counts.append(heard(ws)["count"])
            say(ada, type="say", text="hello")
            assert heard(ada) == said("ada", "hello")
            if name == "before_fastapi":
                assert counts == [1, 1]
                say(bob, type="who")
                assert heard(bob) == {"type": "here", "count": 1}
            else:
                assert counts[1] == 2
                assert heard(bob) == said("ada", "hello")


# -- Bocadillo ------------------------------------------------------------------------


def printed(page: str) -> list[str]:
    """Return the views of Bocadillo that a page shows as they were."""
    blocks = re.findall(r"```python\n(.*?)```", (GUIDES / page).read_text(), re.DOTALL)
    return [block for block in blocks if "from bocadillo import" in block]


async def test_views_run_as_they_were_written() -> None:
    """Those of the page need another import, and not a word more."""
    [view] = printed("migrate-from-bocadillo.md")
    names: dict[str, Any] = {}
    exec(view.replace("from bocadillo import", "from consumers import"), names)

    async with (
        TestClient(names["app"]) as client,
        client.connect("/chat/tea", headers={"user": "ada"}) as ada,
        client.connect("/chat/tea?anonymous=true") as somebody,
    ):
        for ws, name in ((ada, "ada"), (somebody, "Anonymous")):
            await ws.send_json("hello")
            assert await ws.receive_json() == {"user": name, "message": "hello"}


@pytest.mark.parametrize(
    "app",
    [after_bocadillo_function.app, after_bocadillo_class.app],
    ids=["function", "class"],
)
async def test_the_chat_of_bocadillo(app: ASGIApp) -> None:
    """A function with a provider and a class with a group say the same to clients."""
    message = {"type": "message", "user": "ada", "text": "hello"}
    other = {"type": "message", "user": "bob", "text": "hi"}

    async with TestClient(app) as client:
        async with client.connect("/chat") as ada:
            await ada.send_json(message)
            assert await ada.receive_json() == message
            async with client.connect("/chat") as bob:
                assert await bob.receive_json() == message
                response = await client.request("GET", "/clients")
                assert response.json() == {"count": 2}
                await bob.send_json(other)
                for each in (ada, bob):
                    assert await each.receive_json() == other
        await client.settle()
        response = await client.request("GET", "/clients")
        assert response.json() == {"count": 0}
