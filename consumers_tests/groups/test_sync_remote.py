"""`groups.sync` on a real server: a socket of its own, and no event loop."""

from __future__ import annotations

import multiprocessing
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakSet

import anyio
import msgspec
import pytest
from anyio import fail_after, to_thread

from consumers.errors import (
    ConfigurationError,
    LayerUnavailable,
    MessageNotEncodable,
    StateError,
)
from consumers.groups import Group, Groups, sync, user_group
from consumers.handshake.connection import process_id
from consumers.handshake.identity import Identity
from consumers.history import History, Position
from consumers_tests.groups.members import Recorder, join
from consumers_tests.valkey import PATIENCE, Valkey, free_port


class Said(msgspec.Struct, tag=True):
    name: str
    text: str


def make(url: str) -> Groups:
    """Return groups as a program of its own would make them."""
    return Groups(
        url,
        [
            Group("chat.{channel}", sends=Said, history=History()),
            Group("hall.{name}", sends=Said, history=History(), presence=True),
            Group("plain.{name}"),
        ],
    )


@pytest.fixture
def script(valkey: Valkey) -> Iterator[Groups]:
    """Return the groups of a program without an event loop."""
    groups = make(valkey.url)
    yield groups
    groups.sync.close()


@asynccontextmanager
async def serving(valkey: Valkey) -> AsyncIterator[Groups]:
    """Run the groups of a server."""
    with fail_after(PATIENCE):
        async with make(valkey.url) as groups:
            yield groups


async def until(arrived: Callable[[], bool]) -> None:
    """Wait for what a server sends."""
    with fail_after(5):
        while not arrived():  # noqa: ASYNC110  nobody here is told of it
            await anyio.sleep(0.001)


def member(number: int, user: str) -> Recorder:
    """Return a connection of this process."""
    made = Recorder(user=Identity(user))
    made.id = f"{process_id()}-sync-{number}"
    return made


async def test_everything_reaches_a_server(script: Groups, valkey: Valkey) -> None:
    """A thread of another program publishes to groups, users and one connection."""
    ada, bob = member(1, "ada"), member(2, "bob")
    async with serving(valkey) as groups:
        for each in (ada, bob):
            await join(groups, "chat.lobby", each)
            await join(groups, user_group(each.user.identity), each)
            groups.named(each)

        def work() -> Any:
            first = script.sync.publish("chat.lobby", Said("x", "hello"))
            two = script.sync.publish_many(
                [("chat.lobby", Said("x", "again")), ("plain.other", 1)]
            )
            script.sync.publish_to_user("bob", "psst")
            script.sync.send(bob.id, "only you")
            closed = script.sync.disconnect(user="ada", code=4001, reason="bye")
            return first, two, closed

        first, two, closed = await to_thread.run_sync(work)

        hello = '{"type":"Said","name":"x","text":"hello"}'
        again = '{"type":"Said","name":"x","text":"again"}'
        await until(lambda: len(bob.texts) == 4 and bool(ada.ends))
    # Those of one program arrive in the order of its calls.
    assert bob.texts == [hello, again, '"psst"', '"only you"']
    assert ada.texts == [hello, again]
    assert ada.ends == [(4001, "bye")]
    assert bob.ends == []
    assert first == Position(1, first.epoch)
    assert two == [Position(2, first.epoch), None]
    assert closed == 0  # none in that program


