"""A machine of clients that come and go in two processes, beside the reference.

A process is an event loop in a thread, with an application: one on each backend.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, ClassVar

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
)

from consumers import (
    App,
    Group,
    Groups,
    History,
    Position,
    WebSocketConsumer,
    WebSocketRoute,
)
from consumers.layers import Layer
from consumers.testing import ClientConnection, Closed, TestClient
from consumers_tests.layers.machine import try_out
from consumers_tests.layers.model import ReferenceHistory

PROCESSES = (0, 1)
BACKENDS = ("asyncio", "trio")
COME_BACK = 1013

BRIEF = 0.005
"""Seconds of what shall run out before the next call."""
GONE = 0.015
"""Seconds after which it has."""
LONG = 30.0
CLIENTS = 6
SIZE = 3
LOG, PLAIN = "log", "plain"

DECLARED = [
    Group(LOG, history=History(size=SIZE, ttl=LONG, remember=LONG)),
    Group(PLAIN),
]

processes = st.sampled_from(PROCESSES)
groups = st.sampled_from((LOG, LOG, PLAIN))
counts = st.integers(1, SIZE + 2)
clients = st.integers(0, CLIENTS)
# Which of the positions that somebody had, and how many of the latest without one.
ways = st.tuples(st.integers(0, 3), st.none() | st.integers(0, SIZE + 1))


@dataclass
class Place:
    """Where groups are."""

    groups: list[Groups]
    """Those of each process: several, or the same."""
    layers: Callable[[], Layer]
    """Makes the layer of an event loop."""
    wipe: Callable[[], Any]
    """Loses all data."""
    pass_time: Callable[[float], Any] | None = None
    """Lets time pass; ``None``: the time is that of the clients."""


class Member(WebSocketConsumer):
    """Joins and leaves one group as the client says."""

    value_type = "json"
    positions = True

    async def on_connect(self, group: str) -> None:
        self.group = group

    async def on_receive(self, order: dict[str, Any]) -> None:
        if order["do"] == "leave":
            await self.leave(self.group)
            await self.send({"left": True})
        else:
            since = order["since"] and Position.parse(order["since"])
            recovery = await self.join(self.group, since=since, last=order["last"])
            at = recovery.position and str(recovery.position)
            await self.send({"recovered": recovery.recovered, "at": at})


@dataclass(eq=False)
class Client:
    """One connection, and what it must get."""

    process: int
    group: str
    ws: ClientConnection
    stack: ExitStack
    position: Position | None = None
    """After the last message."""
    joined: bool = False
    may_be_closed: bool = False
    """Whether its history was lost since it joined, which it must be told."""
    expected: list[tuple[Position | None, object]] = field(default_factory=list)
    """What was published since."""


class Clients(RuleBasedStateMachine):
    """Clients of two processes."""

    place: ClassVar[Place]
    portals: ClassVar[list[BlockingPortal]]

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self.apps: list[TestClient] = []
        self.clients: list[Client] = []
        self.saved: list[Position] = []
        """Where clients stood that have left."""
        self.histories = {LOG: ReferenceHistory(SIZE)}
        self.epochs: set[str] = set()
        self.lost: set[int] = set()
        """Processes that may not know yet that the history is another one."""
        self.number = 0

    def call(self, process: int, function: Callable[..., Any], *args: Any) -> Any:
        async def run() -> Any:
            with anyio.fail_after(20):
                return await function(*args)

        return self.portals[process].call(run)

    @initialize()
    def start(self) -> None:
        """Start two processes in an empty place."""
        self.place.wipe()
        for process in PROCESSES:
            app = App(
                [WebSocketRoute("/{group}", Member)], groups=self.place.groups[process]
            )
            context = self.portals[process].wrap_async_context_manager(TestClient(app))
            self.apps.append(self._stack.enter_context(context))

    def teardown(self) -> None:
        """See that everybody still gets everything, and stop."""
        try:
            if self.apps:
                for group in (LOG, PLAIN):
                    self.publish(0, group, 1)
        finally:
            for client in self.clients:
                client.stack.close()
            self._stack.close()

    # -- publishing

    @rule(process=processes, group=groups, count=counts)
    def publish(self, process: int, group: str, count: int) -> None:
        """Publish some in one call; everybody gets them."""
        numbers = [self._number() for _ in range(count)]
        self._publish(process, group, numbers)

    def _number(self) -> int:
        self.number += 1
        return self.number

    def _publish(
        self, process: int, group: str, numbers: list[int], target: Any = None
    ) -> None:
        messages = [(target or group, {"n": number}) for number in numbers]
        positions = self.call(
            process, self.place.groups[process].publish_many, messages
        )
        history = self.histories.get(group)
        for number, position in zip(numbers, positions, strict=True):
            if history is None:
                assert position is None
            else:
                if history.epoch is None:
                    self._begun(group, position)
                assert history.epoch is not None
                assert position == Position(history.say(number), history.epoch)
            for client in self.clients:
                if client.joined and client.group == group:
                    client.expected.append((position, number))
        for client in list(self.clients):
            if client.joined and client.group == group:
                self._receive(client)
        if group == LOG:
            self.lost.clear()

    def _begun(self, group: str, position: Position) -> None:
        assert position.epoch not in self.epochs
        self.epochs.add(position.epoch)
        self.histories[group].begin(position.epoch)

    def _receive(self, client: Client) -> None:
        """Receive what is expected, or an invitation to come back if that is due."""
        for position, number in client.expected:
            try:
                got = self.call(client.process, client.ws.receive_json)
            except Closed as closed:
                if closed.code != COME_BACK or not client.may_be_closed:
                    raise AssertionError("a client was closed for nothing") from closed
                self._gone(client)
                return
            self._check(client, got, position, number)
        client.expected.clear()
        client.may_be_closed = False

    def _check(
        self, client: Client, got: Any, position: Position | None, number: object
    ) -> None:
        if position is None:
            assert got == {"n": number}
            return
        message = {"group": client.group, "position": str(position)}
        assert got == {**message, "message": {"n": number}}
        before = client.position
        assert before is not None
        # No history goes on as another one without a word.
        assert position == Position(before.offset + 1, before.epoch)
        client.position = position

    # -- coming and going

    @rule(process=processes, group=groups, how=ways)
    def come(self, process: int, group: str, how: tuple[int, int | None]) -> None:
        """Have a client connect and join, perhaps with a position that one once had."""
        if len(self.clients) < CLIENTS:
            stack = ExitStack()
            ws = stack.enter_context(
                self.portals[process].wrap_async_context_manager(
                    self.apps[process].connect(f"/{group}")
                )
            )
            self.clients.append(Client(process, group, ws, stack))
            self._join(self.clients[-1], *how)

    @rule(number=clients, how=ways)
    def return_to_the_group(self, number: int, how: tuple[int, int | None]) -> None:
        """Have a client join the group that it has left."""
        client = self._client(number, joined=False)
        if client is not None:
            self._join(client, *how)

    def _client(self, number: int, *, joined: bool) -> Client | None:
        found = [client for client in self.clients if client.joined == joined]
        return found[number % len(found)] if found else None

    def _join(self, client: Client, age: int, last: int | None) -> None:
        """Join; ``age``: with which of the positions that somebody had, by age."""
        since = None
        if client.group == PLAIN:
            last = None
        elif 0 < age <= len(self.saved):
            since = self.saved[-age]
        order = {"do": "join", "since": since and str(since), "last": last}
        self.call(client.process, client.ws.send_json, order)
        got: list[Any] = []
        while "recovered" not in (answer := self._answer(client)):
            got.append(answer)
        client.joined = True
        history = self.histories.get(client.group)
        if history is None:
            assert (answer, got) == ({"recovered": False, "at": None}, [])
            return
        at = Position.parse(answer["at"])
        if history.epoch is None and (
            since is not None or last is not None or at.epoch not in self.epochs
        ):
            self._begun(client.group, at)
        stale = client.process in self.lost
        if since is not None or last is not None or not stale:
            assert history.epoch is not None
            assert at == Position(len(history.said), history.epoch)
        complete = since is not None and history.complete(since)
        assert answer["recovered"] == complete
        wanted = history.latest(last or 0)
        if since is not None and complete:
            wanted = history.latest(len(history.said) - since.offset)
        assert [each["message"]["n"] for each in got] == [n for _, n in wanted]
        assert [each["position"] for each in got] == [
            f"{offset}.{at.epoch}" for offset, _ in wanted
        ]
        client.position, client.may_be_closed = at, stale

    def _answer(self, client: Client) -> Any:
        return self.call(client.process, client.ws.receive_json)

    @rule(number=clients)
    def leave(self, number: int) -> None:
        """Have a client leave its group, and stay connected."""
        client = self._client(number, joined=True)
        if client is not None:
            self.call(client.process, client.ws.send_json, {"do": "leave"})
            assert self._answer(client) == {"left": True}
            self._save(client)
            client.joined, client.may_be_closed = False, False

    @rule(number=clients, broken=st.booleans())
    def disconnect(self, number: int, *, broken: bool) -> None:
        """Have a client close, or its connection break."""
        client = self._client(number, joined=True)
        if client is not None:
            if broken:
                self.call(client.process, client.ws.drop)
            self._gone(client)

    def _save(self, client: Client) -> None:
        if client.position is not None:
            self.saved.append(client.position)

    def _gone(self, client: Client) -> None:
        self._save(client)
        self.clients.remove(client)
        client.stack.close()

    # -- what is lost

    @rule(process=processes, loss=st.sampled_from(("log", "epoch", "all")))
    def lose(self, process: int, loss: str) -> None:
        """Let what is kept run out, or the position too; or all that anybody kept."""
        history = self.histories[LOG]
        if loss == "all":
            self.place.wipe()
        else:
            # Time is too short for others: one more is kept for a short time.
            remember = LONG if loss == "log" else BRIEF
            declared = History(size=SIZE, ttl=BRIEF, remember=remember)
            number = self._number()
            self._publish(process, LOG, [number], Group(LOG, history=declared))
            self._pass_time()
            history.kept = 0
        if loss != "log":
            history.epoch = None
            self.lost |= {*PROCESSES}
            for client in self.clients:
                client.may_be_closed = client.joined and client.group == LOG

    def _pass_time(self) -> None:
        if self.place.pass_time is not None:
            self.place.pass_time(GONE)
            return
        for process in PROCESSES:
            self.call(process, self.apps[process].advance, GONE)


def explore(place: Place, examples: int, *, shrink: bool = True) -> None:
    """Have clients come and go in so many ways."""
    for groups in place.groups:
        groups._make_layer = place.layers
    with ExitStack() as stack:
        portals = [
            stack.enter_context(start_blocking_portal(backend)) for backend in BACKENDS
        ]
        machine = type("Machine", (Clients,), {"place": place, "portals": portals})
        try_out(machine, examples, shrink=shrink)
