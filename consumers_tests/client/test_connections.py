"""`Connections`: when a client comes back, what it shows, and what it takes along."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import pytest
from anyio import create_task_group

from consumers.client import Client, Closed, ConnectionLost, Ended, Reconnect, State
from consumers.clock import VirtualClock
from consumers_tests.client.scripted import Peer, Server, pass_time

QUICK = Reconnect(min=1.0, max=4.0)


async def until(client: Client, name: str) -> State:
    """Wait until the client's state has this name."""
    with anyio.fail_after(5):
        async for state in client.states():
            if state.name == name:
                return state
    raise AssertionError(f"the client was never {name}")


async def test_states_of_a_connection_that_breaks(
    server: Server, clock: VirtualClock
) -> None:
    """A client tells that it waits, until when and why, and is live again."""
    async with server.client(reconnect=QUICK) as client:
        states = client.states()
        peer = await server.accept()
        await client.ready()
        peer.drop()
        waiting = await until(client, "waiting")
        assert (waiting.attempt, waiting.code) == (1, 1006)
        assert waiting.retry_at is not None
        assert 0 <= waiting.retry_at <= 1.0
        assert client.connection is None

        await pass_time(clock, 1.0)
        await server.accept(connection="c-2")
        await until(client, "live")
        assert client.connection == "c-2"
        await client.close()
        names = [state.name async for state in states]
    assert names == ["connecting", "live", "waiting", "connecting", "live", "closed"]


@pytest.mark.parametrize("code", [1000, 1002, 1008, 4400, 4403, 4404, 4000, 1005])
async def test_final_codes(server: Server, code: int) -> None:
    """After these a client does not come back."""
    async with server.client() as client:
        peer = await server.accept()
        peer.close_with(code, "why")
        closed = await until(client, "closed")
        assert (closed.code, closed.reason) == (code, "why")
    assert server.attempts == 1


@pytest.mark.parametrize("code", [1001, 1006, 1011, 1012, 1013, 4408, 4429, 4503])
async def test_codes_to_return_after(
    server: Server, clock: VirtualClock, code: int
) -> None:
    """After these it does."""
    async with server.client(reconnect=QUICK) as client:
        peer = await server.accept()
        peer.close_with(code)
        await until(client, "waiting")
        await pass_time(clock, 1.0)
        await server.accept()
        await until(client, "live")


async def test_without_reconnecting_the_first_loss_is_the_last(server: Server) -> None:
    """`reconnect=None` closes the client where it would have waited."""
    async with server.client(reconnect=None) as client:
        (await server.accept()).drop()
        with pytest.raises(Closed, match="1006"):
            await client.receive()


@pytest.mark.parametrize("code", [1000, 1012])
@pytest.mark.parametrize("wanted", [True, False])
async def test_a_goodbye_says_whether_and_when(
    server: Server, clock: VirtualClock, code: int, wanted: bool
) -> None:
    """A goodbye outweighs the close code, and its time is waited for."""
    async with server.client(reconnect=QUICK) as client:
        peer = await server.accept()
        await client.ready()
        peer.say(
            {"type": "goodbye", "code": code, "reconnect": wanted, "after": 7.0},
        )
        await anyio.wait_all_tasks_blocked()
        await client.send("not over this one")
        await peer.hear_nothing()
        peer.close_with(code)
        if not wanted:
            assert (await until(client, "closed")).code == code
            return
        waiting = await until(client, "waiting")
        assert waiting.retry_at is not None
        assert 7.0 <= waiting.retry_at <= 8.0
        await pass_time(clock, 6.9)
        assert server.attempts == 1
        await pass_time(clock, 1.1)
        again = await server.accept()
        assert (await again.hear())["message"] == "not over this one"


async def test_refusals_and_a_network_that_is_away(
    server: Server, clock: VirtualClock
) -> None:
    """Attempts that fail count; a server's Retry-After is waited for."""
    server.refusals = [
        Ended(1006, "can't reach it", offline=True),
        Ended(4503, "status 503", after=20.0),
        Ended(4404, "status 404"),
    ]
    async with server.client(reconnect=QUICK) as client:
        offline = await until(client, "offline")
        assert (offline.attempt, offline.reason) == (1, "can't reach it")
        await pass_time(clock, 1.0)
        waiting = await until(client, "waiting")
        assert waiting.attempt == 2
        assert waiting.retry_at is not None
        assert waiting.retry_at >= 20.0
        await pass_time(clock, 22.0)
        assert (await until(client, "closed")).code == 4404


async def test_a_handshake_that_is_never_answered(
    server: Server, clock: VirtualClock
) -> None:
    """An attempt ends at the deadline, whether the handshake stalls or the welcome."""
    server.stalls = True
    async with server.client(reconnect=QUICK, deadline=5.0) as client:
        await pass_time(clock, 5.0)
        assert client.state.reason == "the server did not answer in time"
        server.stalls = False
        await pass_time(clock, 1.0)
        peer = await server.next()
        await pass_time(clock, 5.0)
        assert client.state.reason == "the server did not say welcome in time"
        assert peer.dropped.is_set()


async def test_a_server_that_speaks_something_else(server: Server) -> None:
    """A server that did not take the subprotocol is final."""
    server.subprotocol = None
    async with server.client() as client:
        peer = await server.next()
        closed = await until(client, "closed")
        assert closed.reason == "the server speaks no consumers.v1+json"
        assert peer.closed == (1002, "")


