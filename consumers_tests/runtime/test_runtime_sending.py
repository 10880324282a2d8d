"""Sending: its checkpoints, its order, the outbox, and what reaches whom."""

import gc
import sys
from dataclasses import dataclass

import anyio
import pytest
from anyio.lowlevel import checkpoint

from consumers import (
    App,
    ConnectionClosed,
    Internal,
    Limits,
    WebSocketConsumer,
    WebSocketRoute,
    intercepts,
)
from consumers.testing import ServerStyle, TestClient
from consumers_tests.doubles import PATIENCE, Journal, both_servers, serving
from consumers_tests.excesses import Excesses


class Member(WebSocketConsumer):
    """Is in the room, and takes what comes."""

    async def on_connect(self) -> None:
        await self.join("room")

    async def on_receive(self, message: str) -> None: ...


@both_servers
async def test_a_send_loop_to_a_departed_client_freezes_nobody(
    server: ServerStyle,
) -> None:
    """It lets others run and ends by ConnectionClosed, whatever the server does."""
    journal = Journal()

    class Spinning(WebSocketConsumer):
        async def on_receive(self, message: str) -> None:
            try:
                while True:
                    await self.send("x")
            except ConnectionClosed:
                journal.add("closed")
                raise

        async def on_disconnect(self, code: int) -> None:
            journal.add(code)

    async with serving(Spinning) as client, client.connect("/", server=server) as ws:
        await ws.send("go")
        assert await ws.receive() == "x"
        await ws.drop()
        with anyio.fail_after(PATIENCE):
            while 1006 not in journal:
                await checkpoint()  # the bystander

    assert journal == ["closed", 1006]


@both_servers
async def test_a_loop_that_catches_the_end_still_lets_others_run(
    server: ServerStyle,
) -> None:
    """ConnectionClosed is raised after a checkpoint, every time."""
    turns = 0
    done = anyio.Event()

    class Stubborn(WebSocketConsumer):
        async def on_receive(self, message: str) -> None:
            nonlocal turns
            while turns < 20:
                try:
                    await self.send("x")
                except ConnectionClosed:
                    before = turns
                    await self.catch_again()
                    assert turns > before
            done.set()

        async def catch_again(self) -> None:
            for _ in range(3):
                with pytest.raises(ConnectionClosed):
                    await self.send("x")

    async with serving(Stubborn) as client, client.connect("/", server=server) as ws:
        await ws.send("go")
        await ws.receive()
        await ws.drop()
        with anyio.fail_after(PATIENCE):
            while not done.is_set():
                turns += 1
                await checkpoint()


@both_servers
async def test_several_tasks_may_send_at_once(server: ServerStyle) -> None:
    """Nothing is lost, and what each one sends arrives in its order."""

    class Sending(WebSocketConsumer):
        async def on_receive(self, message: str) -> None:
            async with anyio.create_task_group() as group:
                for name in "abc":
                    group.start_soon(self.count, name)

        async def count(self, name: str) -> None:
            for number in range(100):
                await self.send(f"{name}{number}")

    async with serving(Sending) as client, client.connect("/", server=server) as ws:
        await ws.send("go")
        received = [str(await ws.receive()) for _ in range(300)]

    for name in "abc":
        assert [text for text in received if text[0] == name] == [
            f"{name}{number}" for number in range(100)
        ]


@both_servers
async def test_what_a_task_sends_and_publishes_arrives_in_order(
    server: ServerStyle,
) -> None:
    """A direct send waits for the publications that wait, and none overtakes."""

    class Mixed(WebSocketConsumer):
        async def on_connect(self) -> None:
            await self.join("room")

        async def on_receive(self, message: str) -> None:
            for number in range(30):
                if number % 3:
                    await self.publish("room", str(number))
                else:
                    await self.send(str(number))

    async with serving(Mixed) as client, client.connect("/", server=server) as ws:
        await ws.stall(2)
        await ws.send("go")
        await client.settle()
        await ws.resume()

        assert [await ws.receive() for _ in range(30)] == [*map(str, range(30))]


async def test_a_cancelled_send_takes_its_message_back() -> None:
    """A direct send that waits its turn and is cancelled is not sent later."""
    given_up = anyio.Event()

    class Impatient(WebSocketConsumer):
        async def on_connect(self) -> None:
            await self.join("room")

        async def on_receive(self, message: str) -> None:
            await self.publish("room", "first")
            with anyio.move_on_after(0.01):
                await self.send("taken back")
            given_up.set()
            await self.send("second")

    async with serving(Impatient) as client, client.connect("/") as ws:
        await ws.stall(0)
        await ws.send("go")
        with anyio.fail_after(PATIENCE):
            await given_up.wait()
        await ws.resume()

        assert [await ws.receive(), await ws.receive()] == ["first", "second"]
        await ws.receive_nothing()


@both_servers
async def test_a_stalled_member_delays_neither_publisher_nor_others(
    server: ServerStyle,
) -> None:
    """While one client does not read, the others get all that is published."""
    app = App([WebSocketRoute("/", Member)])
    async with (
        TestClient(app) as client,
        client.connect("/", server=server) as stalled,
        client.connect("/", server=server) as other,
    ):
        await client.settle()
        await stalled.stall(0)
        for number in range(100):
            await app.groups.publish("room", str(number))

        assert [await other.receive() for _ in range(100)] == [*map(str, range(100))]
        await stalled.resume()
        assert [await stalled.receive() for _ in range(100)] == [*map(str, range(100))]