async def test_what_servers_know_can_be_asked(script: Groups, valkey: Valkey) -> None:
    """Presence, counts and histories are those of all processes."""
    ada, again, bob = member(1, "ada"), member(2, "ada"), member(3, "bob")
    async with serving(valkey) as groups:
        for each in (ada, again, bob):
            await join(groups, "hall.lobby", each, presence={"colour": each.id[-1]})
        position = await groups.publish("hall.lobby", Said("x", "hello"))
        await groups.publish("hall.lobby", Said("x", "again"))

        def work() -> Any:
            return (
                script.sync.presence("hall.lobby"),
                script.sync.count("hall.lobby"),
                script.sync.count("hall.lobby", users=True),
                script.sync.history("hall.lobby", position),
                script.sync.history("hall.lobby", limit=1),
            )

        found, count, users, rest, last = await to_thread.run_sync(work)
        assert found == await groups.presence("hall.lobby")

    assert [(each.key, each.connections) for each in found] == [
        ("ada", (ada.id, again.id)),
        ("bob", (bob.id,)),
    ]
    assert (count, users) == (3, 2)
    assert [each.message for each in rest.publications] == [Said("x", "again")]
    assert rest.recovered
    assert rest.position == rest.publications[0].position == last.position
    assert [each.message.text for each in last.publications] == ["again"]
    assert not last.recovered


def test_without_any_event_loop(script: Groups) -> None:
    """A script publishes and asks; an idempotency key makes it once."""
    first = script.sync.publish("hall.a", Said("x", "1"), idempotency_key="k")
    again = script.sync.publish("hall.a", Said("x", "2"), idempotency_key="k")

    assert first == again
    assert [
        each.message.text for each in script.sync.history("hall.a").publications
    ] == ["1"]
    assert script.sync.count("hall.a") == 0
    assert script.sync.presence("hall.a") == []
    assert script.sync.disconnect(user="nobody") == 0


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda it: it.publish("hall.a", "no Said"), TypeError),
        (lambda it: it.publish("plain.a", object()), MessageNotEncodable),
        (lambda it: it.publish("no name", 1), ValueError),
        (lambda it: it.history("plain.a"), ConfigurationError),
        (lambda it: it.presence("undeclared"), ConfigurationError),
        (lambda it: it.count("undeclared"), ConfigurationError),
        (lambda it: it.disconnect(user="a", code=1005), ValueError),
    ],
    ids=["type", "message", "name", "history", "presence", "count", "code"],
)
def test_mistakes_are_told(script: Groups, call: Any, error: type[Exception]) -> None:
    """They are those of the methods to await."""
    with pytest.raises(error):
        call(script.sync)


def test_a_server_that_is_not_there_is_told() -> None:
    """Where nothing is kept for later it is told at once."""
    groups = Groups(f"redis://127.0.0.1:{free_port()}")

    with pytest.raises(LayerUnavailable, match="Connection refused"):
        groups.sync.publish("lobby", 1)


async def test_a_coroutine_is_told_what_to_write(script: Groups) -> None:
    """It would block its event loop, and refuses, before it connects."""
    for call in (
        lambda: script.sync.publish("chat.a", Said("x", "1")),
        lambda: script.sync.disconnect(user="a"),
        lambda: script.sync.count("hall.a"),
    ):
        with pytest.raises(StateError, match=r"write await groups\.publish\(\.\.\.\)"):
            call()


fork = multiprocessing.get_context("fork")


def in_child(groups: Groups) -> None:
    """Do in a forked child what concerns members in the parent."""
    groups.sync.publish("chat.lobby", Said("child", "hello"))
    groups.sync.disconnect(user="ada")


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork")
@pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "control"])
async def test_a_child_of_a_server_publishes(
    valkey: Valkey, guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not ask the event loop of its parent, which does not run in it."""
    ada = member(1, "ada")
    async with serving(valkey) as groups:
        if not guarded:
            monkeypatch.setattr(sync, "_made", WeakSet())
        await join(groups, "chat.lobby", ada)
        await join(groups, user_group("ada"), ada)

        def work() -> int | None:
            groups.sync.publish("chat.lobby", Said("parent", "hello"))
            process = fork.Process(target=in_child, args=(groups,))
            process.start()
            process.join(PATIENCE if guarded else 0.5)
            if process.exitcode is None:
                process.kill()
                process.join(PATIENCE)
            return process.exitcode

        exitcode = await to_thread.run_sync(work)

        assert exitcode == (0 if guarded else -9)
        await until(lambda: len(ada.texts) == 2)
        groups.sync.close()
    assert [msgspec.json.decode(text)["name"] for text in ada.texts] == [
        "parent",
        "child",
    ]