async def test_what_was_asked_is_asked_again(
    server: Server, clock: VirtualClock
) -> None:
    """Requests go over the next connection with their keys, streams fail."""
    async with server.client(reconnect=QUICK) as client, create_task_group() as tasks:
        peer = await server.accept()
        replies: list[Any] = []

        async def ask(number: int) -> None:
            replies.append(await client.request(number))

        async def stream() -> None:
            with pytest.raises(ConnectionLost):
                async with client.stream("stream") as items:
                    replies.extend([item async for item in items])

        for number in range(3):
            tasks.start_soon(ask, number)
        before = [await peer.hear() for _ in range(3)]
        tasks.start_soon(stream)
        assert (await peer.hear())["message"] == "stream"
        answered = before.pop(1)
        peer.say({"type": "reply", "id": answered["id"], "message": "done"})
        await anyio.wait_all_tasks_blocked()
        peer.drop()
        await anyio.wait_all_tasks_blocked()
        await client.send("later")
        await pass_time(clock, 1.0)

        again = await server.accept()
        assert [await again.hear() for _ in before] == before
        assert (await again.hear())["message"] == "later"
        for frame in before:
            again.say({"type": "reply", "id": frame["id"], "message": "again"})
        await anyio.wait_all_tasks_blocked()
        assert replies == ["done", "again", "again"]


async def test_a_message_that_was_not_handed_over_is_sent_later(
    server: Server, clock: VirtualClock
) -> None:
    """Where a connection breaks before a message left, the next one carries it once."""
    async with server.client(reconnect=QUICK) as client:
        peer = await server.accept()
        await client.ready()
        peer.flows = anyio.Event()
        await client.send("first")
        await client.send("second")
        await anyio.wait_all_tasks_blocked()
        peer._ended = Ended(1006)  # what is written fails, what is read is not yet told
        peer.flows.set()
        await anyio.wait_all_tasks_blocked()
        peer._notify()
        await pass_time(clock, 1.0)
        again = await server.accept()
        heard = [(await again.hear())["message"] for _ in range(2)]
        assert heard == ["first", "second"]
        await again.hear_nothing()


@pytest.mark.parametrize("when", ["at once", "dialling", "waiting"])
async def test_closed_without_a_connection(
    server: Server, clock: VirtualClock, when: str
) -> None:
    """A client that is closed before it is live, or between two, tries no more."""
    server.stalls = when == "dialling"
    async with server.client(reconnect=QUICK) as client:
        if when == "waiting":
            (await server.accept()).drop()
            await until(client, "waiting")
        elif when == "dialling":
            await anyio.wait_all_tasks_blocked()
        await client.close()
        attempts = server.attempts
        await pass_time(clock, 100.0)
        assert client.state.name == "closed"
        assert server.attempts == attempts


class Tokens:
    """Fetches tokens: t1, t2, …; a number of times it fails."""

    def __init__(self) -> None:
        self.fetched = 0
        self.fails = 0

    async def __call__(self) -> str:
        await anyio.lowlevel.checkpoint()
        if self.fails:
            self.fails -= 1
            raise LookupError("no token today")
        self.fetched += 1
        return f"t{self.fetched}"


def shown(peer: Peer) -> str:
    return peer.headers["Authorization"]


async def test_a_refused_token_is_renewed_once(
    server: Server, clock: VirtualClock
) -> None:
    """4401 fetches another token at once; refused again, the client is closed."""
    tokens = Tokens()
    async with server.client(token=tokens, reconnect=QUICK) as client:
        peer = await server.next()
        assert shown(peer) == "Bearer t1"
        peer.say({"type": "goodbye", "code": 4401, "reconnect": False})
        peer.close_with(4401)
        peer = await server.accept()
        assert shown(peer) == "Bearer t2"
        await client.ready()
        peer.drop()
        await pass_time(clock, 1.0)
        peer = await server.accept()
        assert shown(peer) == "Bearer t2"
        await client.ready()
        for number in (3, 4):
            peer.close_with(4401)
            if number == 3:
                peer = await server.next()
                assert shown(peer) == "Bearer t3"
        assert (await until(client, "closed")).code == 4401
    assert tokens.fetched == 3


async def test_a_text_as_token_is_refused_for_good(server: Server) -> None:
    """A token that can't be renewed is shown, and 4401 is final."""
    async with server.client(token="secret", headers={"X-Mine": "1"}) as client:
        peer = await server.next()
        assert peer.headers == {"X-Mine": "1", "Authorization": "Bearer secret"}
        peer.close_with(4401)
        await until(client, "closed")
    assert server.attempts == 1


async def test_a_token_may_be_offered_as_a_subprotocol(server: Server) -> None:
    """Beside the one that is spoken, as a browser has to, and in no header."""
    async with server.client(token="a(b)/=", token_as="subprotocol"):
        peer = await server.next()
        assert peer.offered == ["consumers.v1+json", "bearer.a%28b%29%2F%3D"]
        assert peer.headers == {}


async def test_a_token_that_can_not_be_fetched(
    server: Server, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """What fetches tokens may raise: that is logged, and tried again."""
    tokens = Tokens()
    tokens.fails = 1
    async with server.client(token=tokens, reconnect=QUICK) as client:
        waiting = await until(client, "waiting")
        assert waiting.reason == "no token could be fetched"
        await pass_time(clock, 1.0)
        await server.accept()
        await client.ready()
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_a_token_that_has_ended_is_not_shown(
    server: Server, clock: VirtualClock
) -> None:
    """After the time that the server named, the next connection fetches another one."""
    tokens = Tokens()
    async with server.client(token=tokens) as client:
        peer = await server.accept(expires=1.0)
        await client.ready()
        # The client waits for what it is asked for, and not for a time drawn by lot.
        peer.say({"type": "goodbye", "code": 1012, "reconnect": True, "after": 30.0})
        peer.close_with(1012)
        await pass_time(clock, 31.0)
        assert shown(await server.next()) == "Bearer t2"
