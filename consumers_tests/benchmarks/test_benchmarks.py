"""The benchmarks: each workload runs, and a wrong answer is never counted."""

import os
import resource
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

import msgspec
import pytest

pytest.importorskip("uvloop", reason="the load generator runs on uvloop")
if not hasattr(os, "sched_setaffinity"):
    pytest.skip("the benchmarks need Linux", allow_module_level=True)

from consumers_tests.benchmarks import __main__ as command_line
from consumers_tests.benchmarks import contests, frames, rows
from consumers_tests.benchmarks.catalogue import (
    CORE,
    KIBIBYTE,
    MESSAGE,
    WORKLOADS,
    Workload,
    allowed,
)
from consumers_tests.benchmarks.jobs import Job, Plan, Sample, Server, Side
from consumers_tests.benchmarks.measure import MeasurementError, load, running
from consumers_tests.benchmarks.processes import ServerError, serve
from consumers_tests.benchmarks.rows import OURS, REFERENCE, Peer
from consumers_tests.benchmarks.servers import SERVERS, STOCK

COMMAND = SERVERS[STOCK].command


@pytest.fixture(scope="module")
def raw() -> Iterator[list[Server]]:
    """Serve the raw ASGI application."""
    with serve(COMMAND, REFERENCE.app) as server:
        yield [server]


@pytest.fixture(scope="module")
def ours() -> Iterator[list[Server]]:
    """Serve this framework's groups, by two processes and a broker."""
    workload = WORKLOADS["numbers-valkey"]
    with running(SERVERS[STOCK], workload.reference, workload) as side:
        yield side.servers


def briefly(plan: Plan, servers: Sequence[Server], *, patience: float = 10) -> Sample:
    """Run a plan for a moment, with few connections.

    A right answer is waited for, however busy the machine; a wrong one need not be.
    """
    few = msgspec.structs.replace(plan, connections=4, settle=0.3)
    side = Side(few, [*servers])
    (sample,) = load(Job([side], seconds=0.05, patience=patience))
    return sample


def here(peers: Sequence[Peer]) -> list[Peer]:
    """Return those peers whose packages are installed."""
    return [peer for peer in peers if not peer.missing()]


@pytest.mark.parametrize(
    "name",
    [*CORE, "typed1", "request", "request1", "large", "compressed-kibibyte"],
)
def test_each_workload_runs(name: str, raw: list[Server]) -> None:
    """Each workload gives a cost against raw ASGI, with fewer connections."""
    sample = briefly(WORKLOADS[name].plan, raw)

    assert sample.compressed is (True if "compressed" in name else None)
    if name == "memory":
        assert sample.rate is None
    else:
        assert sample.cost > 0
        assert sample.rate is not None
        assert sample.rate > 0
        assert sample.busy is not None
        assert 0 < sample.busy <= 1


@pytest.mark.parametrize("peer", here(rows.BROADCAST), ids=lambda peer: peer.name)
def test_each_peer_broadcasts(peer: Peer) -> None:
    """Each peer's members get all of several messages on their way, each once."""
    plain = WORKLOADS["broadcast16"].plan
    plan = msgspec.structs.replace(plain, compress=not peer.changes)
    workload = Workload("", plan, [peer])

    with running(SERVERS[STOCK], peer, workload) as side:
        sample = briefly(side.plan, side.servers)

    assert sample.cost > 0


@pytest.mark.parametrize("peer", here(rows.TYPED), ids=lambda peer: peer.name)
def test_each_peer_answers_what_has_a_type(peer: Peer) -> None:
    """Each peer replies with a message of another type, and by the same words."""
    with running(SERVERS[STOCK], peer, WORKLOADS["typed"]) as side:
        sample = briefly(side.plan, side.servers)

    assert sample.cost > 0


