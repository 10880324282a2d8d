"""Over limit: every limit that is exceeded is counted, and logged once a second."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, get_args

import anyio
import msgspec
import pytest

from consumers import (
    App,
    Group,
    Groups,
    Identity,
    InvalidMessage,
    Limits,
    NotAllowed,
    Rate,
    WebSocketConsumer,
    WebSocketRoute,
    receives,
)
from consumers.over_limit import LimitName, exceeded, note_misfit, over_limit
from consumers.server.limiting import limited
from consumers.testing import ClientConnection, Refused, TestClient
from consumers_tests.doubles import serving
from consumers_tests.excesses import Excesses
from consumers_tests.framed import JSON

Scenario = Callable[[], Awaitable[None]]

# Of servers of ours, where a client that is a socket exceeds them.
ELSEWHERE = {
    "header_timeout": "server/test_uvicorn_http.py, server/test_trio_http_hostile.py",
    "ws_max_frames": "server/test_serve.py",
    "ws_max_size": "server/test_serve.py",
}


class Say(msgspec.Struct, tag="say"):
    text: Any


class Count(msgspec.Struct, tag="count"):
    pass


class Echo(WebSocketConsumer):
    value_type = "json"

    async def on_receive(self, message: Any) -> None:
        await self.send(message)


class Typed(WebSocketConsumer):
    @receives
    async def say(self, message: Say) -> Say:
        return message


@asynccontextmanager
async def two(
    consumer: type[WebSocketConsumer], *offers: str, **bounds: Any
) -> AsyncIterator[tuple[TestClient, list[ClientConnection]]]:
    """Serve a class with these limits, and connect twice."""
    async with (
        serving(consumer, limits=Limits(**bounds)) as client,
        AsyncExitStack() as stack,
    ):
        ends = [client.connect("/", subprotocols=offers) for _ in range(2)]
        sockets = [await stack.enter_async_context(end) for end in ends]
        for ws in sockets if offers else ():
            await ws.receive_json()  # welcome
        yield client, sockets


async def refused_twice(
    client: TestClient, status: int, seconds: float = 0, **options: Any
) -> None:
    """Connect twice, at once, and be refused, after so many seconds."""

    async def connect() -> None:
        with pytest.raises(Refused) as caught:
            async with client.connect("/", **options):
                pass
        assert caught.value.status == status

    async with anyio.create_task_group() as group:
        group.start_soon(connect)
        group.start_soon(connect)
        if seconds:
            await client.settle()
            await client.advance(seconds)


# -- connections ----------------------------------------------------------------------


def crowded(name: str, status: int) -> Scenario:
    """Return what connects as often as a limit allows, and then twice more."""

    async def scenario() -> None:
        anna: dict[str, Any] = {"identity": Identity("anna")}
        one: dict[str, Any] = {name: 1}
        bounds = Limits(**one)
        async with (
            serving(Echo, limits=bounds) as client,
            client.connect("/", **anna),
        ):
            await refused_twice(client, status, **anna)

    return scenario


async def full_server() -> None:
    """Connect to a server that serves one connection, and then twice more."""
    app: Any = limited(App([WebSocketRoute("/", Echo)]), 1)
    async with TestClient(app) as client, client.connect("/"):
        await refused_twice(client, 503)


async def late_handshakes() -> None:
    """Wait for an accept that does not come."""

    class Slow(Echo):
        async def on_handshake(self) -> None:
            await anyio.sleep_forever()

    async with serving(Slow, limits=Limits(handshake_timeout=7)) as client:
        await refused_twice(client, 408, 7)


# -- messages -------------------------------------------------------------------------


def closed(message: str, code: int, **bounds: Any) -> Scenario:
    """Return what has two connections closed by a message each."""

    async def scenario() -> None:
        async with two(Echo, **bounds) as (_, sockets):
            for ws in sockets:
                await ws.send(message)
                assert (await ws.receive_close()).code == code

    return scenario


def answered(*offers: str, **bounds: Any) -> Scenario:
    """Return what sends two messages that are answered with an error."""

    async def scenario() -> None:
        say: Any = {"type": "say", "text": [1, 2, [3, 4, [5]]]}
        async with two(Typed, *offers, **bounds) as (_, (ws, _)):
            for number in (1, 2):
                framed = {"type": "request", "id": number, "message": say}
                await ws.send_json(framed if offers else {**say, "id": number})
                error = await ws.receive_json()
                assert error["id"] == number
                assert error.get("error", error)["code"] == "too_large"

    return scenario


async def caught_by_a_view() -> None:
    """Send two messages to a view that goes on, and one that ends it."""
    app = App(limits=Limits(message_bytes=5))

    @app.websocket_route("/")
    async def view(ws: Any) -> None:
        for _ in range(2):
            with suppress(InvalidMessage):
                await ws.receive()
        await ws.receive()

    async with TestClient(app) as client, client.connect("/") as ws:
        for _ in range(3):
            await ws.send("too long")
        assert (await ws.receive_close()).code == 1009


def too_fast(message: str) -> Scenario:
    """Return what sends more messages, or larger ones, than come back in time."""
    name = "message_rate" if len(message) == 1 else "byte_rate"
    bounds: Any = {"message_rate": None, name: Rate(1, 3), "over_rate": "close"}

    async def scenario() -> None:
        async with two(Echo, **bounds) as (_, sockets):
            for ws in sockets:
                for _ in range(1 + 3 // len(message)):
                    await ws.send(message)
                assert await ws.receive() == message
                await ws.close()

    return scenario


# -- times ----------------------------------------------------------------------------


async def handled_for_long() -> None:
    """Have two messages handled for longer than they may be."""

    class Waiting(Echo):
        async def on_receive(self, message: Any) -> None:
            await anyio.sleep_forever()

    async with two(Waiting, handler_timeout=5) as (client, sockets):
        for ws in sockets:
            await ws.send_json(1)
        await client.settle()
        await client.advance(5)
        for ws in sockets:
            assert (await ws.receive_close()).code == 1013


def answered_late(*offers: str) -> Scenario:
    """Return what sends two messages that are answered with a timeout."""

    class Waiting(Typed):
        @receives
        async def say(self, message: Say) -> Say:
            await anyio.sleep_forever()
            return message

    async def scenario() -> None:
        say = {"type": "say", "text": 1}
        async with two(Waiting, *offers, handler_timeout=5) as (client, (ws, _)):
            for number in (1, 2):
                framed = {"type": "request", "id": number, "message": say}
                await ws.send_json(framed if offers else {**say, "id": number})
                await client.settle()
                await client.advance(5)
                error = await ws.receive_json()
                assert error.get("error", error)["code"] == "timeout"

    return scenario


async def idle() -> None:
    """Say nothing."""
    async with two(Echo, idle_timeout=5) as (client, sockets):
        await client.advance(5)
        for ws in sockets:
            assert (await ws.receive_close()).code == 1001


async def silent() -> None:
    """Give no sign of life."""
    bounds = {"heartbeat": 20.0, "heartbeat_timeout": 5.0}
    async with two(Typed, JSON, **bounds) as (client, sockets):
        await client.advance(25)
        for ws in sockets:
            while (await ws.receive_json())["type"] != "goodbye":
                pass
            assert (await ws.receive_close()).code == 4408


async def slow_to_end() -> None:
    """Leave hooks that do not end."""

    class Lasting(Echo):
        async def on_disconnect(self, code: int) -> None:
            await anyio.sleep_forever()

    async with two(Lasting, disconnect_timeout=3) as (client, sockets):
        for ws in sockets:
            await ws.close()
        await client.advance(3)


# -- groups ---------------------------------------------------------------------------


async def member_of_too_many() -> None:
    """Join one group more than is allowed, twice."""

    class Joining(Echo):
        async def on_connect(self) -> None:
            for name in ("one", "two", "three"):
                with suppress(NotAllowed):
                    await self.join(name)

    bounds = Limits(groups=1)
    async with serving(Joining, limits=bounds) as client, client.connect("/"):
        await client.settle()


async def stalled() -> None:
    """Read nothing, both, and have one publication more wait than may."""

    class Member(Echo):
        async def on_connect(self) -> None:
            await self.join("room")

    groups = Groups(declared=[Group("room")])
    app = App(
        [WebSocketRoute("/", Member)],
        groups=groups,
        limits=Limits(outbox_messages=2, close_timeout=1),
    )
    async with (
        TestClient(app) as client,
        client.connect("/") as one,
        client.connect("/") as other,
    ):
        await client.settle()
        for ws in (one, other):
            await ws.stall(0)
        for number in range(4):
            await groups.publish("room", number)
            await client.settle()
        await client.advance(1)
        assert await groups.count("room") == 0


SCENARIOS: list[tuple[LimitName, str, Scenario, int]] = [
    ("connections", "503: limits.connections", crowded("connections", 503), 2),
    (
        "connections_per_address",
        "429: limits.connections_per_address",
        crowded("connections_per_address", 429),
        2,
    ),
    (
        "connections_per_user",
        "429: limits.connections_per_user",
        crowded("connections_per_user", 429),
        2,
    ),
    ("limit_concurrency", "503: limit_concurrency allows 1", full_server, 2),
    ("handshake_timeout", "of Slow refused with 408", late_handshakes, 2),
    (
        "message_bytes",
        "of Echo got a message beyond limits.message_bytes: got 6 bytes, at most 5",
        closed('"1234"', 1009, message_bytes=5),
        2,
    ),
    ("message_bytes", "limits.message_bytes: got 8", caught_by_a_view, 3),
    ("message_items", "2 items", closed("[1, 2, 3]", 1008, message_items=2), 2),
    ("message_items", "at most 6 items", answered(message_items=6), 2),
    ("message_items", "at most 8 items", answered(JSON, message_items=8), 2),
    ("message_depth", "1 levels", closed("[[1]]", 1008, message_depth=1), 2),
    ("message_depth", "3 levels", answered(message_depth=3), 2),
    ("message_depth", "4 levels", answered(JSON, message_depth=4), 2),
    ("message_rate", "limits.message_rate allows, 1 a second", too_fast("1"), 2),
    ("byte_rate", "limits.byte_rate allows, 1 a second", too_fast("12"), 2),
    ("handler_timeout", "not handle a message within 5 s", handled_for_long, 2),
    ("handler_timeout", "not handle a message within 5 s", answered_late(), 2),
    ("handler_timeout", "not handle a message within 5 s", answered_late(JSON), 2),
    ("idle_timeout", "1001: no message came for 5 s", idle, 2),
    ("heartbeat_timeout", "4408: no sign of life for 5 s", silent, 2),
    ("disconnect_timeout", "on_disconnect cancelled, after 3 s", slow_to_end, 2),
    ("groups", "limits.groups allows 1", member_of_too_many, 2),
    ("outbox", "closed with 1013, it reads too slowly", stalled, 2),
]


@pytest.mark.parametrize(
    ("limit", "text", "scenario", "times"),
    SCENARIOS,
    ids=[f"{limit}-{number}" for number, (limit, *_) in enumerate(SCENARIOS)],
)
async def test_a_limit_that_is_exceeded(
    limit: str, text: str, scenario: Scenario, times: int, excesses: Excesses
) -> None:
    """Each time counts, by the limit and for no other, and there is one line of it."""
    await scenario()

    assert excesses.counted == {limit: times}
    assert text in excesses.line


def test_every_limit_has_such_a_test() -> None:
    """Here, or where real clients are: none is counted that is not shown to be."""
    assert sorted({limit for limit, *_ in SCENARIOS} | ELSEWHERE.keys()) == sorted(
        get_args(LimitName)
    )
    tests = Path(__file__).parent
    for limit, files in ELSEWHERE.items():
        for file in files.split(", "):
            assert f'counted == {{"{limit}": ' in (tests / file).read_text()


@pytest.mark.parametrize("offers", [[], [JSON]], ids=["plain", "framed"])
async def test_a_message_that_is_read_ahead_is_counted_once(
    offers: list[str], excesses: Excesses
) -> None:
    """It is looked at twice: whether it must not wait, and when it is its turn."""
    go_on = anyio.Event()

    class Busy(Typed):
        @receives
        async def count(self, message: Count) -> AsyncIterator[int]:
            yield 1
            await go_on.wait()

    def message(number: int, fields: dict[str, Any]) -> dict[str, Any]:
        if offers:
            return {"type": "request", "id": number, "message": fields}
        return {**fields, "id": number}

    bounds = Limits(message_items=8)
    async with (
        serving(Busy, limits=bounds) as client,
        client.connect("/", subprotocols=offers) as ws,
    ):
        if offers:
            await ws.receive_json()
        await ws.send_json(message(1, {"type": "count"}))
        await ws.receive_json()
        too_many = ["cancel", 2, 3, 4, 5, 6, 7, 8]
        await ws.send_json(message(2, {"type": "say", "text": too_many}))
        await client.settle()
        assert excesses.counted == {}
        go_on.set()
        while (answer := await ws.receive_json())["id"] == 1:
            pass

    assert answer.get("error", answer)["code"] == "too_large"
    assert excesses.counted == {"message_items": 1}


async def test_within_the_limits_nothing_is_counted(excesses: Excesses) -> None:
    """The control: who does as others do is not told of."""
    async with serving(Typed) as client:
        for offers in ([], [JSON]):
            async with client.connect("/", subprotocols=offers) as ws:
                if offers:
                    await ws.receive_json()
                await ws.send_json({"type": "say", "text": 1})
                await ws.receive_json()
                await ws.send_json({"type": "no such type"})
                await ws.receive_json()
                await ws.send("no JSON")
                if offers:
                    await ws.receive_json()  # goodbye
                assert (await ws.receive_close()).code == 1007

    assert excesses.counted == {}
    assert excesses.lines == []


def test_a_line_says_whose_connection_it_is(excesses: Excesses) -> None:
    """Where there is one: by its id and its class."""

    class Chat:
        id = "7-1"

    exceeded("groups", "may not join %d", 3, by=Chat())
    exceeded("header_timeout", "cut off")

    assert excesses.lines == ["connection 7-1 of Chat may not join 3", "cut off"]


def test_a_message_is_counted_once(excesses: Excesses) -> None:
    """However many learn of the error; and none whose fault is another one."""

    class Chat:
        id = "7-1"

    error = InvalidMessage(1009, "too big", "got 6", limit="message_bytes")
    for each in (error, error, InvalidMessage(1007, "no JSON"), ValueError(), None):
        note_misfit(Chat(), each)

    assert excesses.counted == {"message_bytes": 1}
    assert excesses.line.endswith("beyond limits.message_bytes: got 6")
    assert over_limit["message_bytes"] >= 1
