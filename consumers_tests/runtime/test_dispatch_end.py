"""Dispatch: what becomes of messages in lanes when a connection ends."""

import pytest

from consumers import receives
from consumers.testing import ServerStyle
from consumers_tests.doubles import both_servers, serving
from consumers_tests.gated import Ask, Say, ask, gated


@both_servers
@pytest.mark.parametrize("closer", ["lane", "main", "outside"])
async def test_after_a_close_nothing_that_waits_begins(
    closer: str, server: ServerStyle
) -> None:
    """Who closes runs on, others are cancelled or may finish, and that is all."""

    class Closing(gated()):  # type: ignore[misc]
        @receives(concurrency=2)
        async def ask(self, message: Ask) -> None:
            if message.text == "close":
                await self.answer("close")
                await self.close(4000)
            else:
                await self.answer(message.text)

        @receives
        async def say(self, message: Say) -> None:
            await self.close(4000)

    async with serving(Closing) as client, client.connect("/", server=server) as ws:
        for text in ("a", "close", "b", "c"):
            await ask(ws, text)
        await client.settle()
        if closer == "main":
            await ws.send({"type": "say", "text": ""})
        elif closer == "lane":
            Closing.gates["close"].set()
        else:
            Closing.instances[0].end(4000)
        await client.settle()
        Closing.gates["a"].set()
        Closing.gates["close"].set()
        assert (await ws.receive_close()).code == 4000

    begun = Closing.journal.started("begin")
    assert begun == ["begin a", "begin close"]
    assert len(Closing.journal.started("end")) == 2


@both_servers
async def test_after_an_exception_nothing_that_waits_begins(
    server: ServerStyle,
) -> None:
    """The end of the call that failed does not begin the next of its lane."""

    class Failing(gated()):  # type: ignore[misc]
        @receives(concurrency=1)
        async def ask(self, message: Ask) -> None:
            await self.answer(message.text)
            raise ValueError("a bug")

    async with (
        serving(Failing, quiet=True) as client,
        client.connect("/", server=server) as ws,
    ):
        for text in "abc":
            await ask(ws, text)
        await client.settle()
        Failing.gates["a"].set()
        answer = await ws.receive_json()
        assert answer == {"id": "a", "error": {"code": "internal"}}
        assert (await ws.receive_close()).code == 1011

    assert Failing.journal == ["begin a", "end a", 1011]


@both_servers
async def test_what_waits_when_the_client_leaves_is_handled(
    server: ServerStyle,
) -> None:
    """Within `finish_timeout`, as everything that came before it left."""
    consumer = gated(concurrency=1)

    async with serving(consumer) as client, client.connect("/", server=server) as ws:
        for text in "abc":
            await ask(ws, text)
        await client.settle()
        await ws.drop()
        await client.settle()
        for text in "abc":
            await consumer.journal.wait_for(f"begin {text}")
            consumer.gates[text].set()

    assert consumer.journal[:-1] == [
        f"{verb} {text}" for text in "abc" for verb in ("begin", "end")
    ]


async def test_a_malformed_message_lets_lanes_finish() -> None:
    """What came before it is handled; then the connection is closed for it."""
    consumer = gated(concurrency=1)

    async with serving(consumer) as client, client.connect("/") as ws:
        await ask(ws, "a")
        await ask(ws, "b")
        await ws.send("{")
        await client.settle()
        for text in "ab":
            await consumer.journal.wait_for(f"begin {text}")
            consumer.gates[text].set()
            assert await ws.receive_json() == {"id": text, "reply": text}
        assert (await ws.receive_close()).code == 1007


async def test_a_method_named_like_a_frame_has_a_lane_of_its_own() -> None:
    """Clients of `consumers.v1` renew their credential beside a method `refresh`."""

    class Named(gated()):  # type: ignore[misc]
        @receives("refresh", concurrency=1)
        async def refresh(self, text: str) -> str:
            result: str = await self.answer(text)
            return result

    async with (
        serving(Named) as client,
        client.connect("/", subprotocols=["consumers.v1+json"]) as ws,
    ):
        assert (await ws.receive_json())["type"] == "welcome"
        message = {"type": "refresh", "text": "a"}
        await ws.send({"type": "request", "id": 1, "message": message})
        await client.settle()
        await ws.send({"type": "refresh", "id": 2, "token": "t"})
        answer = await ws.receive_json()
        assert (answer["type"], answer["id"]) == ("reply", 2)
        Named.gates["a"].set()
        assert (await ws.receive_json())["message"] == "a"