@pytest.mark.parametrize("name", [name for name in SERVERS if name != STOCK])
def test_each_server_serves(name: str) -> None:
    """Each server that is installed answers, and its CPU time is found."""
    peer = replace(REFERENCE, server=SERVERS[name])
    if peer.missing():
        assert contests.Contest("", peer, peer).missing() == peer.missing()
        return

    with running(SERVERS[STOCK], peer, WORKLOADS["echo1"]) as side:
        sample = briefly(side.plan, side.servers)

    assert sample.cost > 1


@pytest.mark.parametrize("peer", here(rows.BY_BROKER), ids=lambda peer: peer.name)
def test_each_peer_broadcasts_through_a_broker(peer: Peer) -> None:
    """Each peer's members get what is sent, each once, by way of the broker."""
    workload = replace(WORKLOADS["redis"], processes=1)

    with running(SERVERS[STOCK], peer, workload) as side:
        sample = briefly(side.plan, side.servers)

    assert sample.cost > 0
    assert sample.median is not None
    assert sample.slowest is not None
    assert 0 < sample.median <= sample.slowest


@pytest.mark.parametrize("name", ["sizes", "numbers", "passing"])
def test_each_kind_of_groups_runs(name: str, ours: list[Server]) -> None:
    """Groups of different sizes and numbers, and others in passing, give a cost."""
    workload = WORKLOADS[f"{name}-valkey"]
    last = workload.peers[-1]
    plan = msgspec.structs.replace(workload.plan, **last.changes)

    sample = briefly(plan, ours)

    assert sample.cost > 0
    assert bool(sample.passed) == (name == "passing")


@pytest.mark.parametrize(
    ("name", "path"),
    [
        pytest.param("echo1", "/json", id="text-changed"),
        pytest.param("json", "/echo", id="json-not-changed"),
        pytest.param("broadcast16", "/echo", id="not-delivered-to-all"),
        pytest.param("compressed-kibibyte", "/json", id="compressed-changed"),
        pytest.param("churn", "/nowhere", id="refused"),
        pytest.param("memory", "/nowhere", id="idle-refused"),
    ],
)
def test_a_wrong_answer_is_noticed(name: str, path: str, raw: list[Server]) -> None:
    """A workload on a route that answers something else fails and gives no figure."""
    plan = msgspec.structs.replace(WORKLOADS[name].plan, path=path)
    if path == "/json":
        body = msgspec.json.encode(MESSAGE).decode()
        plan = msgspec.structs.replace(plan, body=body)

    with pytest.raises(MeasurementError, match="WrongReplyError: expected"):
        briefly(plan, raw, patience=0.5)


def test_a_server_that_does_not_start_is_told() -> None:
    """A module that isn't there ends the start with the server's own words."""
    absent = replace(REFERENCE, app="consumers_tests.benchmarks.peers.absent:app")

    with (
        pytest.raises(ServerError, match="Could not import module"),
        serve(COMMAND, absent.app),
    ):
        raise AssertionError


def test_an_error_in_the_server_is_told() -> None:
    """A traceback in the server's log ends its block with an error."""
    no_application = REFERENCE.app.replace(":app", ":views")

    with (
        pytest.raises(ServerError, match="logged an error"),
        serve(COMMAND, no_application) as server,
        pytest.raises(frames.WrongReplyError),
    ):
        frames.connect(server.port, WORKLOADS["echo1"].plan)


@pytest.mark.parametrize("size", [1, 2, 5, 19, 200])
def test_replies_are_counted_however_they_are_cut(size: int) -> None:
    """Replies that arrive in pieces of any size are counted once each."""
    frame = frames.server_frame(b"seventeen letters")
    replies = frames.Replies(frame, window=100)
    stream = frame * 10

    counts = [
        replies.feed(stream[at : at + size]) for at in range(0, len(stream), size)
    ]

    assert sum(counts) == replies.received == 10


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(frames.server_frame(b"ab") + frames.server_frame(b"aX"), id="2nd"),
        pytest.param(frames.server_frame(b"ab", opcode=2), id="opcode"),
        pytest.param(frames.server_frame(b"ab") * 3, id="more-than-the-window"),
    ],
)
def test_each_byte_of_each_reply_is_checked(data: bytes) -> None:
    """A later reply that differs, and one too many, are as wrong as a first one."""
    replies = frames.Replies(frames.server_frame(b"ab"), window=2)

    with pytest.raises(frames.WrongReplyError, match="expected"):
        replies.feed(data)


