"""`groups.sync`: from threads of any kind, with errors, and never from a coroutine."""

import gc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any

import anyio
import pytest
from anyio import fail_after, to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from consumers.errors import ConfigurationError, MessageNotEncodable, StateError
from consumers.groups import Excerpt, Group, Groups, user_group
from consumers.handshake.connection import process_id
from consumers.handshake.identity import Identity
from consumers.history import History, Position
from consumers_tests.groups.members import Recorder, join

LOBBY = Group("lobby", presence=True)


async def in_pool(function: Callable[[], Any]) -> Any:
    """Run a function in a worker thread of the event loop."""
    return await to_thread.run_sync(function)


async def in_plain_thread(function: Callable[[], Any]) -> Any:
    """Run a function in a thread that no event loop knows of."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(function)
        while not future.done():  # noqa: ASYNC110  it can't tell this event loop
            await anyio.sleep(0.001)
        return future.result()


async def in_copied_context(function: Callable[[], Any]) -> Any:
    """Run one as Django does a view: in its caller's context, which names a backend."""
    return await in_plain_thread(partial(copy_context().run, function))


every_thread = pytest.mark.parametrize(
    "run", [in_pool, in_plain_thread, in_copied_context]
)


@every_thread
async def test_all_calls_work_from_threads(run: Any) -> None:
    """A thread publishes, asks and disconnects; what it returns is there at once."""
    groups = Groups()
    ada, nobody = Recorder(user=Identity("ada")), Recorder()
    with fail_after(5):
        for member in (ada, nobody):
            await join(groups, LOBBY, member)
        await join(groups, user_group("ada"), ada)

        def work() -> Any:
            groups.sync.publish(LOBBY, "hello")
            groups.sync.publish_to_user("ada", "psst")
            closed = groups.sync.disconnect(user="ada", code=4001, reason="bye")
            return groups.sync.count(LOBBY), groups.sync.presence(LOBBY), closed

        count, present, closed = await run(work)

    assert ada.texts == ['"hello"', '"psst"']
    assert nobody.texts == ['"hello"']
    assert count == 2
    assert [each.key for each in present] == ["ada", nobody.id]
    assert closed == 1
    assert ada.ends == [(4001, "bye")]


@every_thread
async def test_a_connection_need_not_be_in_a_group(run: Any) -> None:
    """Who knows its id can send to it; when it is gone its event loop is left alone."""
    groups = Groups()
    member = Recorder()
    member.id = f"{process_id()}-1"
    groups.named(member)
    with fail_after(5):
        await run(partial(groups.sync.send, f"{process_id()}-2", "nobody"))
        await run(partial(groups.sync.send, member.id, "hello"))
        assert member.texts == ['"hello"']
        assert len(groups.loops) == 1
        del member
        gc.collect()
        assert await run(partial(groups.sync.disconnect, user="ada")) == 0
    assert groups.loops == set()


@every_thread
async def test_without_members_there_is_nothing_to_do(run: Any) -> None:
    """No event loop is needed, and each call returns what is true then."""
    groups = Groups()

    def work() -> Any:
        groups.sync.publish(LOBBY, "hello")
        groups.sync.publish_to_user("ada", "psst")
        return (
            groups.sync.count(LOBBY),
            groups.sync.presence(LOBBY),
            groups.sync.disconnect(user="ada"),
        )

    with fail_after(5):
        assert await run(work) == (0, [], 0)


def test_without_any_event_loop() -> None:
    """A script may publish where nothing runs."""
    assert Groups().sync.count(LOBBY) == 0
    Groups().sync.publish(LOBBY, "hello")
    Groups().sync.close()