@both_servers
async def test_who_reads_too_slowly_is_closed_with_1013(
    server: ServerStyle, excesses: Excesses
) -> None:
    """A full outbox gives its connection up, with a warning, and hurts nobody else."""
    journal = Journal()

    class Bounded(Member):
        limits = Limits(outbox_messages=3, close_timeout=1)

        async def on_disconnect(self, code: int) -> None:
            journal.add(code)

    app = App([WebSocketRoute("/", Bounded)])
    async with (
        TestClient(app) as client,
        client.connect("/", server=server) as stalled,
        client.connect("/", server=server) as other,
    ):
        await client.settle()
        await stalled.stall(0)
        for number in range(8):
            await app.groups.publish("room", str(number))
            assert await other.receive() == str(number)
        assert await app.groups.count("room") == 1
        await client.advance(1)
        assert journal == [1013]
        await other.close()

    assert "3 publications wait for it, 3 bytes, and CloseWhenFull of" in excesses.line


async def test_the_outbox_is_bounded_in_bytes_too() -> None:
    """Publications that are large fill the outbox by their size."""

    class Bounded(Member):
        limits = Limits(outbox_bytes=1000)

    app = App([WebSocketRoute("/", Bounded)])
    async with TestClient(app) as client, client.connect("/") as stalled:
        await client.settle()
        await stalled.stall(0)
        for _ in range(3):
            await app.groups.publish("room", "x" * 400)
        await stalled.resume()
        await client.settle()

        assert stalled.closed is not None
        assert stalled.closed.code == 1013


# Interceptors


@dataclass
class Said(Internal):
    """A publication that no client gets as it is."""

    text: str


async def test_an_interceptor_changes_drops_and_sees_publications() -> None:
    """A member's method decides what its client gets; `Internal` is never encoded."""

    class Censor(Member):
        @intercepts
        async def hear(self, publication: Said) -> str | None:
            await checkpoint()
            return None if publication.text == "drop" else publication.text.upper()

    class Deaf(Member):
        pass

    app = App([WebSocketRoute("/", Censor), WebSocketRoute("/deaf", Deaf)])
    async with (
        TestClient(app) as client,
        client.connect("/") as ws,
        client.connect("/deaf") as deaf,
    ):
        await client.settle()
        for text in ("one", "drop", "two"):
            await app.groups.publish("room", Said(text))
        await app.groups.publish("room", "plain")

        assert [await ws.receive() for _ in range(3)] == ["ONE", "TWO", "plain"]
        assert await deaf.receive() == "plain"
        await deaf.receive_nothing()


@pytest.mark.parametrize("error", [ValueError, OSError, RuntimeError])
async def test_an_interceptor_that_raises_closes_its_connection_alone(
    error: type[Exception],
) -> None:
    """It is a failure of that connection, though servers raise the same from `send`."""

    class Broken(Member):
        @intercepts
        async def hear(self, publication: str) -> str:
            raise error("a bug")

    app = App([WebSocketRoute("/", Broken), WebSocketRoute("/other", Member)])
    async with TestClient(app) as client, client.connect("/other") as other:
        async with client.connect("/") as ws:
            await client.settle()
            await app.groups.publish("room", "x")
            with pytest.raises(error, match="a bug"):
                await ws.receive()

        assert await other.receive() == "x"


async def test_a_slow_interceptor_delays_its_own_connection_alone() -> None:
    """Direct sends to that client wait behind it, in order; others get it at once."""
    go_on = anyio.Event()

    class Slow(Member):
        @intercepts
        async def hear(self, publication: str) -> str:
            await go_on.wait()
            return publication

        async def on_receive(self, message: str) -> None:
            await self.send(message)

    app = App([WebSocketRoute("/", Slow), WebSocketRoute("/other", Member)])
    async with (
        TestClient(app) as client,
        client.connect("/") as ws,
        client.connect("/other") as other,
    ):
        await client.settle()
        await app.groups.publish("room", "published")
        await ws.send("sent after it")
        assert await other.receive() == "published"
        await ws.receive_nothing()
        go_on.set()

        assert [await ws.receive(), await ws.receive()] == [
            "published",
            "sent after it",
        ]


@both_servers
async def test_a_member_needs_no_dictionary_of_its_own(server: ServerStyle) -> None:
    """Its attributes are where Python keeps those of objects that nobody looked into.

    Else each of them is looked for in a dictionary, for each member of a group.
    """
    seen: list[bool] = []

    class Room(WebSocketConsumer):
        def look(self) -> None:
            held = gc.get_referents(self)
            seen.append(any(type(each) is dict and "_stage" in each for each in held))

        async def on_connect(self) -> None:
            await self.join("room")

        async def on_receive(self, message: str) -> None:
            await self.publish("room", message)
            self.look()
            vars(self)  # which makes one
            self.look()

    async with serving(Room) as client, client.connect("/", server=server) as ws:
        await ws.send("a")
        assert await ws.receive() == "a"

    # Later versions have the dictionary too, and do not show it.
    assert seen == [False, sys.version_info < (3, 13)]
