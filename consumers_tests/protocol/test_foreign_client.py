"""A client that is made of the specification alone gets along."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import pytest

from consumers.testing import LiveServer
from consumers_tests.proxy import Proxy

from .application import make_app
from .foreign_client import Client
from .foreign_frames import Ended, Frame, Frames
from .holding import ForeignPeer, OverSockets
from .vectors import CONVERSATIONS, Conversation

FRAMED = [
    conversation
    for conversation in CONVERSATIONS
    if "json" in conversation.codecs
    and not conversation.lasts
    and not any(step.plain for step in conversation.steps)
]
channels = count()


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Serve the application of the page, on uvicorn and on trio."""
    with LiveServer(make_app(), backend=request.param, access_log=False) as server:
        yield server.url("")


@pytest.fixture
def channel() -> str:
    """Return a channel where nothing was said yet."""
    return f"resume-{next(channels)}"


class Impatient:
    """Stands for `time.sleep`: does not wait, and not for ever."""

    def __init__(self, attempts: int = 100) -> None:
        self.attempts = attempts

    def __call__(self, seconds: float) -> None:
        self.attempts -= 1
        assert self.attempts > 0, "it comes back again and again"


def hear(client: Client, number: int) -> None:
    """Deal with what comes until so many messages were heard."""
    until = time.monotonic() + 10
    while len(client.heard) < number:
        assert time.monotonic() < until, client.heard
        client.pump()


class Unlucky(Client):
    """Its connection breaks each time it has sent something for the first time."""

    def __init__(self, url: str) -> None:
        super().__init__(url, sleep=Impatient())
        self.keys: set[str] = set()
        self.breaks = 0

    def send(self, frame: Any) -> None:
        """Send a frame; then break."""
        super().send(frame)
        if "key" in frame and frame["key"] not in self.keys:
            self.keys.add(frame["key"])
            self.breaks += 1
            self.drop()


def say(channel: str, text: object) -> Frame:
    """Return a message of the application's."""
    return {"type": "say", "channel": channel, "text": str(text)}


def said(client: Client) -> list[str]:
    """Return the texts that a client has heard."""
    return [frame["message"]["text"] for frame in client.heard]


@pytest.mark.parametrize("conversation", FRAMED, ids=str)
def test_conversation(url: str, conversation: Conversation) -> None:
    """It holds the conversations of the page."""
    OverSockets(lambda: ForeignPeer(url)).hold(conversation)


def test_resumes(url: str, channel: str) -> None:
    """Through broken connections it says and hears all, once and in order."""
    listener, speaker = (
        Client(f"{url}/chat", Impatient()),
        Unlucky(f"{url}/chat"),
    )
    listener.subscribe(f"chat.{channel}")

    for number in range(1, 21):
        if number % 3 == 0:
            listener.drop()
        answer = speaker.call(say(channel, number))
        assert answer["message"] == {"type": "receipt", "number": number}
        if number % 3 == 1:
            listener.drop()
        hear(listener, number)

    assert speaker.breaks == 20
    assert said(listener) == [str(number) for number in range(1, 21)]
    assert [frame["recovered"] for frame in listener.entered] == [False] + [True] * 13


def test_the_latest_are_not_taken_for_doubles(url: str, channel: str) -> None:
    """What is sent where nothing was recovered comes after the position told."""
    client = Client(f"{url}/chat", Impatient())
    for text in "abc":
        client.call(say(channel, text))

    client.subscribe(f"log.{channel}")
    client.call(say(channel, "d"))
    hear(client, 3)

    assert said(client) == ["b", "c", "d"]


def test_refusals(url: str) -> None:
    """One that is final ends it; after another it waits as long as it was told."""
    with pytest.raises(Ended, match="4401"):
        Client(f"{url}/chat?token=nobody", Impatient()).ensure()

    class Waited(Exception):
        pass

    def sleep(seconds: float) -> None:
        raise Waited(seconds)

    with pytest.raises(Waited) as caught:
        Client(f"{url}/full", sleep).ensure()
    assert 60 <= caught.value.args[0] <= 60.5


