"""The language model's answers in process, and in two processes over a broker."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest
from model import small
from model.app import PAGE, app
from websockets.sync.client import ClientConnection as SyncConnection

from consumers.testing import ClientConnection, TestClient
from consumers_tests.server.live import PATIENCE, Process, Server
from consumers_tests.valkey import Valkey

PROMPT = "How do I grow tomatoes on a balcony?"
WHOLE = [{"type": "prompt", "text": PROMPT}]
LINGER = 30
SPOKEN = "consumers.v1+json"


class Reader:
    """What a page does, without the page: it speaks `consumers.v1`."""

    def __init__(self, client: TestClient, ws: ClientConnection) -> None:
        self.client = client
        self.ws = ws
        self.position: str | None = None
        self._ids = count(1)

    async def say(self, **frame: Any) -> int:
        number = next(self._ids)
        await self.ws.send({"id": number, **frame})
        return number

    async def ask(self) -> int:
        message = {"type": "ask", "prompt": PROMPT}
        return await self.say(type="request", message=message)

    async def begin(self) -> str:
        """Begin a kept answer, and return its key."""
        message = {"type": "begin", "prompt": PROMPT}
        await self.say(type="request", message=message)
        key: str = (await self.next("reply"))["message"]["key"]
        return key

    async def read(self, key: str, position: str | None = None) -> dict[str, Any]:
        """Subscribe to an answer; return what the server says of it."""
        where = {} if position is None else {"position": position}
        await self.say(type="subscribe", group=f"answer.{key}", **where)
        return await self.next("subscribed")

    async def stop(self, key: str) -> None:
        await self.say(type="request", message={"type": "stop", "key": key})

    async def next(self, kind: str) -> dict[str, Any]:
        frame: dict[str, Any] = await self.ws.receive_json()
        assert frame["type"] == kind, frame
        return frame

    async def parts(self, most: int) -> list[dict[str, Any]]:
        """Read so many publications."""
        parts = []
        for _ in range(most):
            frame = await self.next("publication")
            self.position = frame["position"]
            parts.append(frame["message"])
        return parts

    async def items(self, most: int) -> list[dict[str, Any]]:
        """Read so many items of a stream."""
        return [(await self.next("item"))["message"] for _ in range(most)]


@pytest.fixture
async def client() -> AsyncIterator[TestClient]:
    async with TestClient(app) as client:
        yield client
        await client.advance(LINGER + 1)
        assert small.writing() == 0


@asynccontextmanager
async def opened(client: TestClient) -> AsyncIterator[Reader]:
    async with client.connect("/model", subprotocols=[SPOKEN]) as ws:
        reader = Reader(client, ws)
        await reader.next("welcome")
        yield reader


def tokens(begin: int = 0, end: int | None = None) -> list[dict[str, Any]]:
    """Return the messages of the answer's tokens."""
    texts = list(enumerate(small.tokens(PROMPT)))
    return [
        {"type": "token", "number": number, "text": text}
        for number, text in texts[begin:end]
    ]


def end(how: str) -> list[dict[str, Any]]:
    return [{"type": "end", "how": how}]


LENGTH = len(small.tokens(PROMPT))
SECONDS = (LENGTH + 1) * small.PAUSE
"""How long the model takes for the whole answer."""


# -- the model -----------------------------------------------------------------------


def test_a_prompt_has_always_the_same_answer() -> None:
    """Its tokens are the whole of it; another prompt has another one."""
    answer = small.answer(PROMPT)

    assert "".join(small.tokens(PROMPT)) == answer == small.answer(PROMPT)
    assert "tomatoes" in answer
    assert small.answer("?") != answer


# -- a reply -------------------------------------------------------------------------


async def test_a_reply_is_streamed(client: TestClient) -> None:
    """Each token comes when it is written, and the end is told."""
    async with opened(client) as page:
        await page.ask()
        await page.ws.receive_nothing()
        await client.advance(small.PAUSE)
        assert await page.items(1) == tokens(0, 1)
        await page.ws.receive_nothing()

        await client.advance(SECONDS)

        assert await page.items(LENGTH - 1) == tokens(1)
        await page.next("done")


async def test_a_cancelled_reply_is_written_no_further(client: TestClient) -> None:
    """The model stops where it is, and the connection goes on."""
    async with opened(client) as page:
        number = await page.ask()
        await client.advance(5 * small.PAUSE)
        await page.items(5)
        assert small.writing() == 1

        await page.ws.send({"type": "cancel", "id": number})

        assert (await page.next("error"))["code"] == "cancelled"
        assert small.writing() == 0
        await page.begin()


