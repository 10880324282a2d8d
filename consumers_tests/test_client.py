"""The Python client against real servers, over links that break."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import anyio
import pytest
from anyio import create_task_group, fail_after, to_thread

from consumers.client import Client, Closed, ConnectionLost, Reconnect, connect
from consumers.errors import MessageError
from consumers.runtime.answered import Answered
from consumers_tests.client.js_app import (
    Answer,
    Ask,
    Question,
    Said,
    Say,
    Talk,
    make_app,
    rooms,
)
from consumers_tests.proxy import Proxy
from consumers_tests.server.live import KINDS, Kind, Server, in_thread

CYCLES = int(os.environ.get("CYCLES", "4"))
"""How often a link breaks in the test of that; more of them in a longer run."""
FAULTS = ("cut", "stall", "mute", "refuse")
"""What a `Proxy` can do to a link."""

QUICK = Reconnect(min=0.01, max=0.1)


@pytest.fixture(params=["own", "trio"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """Run a test on each server."""
    return KINDS[request.param]


@pytest.fixture
def server(kind: Kind) -> Iterator[Server]:
    """Serve the application that the JavaScript client is tested with, too."""
    Talk.effects.clear()
    Talk.stopped.clear()
    with in_thread(make_app(), kind) as server:
        yield server


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    """Stand between the server and its clients."""
    with Proxy(server.port) as proxy:
        yield proxy


def client(of: Server | Proxy, path: str = "/talk", **settings: Any) -> Client:
    """Return a client of a server, or of the proxy before it."""
    return connect(
        f"ws://127.0.0.1:{of.port}{path}",
        **{"token": "ann", "reconnect": QUICK, **settings},
    )


@pytest.mark.parametrize("codec", ["json", "msgpack"])
async def test_a_conversation(server: Server, codec: Any) -> None:
    """Requests, streams, pushes, errors, publications and questions, typed."""
    with fail_after(10):
        async with client(server, codec=codec, messages=Said) as ann:
            echo = {"type": "echo", "text": "hé"}
            assert await ann.request(echo, returns=str) == "hé"
            async with ann.stream(Ask(3), returns=int) as numbers:
                assert [number async for number in numbers] == [0, 1, 2]
            async with ann.stream(Ask(9, "stopped", pause=True)) as numbers:
                assert await anext(numbers) == 0
            while await ann.request({"type": "stopped", "name": "stopped"}) == 0:
                await anyio.lowlevel.checkpoint()
            await ann.send({"type": "push", "text": "pushed"})
            assert await ann.receive() == Said("pushed")
            with pytest.raises(MessageError) as caught:
                await ann.request({"type": "fail", "code": "mine"})
            assert (caught.value.code, caught.value.detail) == (
                "mine",
                {"asked": "mine"},
            )

            async def answer(question: Question) -> Answer:
                await anyio.lowlevel.checkpoint()
                return Answer(f"{question.text} 42")

            assert await ann.request({"type": "quiz"}) == "unknown_type"
            ann.answer(Question, answer)
            assert await ann.request({"type": "quiz"}) == "6 times 7? 42"

            async with ann.subscribe(rooms("a"), type=Said) as subscription:
                assert subscription.snapshot == {"effects": 0}
                assert await ann.request(Say("a", "one"), returns=int) == 1
                publication = await anext(subscription)
                assert publication.message == Said("one")
                since = publication.position
                await ann.request({"type": "leave", "room": "a"})
                with pytest.raises(MessageError):
                    await anext(subscription)
            await ann.request(Say("a", "two"))
            async with ann.subscribe("room.a", since=since) as untyped:
                assert untyped.recovered
                assert (await anext(untyped)).message["text"] == "two"
            with pytest.raises(MessageError, match="not_allowed"):
                async with ann.subscribe(rooms("closed")):
                    raise AssertionError
        assert ann.state.name == "closed"


async def test_refused_handshakes(server: Server) -> None:
    """What a server refuses for good is told with its reason, and not tried again."""
    with fail_after(10):
        async with client(server, "/forbidden") as ann:
            with pytest.raises(Closed) as caught:
                await ann.ready()
            assert caught.value.code == 4403
        async with client(server, "/number?number=x") as ann:
            with pytest.raises(Closed) as caught:
                await ann.ready()
            assert caught.value.code == 4400
            assert list(caught.value.detail["errors"]) == ["number"]
        async with client(server, "/nowhere") as ann:
            with pytest.raises(Closed) as caught:
                await ann.ready()
            assert caught.value.code == 4404


async def test_tokens(server: Server) -> None:
    """A refused token is replaced once, and one that ends is in time."""
    tokens, last = iter(["nobody", "ann:4", "ann:1000"]), anyio.Event()

    async def fetch() -> str:
        await anyio.lowlevel.checkpoint()
        token = next(tokens)
        if token == "ann:1000":
            last.set()
        return token

    with fail_after(20):
        async with client(server, token=fetch) as ann:
            assert await ann.request({"type": "token"}) == "ann:4"
            first = ann.connection
            await last.wait()
            while await ann.request({"type": "token"}) == "ann:4":
                await anyio.lowlevel.checkpoint()
            assert await ann.request({"type": "token"}) == "ann:1000"
            assert ann.connection == first
        async with client(server, token="nobody") as ann:
            with pytest.raises(Closed, match="4401"):
                await ann.ready()


async def test_an_unhandled_exception_reconnects(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """The sender of what crashed is told, and is soon connected again."""
    with fail_after(10), caplog.at_level(logging.CRITICAL):
        async with client(server) as ann:
            await ann.ready()
            first = ann.connection
            with pytest.raises(MessageError, match="internal"):
                await ann.request({"type": "crash"})
            echo = {"type": "echo", "text": "back"}
            while ann.connection == first:
                await anyio.lowlevel.checkpoint()
            assert await ann.request(echo) == "back"


async def test_a_stalled_link_is_noticed(proxy: Proxy) -> None:
    """Where nothing comes any more the client goes another way, and misses nothing."""
    with fail_after(10):
        async with (
            client(proxy, "/restless") as ann,
            ann.subscribe(rooms("s"), type=Said) as subscription,
        ):
            states = ann.states()
            assert (await anext(states)).name == "live"
            await to_thread.run_sync(proxy.stall)
            async with create_task_group() as tasks:
                tasks.start_soon(lambda: ann.request(Say("s", "late")))
                assert (await anext(states)).reason == "the server has fallen silent"
                await to_thread.run_sync(proxy.resume)
            assert (await anext(subscription)).message == Said("late")
    assert Talk.effects["s"] == 1


async def break_links(proxy: Proxy, chance: random.Random) -> None:
    """Break links in all ways in turns, at random moments, and mend them."""
    ways: list[str] = []
    for _ in range(CYCLES):
        ways = ways or chance.sample(FAULTS, len(FAULTS))
        await anyio.sleep(chance.uniform(0.0, 0.1))
        await to_thread.run_sync(getattr(proxy, ways.pop()))
        # Some last until heartbeats tell of it.
        await anyio.sleep(1.5 if chance.random() < 0.1 else chance.uniform(0.02, 0.25))
        if chance.random() < 0.5:  # what was held is lost with its connection
            await to_thread.run_sync(proxy.cut)
        await to_thread.run_sync(proxy.resume)


@pytest.mark.parametrize("codec", ["json", "msgpack"])
async def test_nothing_is_lost_or_done_twice(proxy: Proxy, codec: Any) -> None:
    """Whatever happens to links, all is done once, and seen once and in order."""
    chance = random.Random(CYCLES)
    said: list[str] = []
    seen: list[str] = []
    answers: dict[str, int] = {}
    whole = 0
    over = anyio.Event()
    with fail_after(30 + 2 * CYCLES):
        async with (
            client(proxy, "/restless", codec=codec, deadline=60.0, offline=1000) as ann,
            ann.subscribe(rooms("r"), type=Said) as subscription,
            create_task_group() as tasks,
        ):

            async def say(text: str) -> None:
                answers[text] = await ann.request(Say("r", text), returns=int)

            async def count() -> None:
                nonlocal whole
                while not over.is_set():
                    with suppress(ConnectionLost):
                        async with ann.stream(Ask(2)) as items:
                            assert [item async for item in items] == [0, 1]
                        whole += 1
                    await anyio.sleep(0.05)

            async def read() -> None:
                async for publication in subscription:
                    seen.append(publication.message.text)
                    if seen[-1] == "over":
                        break

            async def talk() -> None:
                async with create_task_group() as sayings:
                    while not over.is_set():
                        for _ in range(chance.randint(1, 3)):  # at the same time
                            said.append(str(len(said)))
                            sayings.start_soon(say, said[-1])
                            await anyio.lowlevel.checkpoint()
                        await anyio.sleep(chance.uniform(0.0, 0.1))
                said.append("over")
                await say("over")

            for task in (count, read, talk):
                tasks.start_soon(task)
            await break_links(proxy, random.Random(CYCLES))
            over.set()
    assert seen == said
    assert answers == {text: number for number, text in enumerate(said, 1)}
    assert Talk.effects["r"] == len(said)
    assert whole > 0


async def test_without_kept_answers_it_is_done_twice(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that forgets what it answered does again what is sent again."""
    find = Answered.find

    async def forget(answered: Answered, key: str) -> None:
        await find(answered, key)

    monkeypatch.setattr(Answered, "find", forget)
    with fail_after(10):
        async with client(proxy) as ann, create_task_group() as tasks:
            await ann.ready()
            await to_thread.run_sync(proxy.mute)
            tasks.start_soon(ann.request, Say("f", "again"))
            while Talk.effects["f"] == 0:
                await anyio.lowlevel.checkpoint()
            await to_thread.run_sync(proxy.cut)
            await to_thread.run_sync(proxy.resume)
    assert Talk.effects["f"] == 2


async def test_what_is_sent_offline_takes_effect_once(
    server: Server, proxy: Proxy
) -> None:
    """Requests and messages wait while the server is away, and come in order."""
    with fail_after(10):
        async with client(proxy) as ann:
            await ann.ready()
            await to_thread.run_sync(proxy.refuse)
            async for state in ann.states():
                if state.name in ("waiting", "offline"):
                    break
            async with create_task_group() as tasks:
                for number in range(5):
                    tasks.start_soon(lambda: ann.request(Say("o", "x")))
                    await ann.send({"type": "push", "text": str(number)})
                await anyio.wait_all_tasks_blocked()
                await to_thread.run_sync(proxy.resume)
            pushed = [(await ann.receive(Said)).text for _ in range(5)]
    assert pushed == ["0", "1", "2", "3", "4"]
    assert Talk.effects["o"] == 5