def test_it_waits_before_it_comes_back(url: str) -> None:
    """Not before the first attempt; then for up to twice as long each time."""
    waits: list[float] = []
    client = Client(f"{url}/chat", waits.append)

    for _ in range(4):
        client.ensure()
        client.drop()

    assert len(waits) == 3
    assert all(0 <= wait <= 0.5 * 2**n for n, wait in enumerate(waits))


# Time passes: minutes of the page in fractions of a second.


class Answering(Frames):
    """After its third pong it also says something."""

    pongs = 0

    def send(self, frame: Any) -> None:
        """Send a frame."""
        super().send(frame)
        self.pongs += frame["type"] == "pong"
        if frame["type"] == "pong" and self.pongs == 3:
            super().send({"type": "request", "id": 1, "message": say("attic", "hi")})


def test_it_stays_while_it_answers(url: str) -> None:
    """Each ping of the server has its pong, and the connection goes on."""
    client = Answering(f"{url}/patient")
    client.open()
    client.silence = [10.0]  # it asks nothing itself

    answer = client.receive()

    assert (client.pongs >= 3, answer["code"]) == (True, "not_allowed")
    client.drop()


def test_it_asks_where_nothing_comes(url: str) -> None:
    """A server without heartbeats may be silent for ever, and answers a ping."""
    client = Frames(f"{url}/calm")
    assert client.open()["heartbeat"] is None
    assert client.silence == [None]

    client.silence = [0.01, 10.0]

    assert client.receive() == {"type": "pong"}
    client.drop()


def test_it_ends_with_its_credential(url: str) -> None:
    """The server says that it need not return without a new one."""
    client = Client(f"{url}/chat?token=ann-for-a-moment", Impatient())

    with pytest.raises(Ended, match="4401"):
        hear(client, 1)

    assert (client.goodbye["code"], client.goodbye["reconnect"]) == (4401, False)


class Beating(Client):
    """Notes what it sends; while it is `mute`, that is nothing."""

    mute = False

    def __init__(self, url: str) -> None:
        super().__init__(url, sleep=Impatient())
        self.sent: list[str] = []

    def send(self, frame: Any) -> None:
        """Send a frame."""
        self.sent.append(frame["type"])
        if not self.mute:
            super().send(frame)


def lose(client: Client) -> None:
    """Deal with what comes until the connection is gone."""
    until = time.monotonic() + 10
    while client.connected:
        assert time.monotonic() < until
        client.pump()


def test_it_is_dropped_where_it_is_silent(url: str, channel: str) -> None:
    """The server says so, and what it missed is there when it is back."""
    client = Beating(f"{url}/strict")
    client.subscribe(f"chat.{channel}")

    client.mute, client.silence = True, [10.0]
    lose(client)
    assert client.goodbye == {"type": "goodbye", "code": 4408, "reconnect": True}
    client.mute = False
    Client(f"{url}/chat").call(say(channel, "missed"))
    hear(client, 1)

    assert said(client) == ["missed"]
    assert client.entered[-1]["recovered"]


def test_it_leaves_a_server_that_stalls(url: str, channel: str) -> None:
    """It asks, is not answered, comes back by another link, and misses nothing."""
    port = urlsplit(url).port
    assert port is not None
    with Proxy(port) as proxy:
        client = Beating(f"ws://127.0.0.1:{proxy.port}/strict")
        client.subscribe(f"chat.{channel}")

        proxy.stall()
        lose(client)
        assert (client.sent[-1], client.goodbye) == ("ping", {})
        Client(f"{url}/chat").call(say(channel, "missed"))
        proxy.cut()
        proxy.resume()
        hear(client, 1)
        client.drop()

    assert said(client) == ["missed"]
    assert client.entered[-1]["recovered"]
