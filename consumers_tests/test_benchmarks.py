"""The benchmarks: each workload runs, and a wrong answer is never counted."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

import msgspec
import pytest

pytest.importorskip("uvloop", reason="the load generator runs on uvloop")
if not hasattr(os, "sched_setaffinity"):
    pytest.skip("the benchmarks need Linux", allow_module_level=True)

from consumers_tests.benchmarks import __main__ as command_line
from consumers_tests.benchmarks import frames, report
from consumers_tests.benchmarks.catalogue import (
    BROKER_PEERS,
    MESSAGE,
    PEERS,
    REFERENCE,
    SERVERS,
    STOCK,
    WORKLOADS,
    Peer,
)
from consumers_tests.benchmarks.jobs import Job, Plan, Sample, Server, Side
from consumers_tests.benchmarks.measure import MeasurementError, Pair, load, running
from consumers_tests.benchmarks.processes import ServerError, serve


@pytest.fixture(scope="module")
def raw() -> Iterator[list[Server]]:
    """Serve the raw ASGI application."""
    with serve(SERVERS[STOCK], REFERENCE.app) as server:
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


@pytest.mark.parametrize(
    "name", [name for name, each in WORKLOADS.items() if each.peers is PEERS]
)
def test_each_workload_runs(name: str, raw: list[Server]) -> None:
    """Each workload gives a cost against raw ASGI, with fewer connections."""
    sample = briefly(WORKLOADS[name].plan, raw)

    if name == "memory":
        assert sample.rate is None
    else:
        assert sample.cost > 0
        assert sample.rate is not None
        assert sample.rate > 0
        assert sample.busy is not None
        assert 0 < sample.busy <= 1


@pytest.mark.parametrize("peer", BROKER_PEERS, ids=lambda peer: peer.name)
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
        pytest.param("broadcast", "/echo", id="not-delivered-to-all"),
        pytest.param("churn", "/nowhere", id="refused"),
        pytest.param("memory", "/nowhere", id="idle-refused"),
    ],
)
def test_a_wrong_answer_is_noticed(name: str, path: str, raw: list[Server]) -> None:
    """A workload on a route that answers something else fails and gives no figure."""
    plan = msgspec.structs.replace(WORKLOADS[name].plan, path=path)
    if name == "echo1":
        body = msgspec.json.encode(MESSAGE).decode()
        plan = msgspec.structs.replace(plan, body=body)

    with pytest.raises(MeasurementError, match="WrongReplyError: expected"):
        briefly(plan, raw, patience=0.5)


def test_a_server_that_does_not_start_is_told() -> None:
    """A module that isn't there ends the start with the server's own words."""
    absent = replace(REFERENCE, app="consumers_tests.benchmarks.peers.absent:app")

    with (
        pytest.raises(ServerError, match="Could not import module"),
        serve(SERVERS[STOCK], absent.app),
    ):
        raise AssertionError


def test_an_error_in_the_server_is_told() -> None:
    """A traceback in the server's log ends its block with an error."""
    no_application = REFERENCE.app.replace(":app", ":views")

    with (
        pytest.raises(ServerError, match="logged an error"),
        serve(SERVERS[STOCK], no_application) as server,
        pytest.raises(frames.WrongReplyError),
    ):
        frames.connect(server.port, "/echo")


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


def test_a_long_frame_has_a_longer_header() -> None:
    """A payload of 126 bytes takes two more bytes of length (RFC 6455 5.2)."""
    short, long = frames.server_frame(b"x" * 125), frames.server_frame(b"x" * 126)

    assert (len(short), len(long)) == (127, 130)
    assert frames.payload_of(long) == b"x" * 126


def test_the_ratio_is_taken_within_each_pair() -> None:
    """A table shows the median and the range of the rounds' own ratios."""
    slow = Pair(Sample(20.0, 50.0, 0.5), Sample(40.0, 25.0, 0.5))
    fast = Pair(Sample(10.0, 100.0, 0.5), Sample(10.0, 100.0, 0.5))

    text = report.table("Echo", "us", {"gone": [], "peer": [slow, fast, fast]})

    assert text.splitlines()[-4:] == [
        "| peer | us | ratio | min-max | per s | client busy |",
        "|---|---:|---:|---:|---:|---:|",
        "| peer | 10.00 | **1.00** | 0.50-1.00 | 100 | 0.50 |",
        "| gone | failed |  |  |  |  |",
    ]


def test_delays_are_shown_where_they_were_measured() -> None:
    """Half and 99 of a hundred deliveries have columns in a broadcast's table."""
    sample = Sample(20.0, 50.0, 0.5, 1.25, 4.5)

    text = report.table("Broadcast", "us", {"peer": [Pair(sample, sample)]})

    assert "| client busy | p50 ms | p99 ms |" in text
    assert text.splitlines()[-1].endswith("| 0.50 | 1.25 | 4.50 |")


def test_peers_and_workloads_are_chosen_by_parts_of_names() -> None:
    """Parts of names with commas between choose in the catalogue's order; none, all."""
    names = [peer.name for peer in PEERS]

    assert command_line.chosen(names, "") == names
    assert command_line.chosen(names, "channels,RAW") == ["raw ASGI", "Channels"]


@pytest.mark.parametrize(
    "arguments",
    [["--rounds", "0"], ["--seconds", "30"], ["--only", "nobody"], ["--server", "x"]],
)
def test_wrong_arguments_are_refused(arguments: list[str]) -> None:
    """A wrong argument ends the command with 2, before a server is started."""
    with pytest.raises(SystemExit) as ended:
        command_line.main(arguments)

    assert ended.value.code == 2


def test_the_command_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """One short round prints the machine, a table and the peer's ratio."""
    arguments = "--rounds 1 --seconds 0.05 --only starlette --loads json"

    assert command_line.main(arguments.split()) == 0

    printed = capsys.readouterr().out
    assert "CPUs, load average" in printed
    assert "### Echo of JSON, one field changed, 64 connections" in printed
    assert "| Starlette | " in printed
    assert "failed" not in printed