async def test_a_reply_ends_with_its_connection(client: TestClient) -> None:
    """Nobody would get the rest."""
    async with opened(client) as page:
        await page.ask()
        await client.advance(small.PAUSE)
        await page.items(1)

    assert small.writing() == 0


async def test_a_reply_keeps_nothing_waiting(client: TestClient) -> None:
    """Answers can be begun and stopped while others are streamed."""
    async with opened(client) as page:
        await page.ask()
        await page.ask()
        key = await page.begin()
        await page.stop(key)

        assert (await page.next("reply"))["message"] is None
        await client.advance(SECONDS)
        kinds = [(await page.ws.receive_json())["type"] for _ in range(2 * LENGTH + 2)]
        assert sorted(set(kinds)) == ["done", "item"]


# -- an answer that is kept ----------------------------------------------------------


async def test_whoever_has_the_key_reads_it_all(client: TestClient) -> None:
    """Two get the same, the second one from the start although it comes later."""
    async with opened(client) as first, opened(client) as second:
        key = await first.begin()
        await first.read(key)
        await client.advance(10 * small.PAUSE)
        await second.read(key)
        await client.advance(SECONDS)

        for page in (first, second):
            parts = await page.parts(LENGTH + 2)
            assert parts == WHOLE + tokens() + end("finished")
            await page.ws.receive_nothing()

    async with opened(client) as late:
        await late.read(key)
        assert await late.parts(LENGTH + 2) == WHOLE + tokens() + end("finished")
        await client.advance(SECONDS)
        await late.ws.receive_nothing()


async def test_who_returns_gets_the_rest(client: TestClient) -> None:
    """The model went on; no token is lost and none comes twice."""
    async with opened(client) as page:
        key = await page.begin()
        await page.read(key)
        await client.advance(10 * small.PAUSE)
        assert await page.parts(11) == WHOLE + tokens(0, 10)
        position = page.position

    await client.advance(10 * small.PAUSE)
    assert small.writing() == 1

    async with opened(client) as page:
        assert (await page.read(key, position))["recovered"]
        assert await page.parts(10) == tokens(10, 20)
        await client.advance(SECONDS)
        assert await page.parts(LENGTH - 19) == tokens(20) + end("finished")
        await page.ws.receive_nothing()


