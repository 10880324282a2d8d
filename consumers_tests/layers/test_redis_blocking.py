"""The blocking client on a real server: threads, forks, faults, and what it asks."""

from __future__ import annotations

import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor

import anyio
import pytest
from anyio import fail_after, to_thread

from consumers.history import History, Position
from consumers.layers import Count, Entry
from consumers.layers.redis import blocking, blocking_servers
from consumers.layers.redis.blocking import BlockingClient
from consumers.layers.redis.calls import Calls
from consumers_tests.layers.blocking import (
    NAMES,
    Ear,
    client_of,
    everything,
)
from consumers_tests.layers.conformance.tools import KEEP, Note, messages
from consumers_tests.valkey import PATIENCE, Valkey, free_port


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every wait of the client a short one."""
    monkeypatch.setattr(blocking, "PATIENCE", 0.3)
    monkeypatch.setattr(blocking_servers, "READ_TIMEOUT", 0.2)


# -- what it says ----------------------------------------------------------------------


def test_publications_are_heard_and_kept(
    client: BlockingClient, valkey: Valkey
) -> None:
    """Those of groups with history have positions; all are heard, in order."""
    ear = Ear(valkey, "a", "b")

    positions = client.publish(
        [Note("a", 1, KEEP), Note("b", 2), Note("a", 3, KEEP), Note("b", 4)]
    )

    first, second = positions[0], positions[2]
    assert first is not None
    assert second is not None
    assert positions == [first, None, Position(2, first.epoch), None]
    assert first.offset == 1
    assert ear.heard(4) == [
        ("a", 1, first),
        ("b", 2, None),
        ("a", 3, second),
        ("b", 4, None),
    ]
    ear.close()


def test_many_go_in_one_round_trip(client: BlockingClient, valkey: Valkey) -> None:
    """A thousand publications are on the way before the first answer is read."""
    client.publish([Note("a", 0)])
    before = int(info(valkey, "total_reads_processed"))

    client.publish([Note(f"g{number}", "x" * 20) for number in range(1000)])

    assert int(info(valkey, "total_reads_processed")) - before < 200


def info(valkey: Valkey, name: str) -> str:
    """Return one of the server's figures."""
    found: str = valkey.command("INFO").decode().partition(f"{name}:")[2]
    return found.partition("\r")[0]


def test_a_publication_without_history_goes_by_what_is_kept(
    client: BlockingClient,
) -> None:
    """A program that does not know what a group keeps does no harm to it."""
    client.publish([Note("a", 1, KEEP)])
    (position,) = client.publish([Note("a", 2)])

    assert position is not None
    assert position.offset == 2
    assert everything(client) == [1, 2]


def test_an_idempotency_key_makes_it_once(client: BlockingClient) -> None:
    """A second publication with the key has the position of the first."""
    first = client.publish([Note("a", 1, KEEP, idempotency_key="k")])
    again = client.publish([Note("a", 2, KEEP, idempotency_key="k")])

    assert first == again
    assert everything(client) == [1]


def test_histories_are_replayed(client: BlockingClient) -> None:
    """All, the last, what came after a position, or where it stands."""
    positions = client.publish([Note("a", number, KEEP) for number in range(5)])

    replay = client.history("a", KEEP, since=positions[2])

    assert messages(replay.kept) == [3, 4]
    assert replay.complete
    assert replay.position == positions[-1]
    assert messages(client.history("a", KEEP, limit=2).kept) == [3, 4]
    assert client.history("a", KEEP, limit=0).kept == ()
    assert not client.history("a", KEEP, since=Position(1, "other")).complete
    assert client.positions(["a", "b"]) == [positions[-1], None]


def test_who_is_present_is_told(client: BlockingClient, valkey: Valkey) -> None:
    """In the order of entering; they are counted without being fetched."""
    calls = Calls(NAMES, "node-1")
    entries = [
        Entry("c-1", "ada", b"1"),
        Entry("c-2", "bob", b"2"),
        Entry("c-3", "ada", b"3"),
    ]
    enter = calls.enter("a", entries, 30.0, retried=False)
    valkey.command("EVAL", *enter.by_text())

    assert client.present("a") == entries
    assert client.count("a") == Count(connections=3, users=2)
    assert client.present("b") == []


