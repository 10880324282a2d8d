"""`Sender`: publications, which never wait, and their order with sends."""

from types import MethodType
from typing import Any

import anyio
import pytest
from anyio import create_task_group, wait_all_tasks_blocked
from anyio.abc import TaskGroup
from starlette.types import Message
from uvicorn.protocols.websockets.websockets_sansio_impl import (
    WebSocketsSansIOProtocol,
)

from consumers import WebSocketConsumer
from consumers.delivery import Delivery
from consumers.errors import ConnectionClosed, StateError
from consumers.groups import Group, Publication
from consumers.groups.hub import Hub
from consumers.limits import Limits
from consumers.queues.backlog import Published
from consumers.queues.policies import Coalesce, DropNewest, DropOldest, Policy
from consumers.websocket import WebSocket
from consumers_tests.peer import Peer

STEPPED = [
    pytest.param(("asyncio", {"use_uvloop": False}), True, id="asyncio-stepped"),
    pytest.param(("asyncio", {"use_uvloop": True}), True, id="uvloop-stepped"),
    pytest.param(("asyncio", {"use_uvloop": False}), False, id="asyncio"),
    pytest.param(("trio", {}), False, id="trio"),
]
each_way = pytest.mark.parametrize(("anyio_backend", "stepped"), STEPPED)


class Publishing(WebSocket):
    """What the runtime does for a connection, as far as an outbox needs it."""

    group: TaskGroup
    full = 0

    def _start_writing(self) -> None:
        self.group.start_soon(self._write)

    def _overflowed(self, publication: Published) -> None:
        self.full += 1

    def publish(self, message: str, policy: Policy | None = None) -> None:
        declared = Group("group", outbox=policy)
        publication = Publication("group", message, declared=declared)
        self._post(*self._encoded(publication), publication)


class SteppedPeer(Peer):
    """A server whose `send` may be begun in one task and finished in another."""

    def __init__(self, stepped: bool) -> None:
        super().__init__()
        self.waits = 0  # sends that had to wait
        if stepped:
            owner = object.__new__(WebSocketsSansIOProtocol)

            async def send(owner: object, event: Message) -> None:
                await self.take(event)

            self.send = MethodType(send, owner)  # type: ignore[method-assign]
        else:
            self.send = self.take  # type: ignore[method-assign]

    async def take(self, event: Any) -> None:
        if not self.flows.is_set():
            self.waits += 1
            await self.flows.wait()
        if self.gone is not None:
            raise self.gone("the client is gone")
        self.sent.append(event)


@each_way
async def test_a_publication_never_waits(stepped: bool) -> None:
    """A server that may be stepped gets it at once, without a task of its own."""
    peer = SteppedPeer(stepped)
    async with peer.opens(Publishing) as ws, create_task_group() as ws.group:
        ws.publish("a")
        assert (ws._outbox is None) is stepped
        assert peer.messages == (["a"] if stepped else [])
        await wait_all_tasks_blocked()

        assert peer.messages == ["a"]
        assert ws._outbox is None


@each_way
async def test_publications_and_sends_keep_their_order(stepped: bool) -> None:
    """While the client does not read, all wait in the order of the calls."""
    peer = SteppedPeer(stepped)
    async with peer.opens(Publishing) as ws, create_task_group() as ws.group:
        peer.flows = anyio.Event()
        ws.publish("a")
        ws.publish("b")
        await wait_all_tasks_blocked()
        ws.group.start_soon(ws.send_text, "c")
        await wait_all_tasks_blocked()
        ws.publish("d")
        assert peer.waits == 1
        assert peer.messages == []
        peer.flows.set()
        await wait_all_tasks_blocked()
        await ws.send("e")

    assert peer.messages == ["a", "b", "c", "d", "e"]


@each_way
async def test_more_than_may_wait_is_told(stepped: bool) -> None:
    """What does not fit is not put in, and the connection is to be given up."""
    peer = SteppedPeer(stepped)
    async with peer.opens(Publishing) as ws, create_task_group() as ws.group:
        ws._bounds = Limits(outbox_messages=2)
        peer.flows = anyio.Event()
        for message in "abcd":
            ws.publish(message)
        assert ws.full == 2
        await wait_all_tasks_blocked()
        peer.flows.set()

    assert peer.messages == ["a", "b"]


