"""How a client ends: what is sent before, what is told after, in virtual time."""

from __future__ import annotations

import logging

import anyio
import pytest
from anyio import create_task_group, fail_after

from consumers.client import Closed
from consumers.clock import VirtualClock
from consumers_tests.client.scripted import Server, pass_time


async def test_leaving_sends_what_waits(server: Server, clock: VirtualClock) -> None:
    """The end of the context waits for a connection that takes what was sent."""
    async with create_task_group() as tasks:

        async def serve() -> None:
            peer = await server.next()
            await anyio.wait_all_tasks_blocked()
            peer.welcome()
            assert (await peer.hear())["message"] == "late"
            await peer.dropped.wait()
            assert peer.closed == (1000, "")

        tasks.start_soon(serve)
        with fail_after(5):
            async with server.client() as client:
                await client.send("late")


async def test_what_is_never_sent_is_logged(
    server: Server, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that is closed without a connection says what it could not send."""
    server.stalls = True
    async with create_task_group() as tasks:
        tasks.start_soon(pass_time, clock, 11.0)
        with caplog.at_level(logging.WARNING, "consumers.client"):
            async with server.client(deadline=10.0) as client:
                await client.send("never")
    assert caplog.messages == ["1 messages were never sent"]


async def test_the_body_s_exception_comes_as_it_is(server: Server) -> None:
    """What the program raises is not wrapped, and the server gets its goodbye."""
    peers = []

    async def fail() -> None:
        async with server.client():
            peers.append(await server.accept())
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await fail()
    [peer] = peers
    assert peer.closed == (1000, "")
    assert peer.dropped.is_set()


async def test_a_cancelled_program_leaves_at_once(server: Server) -> None:
    """Cancelling the context's task says goodbye, and leaves no task behind."""
    with fail_after(5):
        async with create_task_group() as tasks:

            async def run() -> None:
                async with server.client() as client:
                    await client.ready()
                    await anyio.sleep_forever()

            tasks.start_soon(run)
            peer = await server.accept()
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
    assert peer.closed == (1000, "")


async def test_after_the_end_everything_raises_closed(server: Server) -> None:
    """A closed client neither sends nor waits; iterations just end."""
    async with server.client() as client:
        peer = await server.accept()
        await client.ready()
        peer.say({"type": "message", "message": 1})
        await anyio.wait_all_tasks_blocked()
        await client.close(4000, "enough")
        await client.close()
        assert peer.closed == (4000, "enough")
        assert (client.state.name, client.state.code) == ("closed", 4000)
        assert await client.receive() == 1
        for call in (client.receive, client.ready):
            with pytest.raises(Closed, match=r"code 4000\): enough"):
                await call()
        with pytest.raises(Closed):
            await client.send(1)
        with pytest.raises(Closed):
            await client.request(1)
        with pytest.raises(Closed):
            async with client.subscribe("g"):
                raise AssertionError
        with pytest.raises(Closed):
            [message async for message in client]
    assert client.connection is None


async def test_a_normal_end_ends_iterations(server: Server) -> None:
    """The server's 1000 ends `async for`; a request that waits fails."""
    async with server.client() as client, create_task_group() as tasks:
        peer = await server.accept()

        async def ask() -> None:
            with pytest.raises(Closed):
                await client.request("?")

        tasks.start_soon(ask)
        assert (await peer.hear())["message"] == "?"
        peer.say({"type": "message", "message": 1})
        peer.close_with(1000)
        assert [message async for message in client] == [1]
    assert client.state.name == "closed"


async def test_closing_does_not_wait_for_what_is_never_sent(server: Server) -> None:
    """Where the server has meanwhile ended it for good, nothing is waited for."""
    async with server.client() as client:
        await client.send("waits for a connection")
        peer = await server.next()
        with fail_after(5):
            async with create_task_group() as tasks:
                tasks.start_soon(client.close)
                await anyio.wait_all_tasks_blocked()
                peer.close_with(4403)
    assert (client.state.name, client.state.code) == ("closed", 4403)