async def test_it_rests_while_nobody_reads(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After half a minute the model stops, and goes on there when somebody returns."""
    monkeypatch.setattr(small, "PAUSE", 4.0)
    async with opened(client) as page:
        key = await page.begin()
        await page.read(key)
        await client.advance(20)
        assert await page.parts(6) == WHOLE + tokens(0, 5)
        position = page.position

    await client.advance(10 * LINGER)
    assert small.writing() == 0

    async with opened(client) as page:
        assert (await page.read(key, position))["recovered"]
        await client.advance(20)
        meanwhile = LINGER // 4
        assert await page.parts(meanwhile + 5) == tokens(5, 5 + meanwhile + 5)
        await page.ws.receive_nothing()


async def test_it_can_be_stopped(client: TestClient) -> None:
    """The model stops where it is; all who read are told, and who comes later, too."""
    async with opened(client) as page, opened(client) as other:
        key = await page.begin()
        for each in (page, other):
            await each.read(key)
        await client.advance(10 * small.PAUSE)
        for each in (page, other):
            assert await each.parts(11) == WHOLE + tokens(0, 10)

        await other.stop(key)

        assert await page.parts(1) == end("stopped")
        assert await other.parts(1) == end("stopped")
        assert (await other.next("reply"))["message"] is None
        assert small.writing() == 0
        await other.stop(key)  # again: it is done already
        assert (await other.next("reply"))["message"] is None

    async with opened(client) as late:
        await late.read(key)
        await client.advance(SECONDS)
        assert await late.parts(12) == WHOLE + tokens(0, 10) + end("stopped")
        await late.ws.receive_nothing()


async def test_without_the_key_nothing_can_be_done(client: TestClient) -> None:
    """Who guesses one may neither read nor stop, and begins nothing."""
    async with opened(client) as page:
        guessed = "x" * 22
        await page.say(type="subscribe", group=f"answer.{guessed}")
        assert (await page.next("error"))["code"] == "not_allowed"
        await page.stop(guessed)
        assert (await page.next("error"))["code"] == "no_such_answer"
        assert small.writing() == 0


async def test_what_the_model_does_is_told(client: TestClient) -> None:
    """Who looks learns how many answers it writes, and each change of that."""
    async with opened(client) as page:
        await page.say(type="subscribe", group="work")
        assert (await page.next("subscribed"))["snapshot"]["writing"] == 0
        await client.advance(1)
        assert (await page.next("publication"))["message"]["writing"] == 0

        number = await page.ask()
        await client.advance(0.1)

        frames = [await page.ws.receive_json() for _ in range(3)]
        assert {"type": "work", "writing": 1} in [each["message"] for each in frames]
        await page.ws.send({"type": "cancel", "id": number})
        await page.next("error")
        await client.advance(0.1)
        assert (await page.next("publication"))["message"]["writing"] == 0


async def test_it_hangs_up_when_asked(client: TestClient) -> None:
    """A page that wants to see a break gets one, and is told when to come back."""
    async with opened(client) as page:
        await page.say(type="message", message={"type": "hang_up"})
        goodbye = await page.next("goodbye")

    assert (goodbye["code"], goodbye["reconnect"], goodbye["after"]) == (1012, True, 2)


async def test_the_page_is_served(client: TestClient) -> None:
    """Nothing of it comes from elsewhere, and nothing is parsed as HTML."""
    response = await client.request("GET", "/")
    policy = response.headers["content-security-policy"]

    assert response.status == 200
    assert "default-src 'none'" in policy
    assert "require-trusted-types-for 'script'" in policy
    for file in PAGE.iterdir():
        served = await client.request("GET", f"/static/{file.name}")
        assert served.body == file.read_bytes()
        assert b"https://" not in served.body


# -- two processes -------------------------------------------------------------------


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Process]]:
    """Start two servers over one Valkey."""
    with Valkey() as valkey:
        monkeypatch.setenv("GROUPS_URL", valkey.url)
        arguments = ("--app-dir", "docs/examples", "--port", "0", "model.app:app")
        with Process(*arguments) as first, Process(*arguments) as second:
            yield [first, second]


def connected(server: Server) -> SyncConnection:
    return server.connect("/model", subprotocols=[SPOKEN])


def told(page: SyncConnection, *kinds: str) -> dict[str, Any]:
    """Return the next frame of these types, whatever else comes."""
    while True:
        frame: dict[str, Any] = json.loads(page.recv(PATIENCE))
        if frame["type"] in kinds:
            return frame


def request(page: SyncConnection, **message: str) -> None:
    page.send(json.dumps({"type": "request", "id": 1, "message": message}))


def read(page: SyncConnection, key: str, most: int) -> list[dict[str, Any]]:
    """Subscribe to an answer, and read so many of its parts."""
    subscribe = {"type": "subscribe", "id": 2, "group": f"answer.{key}"}
    page.send(json.dumps(subscribe))
    return [told(page, "publication")["message"] for _ in range(most)]


def until_the_end(page: SyncConnection) -> list[dict[str, Any]]:
    """Read the parts of an answer up to its end."""
    parts = [told(page, "publication")["message"]]
    while parts[-1]["type"] != "end":
        parts.append(told(page, "publication")["message"])
    return parts


def test_two_processes_are_one_model(processes: list[Process]) -> None:
    """One stops what the other writes, and goes on where the other is killed.

    There is no gap then, and nothing comes twice.
    """
    servers = [process.server() for process in processes]
    with connected(servers[0]) as first, connected(servers[1]) as second:
        request(first, type="begin", prompt=PROMPT)
        stopped = told(first, "reply")["message"]["key"]
        parts = read(first, stopped, 6)  # so it is the first process that writes
        request(second, type="stop", key=stopped)
        parts += until_the_end(first)
        assert parts == WHOLE + tokens(0, len(parts) - 2) + end("stopped")

        request(first, type="begin", prompt=PROMPT)
        killed = told(first, "reply")["message"]["key"]
        read(first, killed, 6)
        parts = read(second, killed, 11)
        processes[0].popen.kill()
        parts += [told(second, "publication")["message"] for _ in range(10)]
        request(second, type="stop", key=killed)
        parts += until_the_end(second)

    assert parts == WHOLE + tokens(0, len(parts) - 2) + end("stopped")
