"""Clients that send what no honest client does."""

from __future__ import annotations

import json
import random
from collections import deque

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from consumers_tests.server.hostile import HANDSHAKES, attack, random_bytes

from .application import TYPES
from .live import PATIENCE, Live, new_key

FAULTS = {1003, 1007, 1008, 1009}
"""The codes that say that the client's message was wrong."""


@pytest.mark.parametrize(
    "attacks",
    [
        pytest.param(list(HANDSHAKES.values()), id="handshakes"),
        pytest.param(random_bytes(60, seed=7), id="random"),
    ],
)
def test_bystanders_are_served(live: Live, attacks: list[bytes]) -> None:
    """Malformed handshakes and random bytes end no server and no other connection."""
    with live.connect(f"/class/echo/{new_key()}") as bystander:
        attack(live.address, attacks)

        with live.connect(f"/function/echo/{new_key()}") as newcomer:
            for client in (bystander, newcomer):
                client.send("still here")
                assert client.recv(timeout=PATIENCE) == "still here"


def payloads(seed: int) -> list[tuple[bytes, bool]]:
    """Return payloads of messages, and whether they are sent as text."""
    source = random.Random(seed)
    order = b'{"type": "order", "item": "x", "count": 1}'
    made = [
        b"",
        b"\x00",
        b"\xff\xfe",
        b"\xed\xa0\x80",
        b'"\\ud800"',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"type": "order", "item": ' + b"[" * 50_000,
        b"[" * 100_000 + b"]" * 100_000,
        b"\x91" * 100_000,
        b"\x81\xa1a" * 50_000,
        b"9" * 10_000,
        b"-1e999999",
        b'{"count": ' + b"9" * 5_000 + b"}",
        b'{"type": null}',
        b'{"type": ["order"]}',
        b'{"type": "order", "type": "cancel"}',
        b'{"__class__": "os.system"}',
        b"\xdf\xff\xff\xff\xff",
        b"\xdd\xff\xff\xff\xff",
        b"x" * (1024 * 1024 + 1),
        json.dumps({"type": "order", "item": "x", "count": 2**70}).encode(),
    ]
    for _ in range(5):
        made.append(source.randbytes(source.randrange(1, 200)))
        changed = bytearray(order)
        for _ in range(source.randrange(1, 5)):
            changed[source.randrange(len(changed))] = source.randrange(256)
        made.append(bytes(changed))
    return [(payload, text) for payload in made for text in (True, False)]


def feed(client: ClientConnection, waiting: deque[tuple[bytes, bool]]) -> int:
    """Send until the server closes; return its code, 1006 where there is none.

    Where nothing is left to send, 1000.
    """
    try:
        while waiting:
            payload, text = waiting.popleft()
            client.send(payload, text=text)
            assert client.recv(timeout=PATIENCE) == "ok"
    except ConnectionClosed as error:
        return 1006 if error.rcvd is None else error.rcvd.code
    return 1000


@pytest.mark.parametrize("name", [*TYPES, "msgpack"])
def test_a_payload_is_handled_or_the_clients_fault(live: Live, name: str) -> None:
    """A message has its type, or closes with a code that blames the client."""
    waiting = deque(payloads(seed=11))
    codes = set()
    with live.connect(f"/class/echo/{new_key()}") as bystander:
        while waiting:
            with live.connect(f"/typed/{name}") as client:
                codes.add(feed(client, waiting))

        bystander.send("still here")
        assert bystander.recv(timeout=PATIENCE) == "still here"
    if live.kind == "wsproto":
        codes -= {1006}  # uvicorn drops there whose text is not UTF-8
    assert {1009} < codes <= {*FAULTS, 1000}
