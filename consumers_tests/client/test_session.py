"""`Session`: signs of life, tokens, and a server that breaks the protocol."""

from __future__ import annotations

import anyio
import pytest

from consumers.client import Reconnect
from consumers.clock import VirtualClock
from consumers_tests.client.scripted import Server, pass_time
from consumers_tests.client.test_connections import Tokens, until

QUICK = Reconnect(min=1.0, max=4.0)


async def test_a_ping_is_answered_at_once(server: Server) -> None:
    """A pong overtakes what waits for its turn."""
    async with server.client() as client:
        peer = await server.accept()
        await client.ready()
        peer.flows = anyio.Event()
        for number in range(3):
            await client.send(number)
        await anyio.wait_all_tasks_blocked()
        peer.say({"type": "ping"})
        await anyio.wait_all_tasks_blocked()
        peer.flows.set()
        types = [(await peer.hear())["type"] for _ in range(4)]
    assert types == ["message", "pong", "message", "message"]


async def test_a_silent_server_is_asked_and_given_up(
    server: Server, clock: VirtualClock
) -> None:
    """After a silence there is a ping, after a longer one another connection."""
    async with server.client(reconnect=QUICK) as client:
        peer = await server.accept(heartbeat=10.0, timeout=4.0)
        await pass_time(clock, 11.9)
        await peer.hear_nothing()
        await pass_time(clock, 0.1)
        assert await peer.hear() == {"type": "ping"}
        peer.say({"type": "pong"})
        await pass_time(clock, 11.9)
        await peer.hear_nothing()
        await pass_time(clock, 0.1)
        assert await peer.hear() == {"type": "ping"}
        await pass_time(clock, 1.9)
        assert client.state.name == "live"
        await pass_time(clock, 0.1)
        assert client.state.reason == "the server has fallen silent"
        assert peer.dropped.is_set()
        await pass_time(clock, 1.0)
        await server.accept()
        await client.ready()


async def test_a_server_that_wants_no_heartbeat_is_never_asked(
    server: Server, clock: VirtualClock
) -> None:
    """`heartbeat: null` means that silence is no sign of anything."""
    async with server.client() as client:
        peer = await server.accept(heartbeat=None)
        await pass_time(clock, 10**6)
        await peer.hear_nothing()
        assert client.state.name == "live"


async def test_tokens_are_renewed_before_they_end(
    server: Server, clock: VirtualClock
) -> None:
    """The server gets another token in time, each time it says when one ends."""
    tokens = Tokens()
    async with server.client(token=tokens) as client:
        peer = await server.accept(expires=600.0)
        await pass_time(clock, 539.9)
        await peer.hear_nothing()
        await pass_time(clock, 0.1)
        frame = await peer.hear()
        assert (frame["type"], frame["token"]) == ("refresh", "t2")
        peer.say({"type": "reply", "id": frame["id"], "message": {"expires": 10}})
        await pass_time(clock, 7.9)
        await peer.hear_nothing()
        await pass_time(clock, 0.1)
        frame = await peer.hear()
        assert frame["token"] == "t3"
        peer.say({"type": "reply", "id": frame["id"], "message": {"expires": None}})
        await pass_time(clock, 10**6)
        await peer.hear_nothing()
        assert client.state.name == "live"


@pytest.mark.parametrize("fails", [True, False])
async def test_a_token_that_is_not_renewed(
    server: Server,
    clock: VirtualClock,
    caplog: pytest.LogCaptureFixture,
    fails: bool,
) -> None:
    """If none can be fetched or the server refuses it, the connection goes on."""
    tokens = Tokens()
    async with server.client(token=tokens) as client:
        peer = await server.accept(expires=100.0)
        await client.ready()
        tokens.fails = fails
        await pass_time(clock, 80.0)
        if not fails:
            frame = await peer.hear()
            peer.say({"type": "error", "id": frame["id"], "code": "not_allowed"})
        await pass_time(clock, 100.0)
        await peer.hear_nothing()
        assert client.state.name == "live"
    assert len(caplog.records) == 1


async def test_a_connection_lost_during_a_refresh(
    server: Server, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The refresh belongs to its connection: the next one has none."""
    async with server.client(token=Tokens(), reconnect=QUICK):
        peer = await server.accept(expires=100.0)
        await pass_time(clock, 80.0)
        assert (await peer.hear())["type"] == "refresh"
        peer.drop()
        await pass_time(clock, 1.0)
        again = await server.accept()
        await again.hear_nothing()
    assert caplog.records == []


@pytest.mark.parametrize(
    "message",
    ["{", '{"type": "reply"}', '{"no": "type"}', "[1]", b"{}", '{"type": "reply"', "1"],
)
@pytest.mark.parametrize("welcomed", [True, False])
async def test_what_is_no_frame(
    server: Server, clock: VirtualClock, message: str | bytes, welcomed: bool
) -> None:
    """A server that breaks the protocol is told so, and asked again later."""
    async with server.client(reconnect=QUICK) as client:
        peer = await (server.accept() if welcomed else server.next())
        peer.say_raw(message)
        waiting = await until(client, "waiting")
        assert waiting.code == 1006
        assert peer.closed is not None
        assert peer.closed[0] in (1003, 1007)


async def test_the_welcome_comes_first(server: Server) -> None:
    """Any other frame before it breaks the protocol; a second one means nothing."""
    async with server.client() as client:
        peer = await server.next()
        peer.say({"type": "message", "message": 1})
        await until(client, "waiting")
        assert peer.closed == (1002, "")
    async with server.client() as client:
        peer = await server.accept()
        peer.welcome(connection="other")
        peer.say({"type": "message", "message": 1})
        await client.receive()
        assert client.connection == "c-1"


async def test_a_server_that_does_not_answer_a_close(
    server: Server, clock: VirtualClock
) -> None:
    """The client waits for a while, and then is gone."""
    async with server.client() as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await client.ready()
        peer.flows = anyio.Event()
        tasks.start_soon(client.close)
        await pass_time(clock, 4.9)
        assert not peer.dropped.is_set()
        await pass_time(clock, 0.1)
        assert client.state.name == "closed"
        assert peer.dropped.is_set()
