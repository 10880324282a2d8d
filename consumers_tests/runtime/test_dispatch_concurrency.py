"""Messages of one client: in order, or so many at once; nothing waits behind a hook."""

import anyio
from anyio.lowlevel import checkpoint

from consumers import App, WebSocketConsumer, WebSocketRoute
from consumers.testing import ServerStyle, TestClient
from consumers_tests.doubles import Journal, both_servers, serving


class Gated(WebSocketConsumer):
    """Handles a message once the test opens its gate."""

    journal: Journal
    gates: dict[str, anyio.Event]

    async def on_connect(self) -> None:
        await self.join("room")

    async def on_receive(self, message: str) -> None:
        self.journal.add(f"begin {message}")
        await self.gates[message].wait()
        self.journal.add(f"end {message}")

    async def on_disconnect(self, code: int) -> None:
        self.journal.add("on_disconnect")


def gated(concurrency: int, messages: str) -> type[Gated]:
    """Return a class that handles so many at once, with a gate for each message."""

    class Handling(Gated):
        journal = Journal()
        gates = {message: anyio.Event() for message in messages}  # noqa: RUF012

    Handling.concurrency = concurrency
    return Handling


@both_servers
async def test_by_default_one_message_is_handled_at_a_time(
    server: ServerStyle,
) -> None:
    """With a concurrency of one each message waits for the end of the one before."""
    consumer = gated(1, "abc")

    async with serving(consumer) as client, client.connect("/", server=server) as ws:
        for message in "abc":
            await ws.send(message)
        await client.settle()
        assert consumer.journal == ["begin a"]
        for message in "cba":
            consumer.gates[message].set()
        await consumer.journal.wait_for("end c")

    assert consumer.journal[:-1] == [f"{verb} {m}" for m in "abc" for verb in VERBS]


VERBS = ("begin", "end")


@both_servers
async def test_so_many_messages_are_handled_at_once_and_no_more(
    server: ServerStyle,
) -> None:
    """The concurrency is a bound; the next message begins when one has ended."""
    consumer = gated(3, "abcde")

    async with serving(consumer) as client, client.connect("/", server=server) as ws:
        for message in "abcde":
            await ws.send(message)
        await client.settle()
        assert consumer.journal == ["begin a", "begin b", "begin c"]
        consumer.gates["b"].set()
        await client.settle()
        assert consumer.journal[3:] == ["end b", "begin d"]
        for gate in consumer.gates.values():
            gate.set()

    assert sorted(consumer.journal.started("end")) == [f"end {m}" for m in "abcde"]
    assert consumer.journal[-1] == "on_disconnect"


@both_servers
async def test_pushes_do_not_wait_behind_a_hook(server: ServerStyle) -> None:
    """A publication reaches the client while its hook works, with any concurrency."""
    for concurrency in (1, 2):
        consumer = gated(concurrency, "abc")
        app = App([WebSocketRoute("/", consumer)])
        async with TestClient(app) as client, client.connect("/", server=server) as ws:
            for message in "abc":
                await ws.send(message)
            await client.settle()
            await app.groups.publish("room", "push")

            assert await ws.receive() == "push"
            for gate in consumer.gates.values():
                gate.set()


@both_servers
async def test_the_departure_does_not_wait_for_a_free_place(
    server: ServerStyle,
) -> None:
    """With all places taken and messages waiting, groups are left soon all the same."""
    consumer = gated(2, "abcd")
    app = App([WebSocketRoute("/", consumer)])

    async with TestClient(app) as client, client.connect("/", server=server) as ws:
        for message in "abcd":
            await ws.send(message)
        await client.settle()
        assert await app.groups.count("room") == 1
        await ws.drop()
        await client.settle()
        assert await app.groups.count("room") == 0
        for gate in consumer.gates.values():
            gate.set()

    assert sorted(consumer.journal.started("end")) == [f"end {m}" for m in "abcd"]


@both_servers
async def test_a_handler_that_closes_runs_on_and_the_others_are_cancelled(
    server: ServerStyle,
) -> None:
    """With concurrency too `close()` lets its own hook run on, for any time."""
    journal, go_on = Journal(), anyio.Event()

    class Closing(WebSocketConsumer):
        concurrency = 2

        async def on_receive(self, message: str) -> None:
            if message == "close":
                await self.close(4000)
                await go_on.wait()
                journal.add("ran on")
            else:
                journal.add(message)
                try:
                    await anyio.sleep_forever()
                finally:
                    journal.add(f"{message} cancelled")

    async with serving(Closing) as client, client.connect("/", server=server) as ws:
        for text in ("work", "close", "late"):
            ws._transport.client_sends({"type": "websocket.receive", "text": text})
        assert (await ws.receive_close()).code == 4000
        await client.advance(60)
        go_on.set()
        await client.settle()

    assert journal == ["work", "work cancelled", "ran on"]


async def test_a_handler_that_raises_ends_the_others() -> None:
    """An exception of one closes with 1011 and cancels those that run beside it."""
    journal = Journal()

    class Failing(WebSocketConsumer):
        concurrency = 2

        async def on_receive(self, message: str) -> None:
            if message == "raise":
                raise ValueError("a bug")
            try:
                await anyio.sleep_forever()
            finally:
                journal.add("cancelled")

        async def on_disconnect(self, code: int) -> None:
            journal.add(code)

    async with serving(Failing, quiet=True) as client, client.connect("/") as ws:
        await ws.send("work")
        await client.settle()
        await ws.send("raise")
        assert (await ws.receive_close()).code == 1011

    assert journal == ["cancelled", 1011]


async def test_a_malformed_message_ends_it_when_the_others_are_done() -> None:
    """Those that are handled may finish; then it is closed for what the client sent."""
    journal, go_on = Journal(), anyio.Event()

    class Reading(WebSocketConsumer):
        concurrency = 2

        async def on_receive(self, message: int) -> None:
            await go_on.wait()
            await self.send(message)
            journal.add(message)

    async with serving(Reading) as client, client.connect("/") as ws:
        await ws.send("1")
        await ws.send("x")
        await client.settle()
        go_on.set()
        assert await ws.receive() == "1"
        assert (await ws.receive_close()).code == 1007

    assert journal == [1]


async def test_a_kick_lets_handlers_finish_within_finish_timeout() -> None:
    """Closed from outside, what runs has `finish_timeout`, and nothing new begins."""
    consumer = gated(2, "abc")
    consumer.finish_timeout = 3.0
    instances: list[Gated] = []

    class Kicked(consumer):  # type: ignore[valid-type, misc]
        async def on_connect(self) -> None:
            instances.append(self)

    async with serving(Kicked) as client, client.connect("/") as ws:
        for message in "abc":
            await ws.send(message)
        await client.settle()
        instances[0].end(4001)
        consumer.gates["a"].set()
        await client.settle()
        assert consumer.journal == ["begin a", "begin b", "end a"]
        await client.advance(3)
        assert (await ws.receive_close()).code == 4001

    assert consumer.journal == ["begin a", "begin b", "end a", "on_disconnect"]


async def test_a_flood_of_ready_messages_lets_others_run() -> None:
    """A client that sends without a pause does not keep other tasks from running."""
    turns = 0

    class Echo(WebSocketConsumer):
        async def on_receive(self, message: str) -> None:
            await self.send(message)

    async with serving(Echo) as client, client.connect("/") as ws:
        for _ in range(1000):
            ws._transport.client_sends({"type": "websocket.receive", "text": ""})
        while len(ws._transport.unread) < 1000:
            turns += 1
            await checkpoint()

    assert turns >= 1000 // 64