def test_what_nobody_hears_is_kept() -> None:
    """A thread publishes before anybody joins; an event loop finds it kept."""
    log = Group("log", history=History())
    groups = Groups("memory://", [log])

    first = groups.sync.publish(log, "one")
    positions = groups.sync.publish_many([(log, "two"), ("lobby", "gone")])
    again = groups.sync.publish(log, "three", idempotency_key="k")
    groups.sync.publish(log, "four", idempotency_key="k")

    async def read() -> Excerpt:
        return await groups.history(log, since=first)

    assert first is not None
    assert positions == [Position(2, first.epoch), None]
    assert again == Position(3, first.epoch)
    excerpt = anyio.run(read)
    assert excerpt == groups.sync.history(log, since=first)
    assert [each.message for each in excerpt.publications] == ["two", "three"]
    assert excerpt.recovered


@every_thread
async def test_one_connection_and_many_groups(run: Any) -> None:
    """`send` reaches the connection with an id, `publish_many` each group's members."""
    groups = Groups()
    ada, bob = Recorder(user=Identity("ada")), Recorder(user=Identity("bob"))
    bob.id = f"{process_id()}-sync-1"
    with fail_after(5):
        await join(groups, "one", ada)
        await join(groups, "two", bob)
        await join(groups, LOBBY, bob)
        groups.named(bob)

        def work() -> int:
            groups.sync.publish_many([("one", 1), ("two", 2)])
            groups.sync.send(bob.id, "only you")
            return groups.sync.count(LOBBY, users=True)

        count = await run(work)

    assert ada.texts == ["1"]
    assert bob.texts == ["2", '"only you"']
    assert count == 1


@every_thread
@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda groups: groups.sync.publish("lobby", object()), MessageNotEncodable),
        (lambda groups: groups.sync.publish("no name", 1), ValueError),
        (lambda groups: groups.sync.publish(None, 1), TypeError),
        (lambda groups: groups.sync.presence("lobby"), ConfigurationError),
        (lambda groups: groups.sync.history("lobby"), ConfigurationError),
        (lambda groups: groups.sync.count("lobby", users=True), ConfigurationError),
        (lambda groups: groups.sync.disconnect(user="a", code=1005), ValueError),
    ],
    ids=["message", "name", "target", "presence", "history", "users", "code"],
)
async def test_errors_come_back(run: Any, call: Any, error: type[Exception]) -> None:
    """What the coroutine raises is raised in the thread."""
    groups = Groups()
    await join(groups, "lobby", Recorder())
    with fail_after(5), pytest.raises(error):
        await run(lambda: call(groups))


async def test_a_coroutine_is_told_what_to_write() -> None:
    """Called from an event loop it would wait for itself, and refuses."""
    with pytest.raises(StateError, match=r"write await groups\.publish\(\.\.\.\)"):
        Groups().sync.publish("lobby", 1)


async def test_from_a_synchronous_view() -> None:
    """Starlette runs a synchronous view in its thread pool, where `sync` works."""
    groups = Groups()
    member = Recorder()

    def view(request: Request) -> Response:
        groups.sync.publish("lobby", "from a view")
        return PlainTextResponse(str(groups.sync.count("lobby")))

    app = Starlette(routes=[Route("/", view)])
    await join(groups, "lobby", member)
    sent: list[Any] = []

    async def send(event: Any) -> None:
        sent.append(event)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "headers": [],
    }
    with fail_after(5):
        await app(scope, receive, send)

    assert sent[1]["body"] == b"1"
    assert member.texts == ['"from a view"']


def test_from_a_view_on_another_event_loop() -> None:
    """A view on one event loop reaches members on another, and survives its end."""
    groups = Groups()

    def view(request: Request) -> Response:
        groups.sync.publish("lobby", "hello")
        return PlainTextResponse(str(groups.sync.count("lobby")))

    async def serve() -> list[str]:
        member = Recorder()
        await join(groups, "lobby", member)
        app = Starlette(routes=[Route("/", view)])
        with fail_after(5):
            response = await to_thread.run_sync(lambda: TestClient(app).get("/"))
        assert response.text == "1"
        return member.texts

    assert anyio.run(serve) == ['"hello"']
    assert len(groups.loops) == 1  # its member did not leave
    groups.sync.publish("lobby", "nobody is there")
    assert groups.loops == set()
    assert groups.sync.count("lobby") == 0