@each_way
@pytest.mark.parametrize(
    ("policy", "expected"),
    [(DropOldest(), "acd"), (DropNewest(), "abc"), (Coalesce(), "ad")],
    ids=["oldest", "newest", "coalesce"],
)
async def test_a_policy_may_keep_the_connection(
    stepped: bool, policy: Policy, expected: str
) -> None:
    """What is on its way goes out, then what the policy has left, and it is counted."""
    peer = SteppedPeer(stepped)
    async with peer.opens(Publishing) as ws, create_task_group() as ws.group:
        ws._bounds = Limits(outbox_messages=3)
        peer.flows = anyio.Event()
        ws.publish("a", policy)
        await wait_all_tasks_blocked()
        for message in "bcd":
            ws.publish(message, policy)
        await wait_all_tasks_blocked()
        peer.flows.set()

    assert ws.full == 0
    assert peer.messages == [*expected]
    assert sum(ws._ledger.losses.values()) == 4 - len(expected)


@each_way
@pytest.mark.parametrize("error", [OSError, RuntimeError])
async def test_a_departed_client_is_no_publishers_trouble(
    stepped: bool, error: type[Exception]
) -> None:
    """Publishing to it does nothing; who sends directly learns that it is gone."""
    peer = SteppedPeer(stepped)
    async with peer.opens(Publishing) as ws, create_task_group() as ws.group:
        peer.gone = error
        ws.publish("a")
        await wait_all_tasks_blocked()
        with pytest.raises(ConnectionClosed):
            await ws.send("b")

    assert peer.messages == []


@each_way
async def test_a_send_behind_a_failed_publication_is_told(stepped: bool) -> None:
    """A message that waits for its turn is not lost silently when the client goes."""
    peer = SteppedPeer(stepped)
    told: list[ConnectionClosed] = []

    async def send() -> None:
        try:
            await ws.send("b")
        except ConnectionClosed as error:
            told.append(error)

    async with peer.opens(Publishing) as ws, create_task_group() as ws.group:
        peer.flows = anyio.Event()
        ws.publish("a")
        await wait_all_tasks_blocked()
        ws.group.start_soon(send)
        await wait_all_tasks_blocked()
        peer.gone = OSError
        peer.flows.set()

    assert len(told) == 1
    assert peer.messages == []


@each_way
async def test_the_close_comes_behind_what_was_published(stepped: bool) -> None:
    """What was published before the close goes out first."""
    peer = SteppedPeer(stepped)
    async with peer.opens(Publishing) as ws, create_task_group() as ws.group:
        peer.flows = anyio.Event()
        ws.publish("a")
        ws.publish("b")
        await wait_all_tasks_blocked()
        ws.group.start_soon(ws.close, 4000)
        await wait_all_tasks_blocked()
        with pytest.raises(StateError):
            await ws.send("late")
        peer.flows.set()

    assert peer.types == ["send", "send", "close"]


@each_way
async def test_the_close_does_not_wait_for_ever(stepped: bool) -> None:
    """It gives up after `limits.close_timeout` on a client that does not read."""
    peer = SteppedPeer(stepped)
    async with peer.opens(Publishing) as ws, create_task_group() as ws.group:
        ws._bounds = Limits(close_timeout=0.02)
        peer.flows = anyio.Event()
        ws.publish("a")
        await wait_all_tasks_blocked()
        await ws.close(4000)
        assert peer.sent == []
        ws.group.cancel_scope.cancel()

    assert ws.close_event is not None
    assert ws.close_event.code == 4000


class Walked(Publishing, Delivery):
    """A member of the hub's."""

    _plan = WebSocketConsumer._plan


@each_way
async def test_the_hub_goes_straight_only_where_nothing_waits(stepped: bool) -> None:
    """Nothing overtakes what waits, and nothing follows our close."""
    peer, hub = SteppedPeer(stepped), Hub()
    async with peer.opens(Walked) as ws, create_task_group() as ws.group:
        ws._send_stepped()
        ws._straighten()
        hub.add("group", ws)
        assert (ws.straight is not None) is stepped
        hub.deliver(Publication("group", "a"))
        await wait_all_tasks_blocked()
        assert peer.messages == ["a"]

        peer.flows = anyio.Event()
        for message in ("b", "c"):
            hub.deliver(Publication("group", message))
            assert ws.straight is None
        peer.flows.set()
        await wait_all_tasks_blocked()
        assert peer.messages == ["a", "b", "c"]

        assert (ws.straight is not None) is stepped
        await ws.close()
        ws._straighten()
        hub.deliver(Publication("group", "d"))
        assert peer.messages == ["a", "b", "c"]