def test_a_server_that_forgot_the_scripts_is_taught_again(
    client: BlockingClient, valkey: Valkey
) -> None:
    """After SCRIPT FLUSH everything works, at once and once."""
    client.publish([Note("a", 1, KEEP)])
    valkey.command("SCRIPT", "FLUSH")

    client.publish([Note("a", 2, KEEP), Note("a", 3, KEEP)])

    assert everything(client) == [1, 2, 3]


# -- where it works --------------------------------------------------------------------


def test_threads_share_it(client: BlockingClient) -> None:
    """Each thread's publications keep their order; nothing is lost or mixed up."""

    def work(thread: int) -> list[Position | None]:
        return [
            client.publish([Note("a", (thread, number), History(size=2000))])[0]
            for number in range(50)
        ]

    with ThreadPoolExecutor(8) as pool:
        positions = [each for found in pool.map(work, range(8)) for each in found]

    found = everything(client)
    assert len({each.offset for each in positions if each}) == 400
    for thread in range(8):
        assert [n for who, n in found if who == thread] == list(range(50))


def work_in_child(client: BlockingClient, child: int) -> None:
    def work(thread: int) -> None:
        for number in range(100):
            note = Note("a", [child, thread, number], History(size=2000))
            client.publish([note])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    client.close()


fork = multiprocessing.get_context("fork")
forks = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork")


@forks
def test_forked_children_have_connections_of_their_own(client: BlockingClient) -> None:
    """4 processes x 4 threads publish 100 each, while the parent does: all, once."""
    client.publish([Note("warm", 0)])
    done = threading.Event()

    def parent() -> int:
        count = 0
        while not done.is_set():
            client.publish([Note("parent", count, History(size=100_000))])
            count += 1
        return count

    with ThreadPoolExecutor(1) as pool:
        count = pool.submit(parent)
        children = [
            fork.Process(target=work_in_child, args=(client, child))
            for child in range(4)
        ]
        for process in children:
            process.start()
        for process in children:
            process.join(PATIENCE)
        done.set()
        published = count.result(PATIENCE)

    assert [process.exitcode for process in children] == [0] * 4
    replay = client.history("a", KEEP)
    assert [each.position.offset for each in replay.kept] == list(range(1, 1601))
    found = [tuple(each) for each in messages(replay.kept)]
    for child in range(4):
        for thread in range(4):
            own = [n for c, t, n in found if (c, t) == (child, thread)]
            assert own == list(range(100))
    assert everything(client, "parent") == list(range(published))


def publish_one(client: BlockingClient) -> None:
    client.publish([Note("a", "from the child", KEEP)])


@forks
@pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "control"])
def test_a_lock_that_is_held_while_forking_holds_up_nobody(
    client: BlockingClient, guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child begins anew, whatever another thread of its parent was doing."""
    if not guarded:
        monkeypatch.setattr(BlockingClient, "forked", lambda self: None)
    process = fork.Process(target=publish_one, args=(client,))
    with client._servers._lock:
        process.start()
    process.join(PATIENCE if guarded else 1.0)
    stuck = process.is_alive()
    if stuck:
        process.kill()
        process.join(PATIENCE)

    assert stuck is not guarded
    assert everything(client) == (["from the child"] if guarded else [])


async def test_a_thread_of_an_asynchronous_program(client: BlockingClient) -> None:
    """It blocks its thread, and not the event loop."""
    with fail_after(5):
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                note = Note("a", number, KEEP)
                tasks.start_soon(to_thread.run_sync, client.publish, [note])
        assert sorted(await to_thread.run_sync(everything, client)) == list(range(20))


def test_nothing_is_connected_before_it_is_used() -> None:
    """It is made at import time, where there may be no server yet, and no thread."""
    threads = threading.active_count()
    made = client_of(f"redis://127.0.0.1:{free_port()}")

    made.close()

    assert threading.active_count() == threads


def test_it_can_be_used_after_closing(client: BlockingClient) -> None:
    """Closing closes connections; the next call makes new ones."""
    client.publish([Note("a", 1, KEEP)])
    client.close()
    client.publish([Note("a", 2, KEEP)])

    assert everything(client) == [1, 2]