def test_compressed_replies_are_read() -> None:
    """What differs in bytes is the same reply as long as it says the same."""
    deflate = zlib.compressobj(wbits=-15)

    def compressed(text: bytes) -> bytes:
        data = deflate.compress(text) + deflate.flush(zlib.Z_SYNC_FLUSH)
        return frames.server_frame(data.removesuffix(frames.TAIL), 0x40 | frames.TEXT)

    stream = compressed(b"abcabc") + compressed(b"abcabc")
    replies = frames.CompressedReplies(b"abcabc")

    assert [replies.feed(stream[at : at + 1]) for at in range(len(stream))].count(
        1
    ) == 2
    assert replies.feed(frames.server_frame(b"abcabc")) == 1
    for wrong in (compressed(b"abcabd"), frames.server_frame(b"abcabc", opcode=2)):
        with pytest.raises(frames.WrongReplyError, match="expected"):
            frames.CompressedReplies(b"abcabc").feed(wrong)


@pytest.mark.parametrize(("size", "header"), [(125, 2), (126, 4), (65536, 10)])
def test_a_long_frame_has_a_longer_header(size: int, header: int) -> None:
    """A payload of 126 bytes takes two more bytes of length, 64 KiB eight."""
    frame = frames.server_frame(b"x" * size)

    assert len(frame) == size + header
    assert frames.payload_of(frame) == b"x" * size
    assert len(KIBIBYTE) == 1024


def test_peers_and_workloads_are_chosen_by_parts_of_names() -> None:
    """Parts with commas between choose in the catalogue's order; none, all."""
    names = [peer.name for peer in rows.FRAMEWORKS]

    assert contests.chosen(names, "") == names
    assert contests.chosen(names, "starlette,RAW") == [
        *("raw ASGI", "Starlette endpoint", "Starlette function"),
    ]
    assert contests.chosen(names, "Channels,consumers") == ["consumers", "Channels"]


def test_no_more_connections_than_files() -> None:
    """A machine that allows fewer connections than wanted gets fewer."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)

    assert allowed(10) == 10
    assert allowed(10 * most) < most
    assert allowed(10 * most, 2) < most / 2


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--rounds", "0"], ["--seconds", "30"], ["--only", "nobody"]),
        *(["--server", "x"], ["--against", "nowhere"], ["--pairs", "nobody"]),
    ],
)
def test_wrong_arguments_are_refused(arguments: list[str]) -> None:
    """A wrong argument ends the command with 2, before a server is started."""
    with pytest.raises(SystemExit) as ended:
        command_line.main(arguments)

    assert ended.value.code == 2


def test_the_command_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """One short round prints the machine, a table and the peer's ratio."""
    arguments = "--rounds 1 --seconds 0.05 --only function --loads json"

    assert command_line.main(arguments.split()) == 0

    printed = capsys.readouterr().out
    assert "CPUs, " in printed
    assert "**Echo of JSON, one field changed, 64 connections" in printed
    assert "| Starlette function | " in printed
    assert "failed" not in printed


def test_what_is_not_here_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peer whose package is missing has a row that says so, and nothing fails."""
    absent = replace(OURS, name="later", needs=["no_such_package"])
    workload = replace(WORKLOADS["echo1"], peers=[REFERENCE, absent])
    monkeypatch.setitem(WORKLOADS, "echo1", workload)

    assert command_line.main(["--only", "later", "--loads", "echo1"]) == 0

    assert "| later | not here: no_such_package |" in capsys.readouterr().out
