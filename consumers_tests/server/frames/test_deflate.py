"""Compression: what is agreed on, what comes out, and what it may not cost."""

from __future__ import annotations

import os
import zlib

import pytest
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.headers import build_extension, parse_extension
from websockets.protocol import State
from websockets.uri import parse_uri

from consumers.server.frames import Deflate, DeflateSettings, Frames, negotiate
from consumers_tests.server.frames.clients import client_frame, close_of, fed, values

DEFAULT = "permessage-deflate; client_max_window_bits"
TAIL = b"\x00\x00\xff\xff"
TEXTS = ["hello " * 60, "hello " * 60, "other " * 90, "é" * 200]


def agreed(offer: str = DEFAULT, **settings: int) -> Deflate:
    """Return the compression of a connection."""
    chosen = negotiate([offer], DeflateSettings(**settings))  # type: ignore[arg-type]
    assert chosen is not None
    return chosen[0]


def compressed(data: bytes, bits: int = 15) -> bytes:
    """Return what a client would send of a message by itself."""
    compressor = zlib.compressobj(wbits=-bits)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def client_of(offer: ClientPerMessageDeflateFactory, answer: str) -> ClientProtocol:
    """Return another engine's client that got this answer."""
    client = ClientProtocol(parse_uri("ws://localhost"), state=State.OPEN)
    ((_, parameters),) = parse_extension(answer)
    client.extensions = [offer.process_response_params(parameters, [])]
    return client


@pytest.mark.parametrize("server_alone", [False, True])
@pytest.mark.parametrize("client_alone", [False, True])
@pytest.mark.parametrize("bits", [9, 12, 15])
def test_a_client_and_we_understand_each_other(
    server_alone: bool, client_alone: bool, bits: int
) -> None:
    """Messages go both ways, with and without context takeover, in each window."""
    factory = ClientPerMessageDeflateFactory()
    offer = build_extension([(factory.name, list(factory.get_request_params()))])
    settings = DeflateSettings(server_alone, client_alone, bits, bits, threshold=0)
    chosen = negotiate([offer], settings)
    assert chosen is not None
    frames, client = Frames(1 << 20, deflate=chosen[0]), client_of(factory, chosen[1])

    sent = b"".join(frames.text(text) + frames.binary(b"b" * 999) for text in TEXTS)
    client.receive_data(sent)
    for text in TEXTS:
        client.send_text(text.encode())
    client.send_text(b"frag" * 99, fin=False)
    client.send_continuation(b"ment" * 99, fin=True)
    frames.feed(b"".join(client.data_to_send()))

    expected = [
        frame
        for text in TEXTS
        for frame in (
            Frame(Opcode.TEXT, text.encode()),
            Frame(Opcode.BINARY, b"b" * 999),
        )
    ]
    assert client.events_received() == expected
    assert values(frames) == [*TEXTS, "frag" * 99 + "ment" * 99]
    assert frames.ended is None


@pytest.mark.parametrize(
    ("offers", "settings", "answer"),
    [
        ([], {}, None),
        (["x-webkit-deflate-frame"], {}, None),
        (["permessage-deflate; unknown=1"], {}, None),
        (["permessage-deflate; client_max_window_bits=abc"], {}, None),
        (["permessage-deflate; client_max_window_bits=16"], {}, None),
        (["permessage-deflate; server_max_window_bits=8"], {}, None),
        (["permessage-deflate; server_no_context_takeover=1"], {}, None),
        ([" not; a list;"], {}, None),
        (["permessage-deflate"], {}, "permessage-deflate; server_max_window_bits=12"),
        (
            [DEFAULT],
            {},
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
        ),
        (
            ["foo, permessage-deflate; bar", "permessage-deflate"],
            {"server_no_context_takeover": True, "server_max_window_bits": 10},
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=10",
        ),
        (
            ["permessage-deflate; server_max_window_bits=9, " + "x, " * 300],
            {"client_no_context_takeover": True},
            "permessage-deflate; client_no_context_takeover; server_max_window_bits=9",
        ),
    ],
)
def test_what_is_agreed(
    offers: list[str], settings: dict[str, int], answer: str | None
) -> None:
    """The first offer that fits is taken; one with mistakes is passed over."""
    chosen = negotiate(offers, DeflateSettings(**settings))  # type: ignore[arg-type]

    assert (chosen and chosen[1]) == answer


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("server_max_window_bits", 8),
        ("client_max_window_bits", 16),
        ("memory_level", 0),
        ("level", 10),
    ],
)
def test_settings_have_ranges(name: str, value: int) -> None:
    """A setting that zlib can't have is told at once."""
    with pytest.raises(ValueError, match=rf"{name} must be .*, got {value}"):
        DeflateSettings(**{name: value})  # type: ignore[arg-type]


def test_small_messages_go_as_they_are() -> None:
    """A message below the threshold is neither compressed nor part of the context."""
    frames = Frames(1, deflate=agreed(threshold=10))

    assert frames.text("x" * 9) == b"\x81\x09" + b"x" * 9
    assert frames.binary(b"x" * 9) == b"\x82\x09" + b"x" * 9
    assert frames.text("x" * 10)[0] == 0xC1
    assert frames.binary(b"x" * 10)[0] == 0xC2


def test_who_may_share_a_frame() -> None:
    """Compressed frames are the same for connections that agreed on no context."""
    offers = (DEFAULT, "permessage-deflate; client_no_context_takeover")
    one, two = (agreed(offer, server_no_context_takeover=1) for offer in offers)
    narrow = agreed(server_no_context_takeover=1, server_max_window_bits=10)
    text = b"shared " * 100

    assert one.shared is not None
    assert one.shared == two.shared != narrow.shared
    assert agreed().shared is None
    first = one.compressed_frame(0x81, text)
    assert first == one.compressed_frame(0x81, text) == two.compressed_frame(0x81, text)


def test_a_context_makes_repetitions_small() -> None:
    """With context takeover, what was sent before is not sent again."""
    frames = Frames(1, deflate=agreed())
    text = os.urandom(400).hex()

    assert len(frames.text(text)) > 400
    assert len(frames.text(text)) < 50


def test_an_idle_connection_holds_nothing_of_zlib() -> None:
    """What compresses and inflates is made when first needed, and given back."""
    keeps = agreed()
    alone = agreed(server_no_context_takeover=1, client_no_context_takeover=1)
    for deflate in (keeps, alone):
        assert (deflate._compressor, deflate._inflater) == (None, None)
        frames = Frames(1000, deflate=deflate)
        frames.text("x" * 999)
        frames.feed(client_frame(0xC1, compressed(b"x" * 999)))

    assert None not in (keeps._compressor, keeps._inflater)
    assert (alone._compressor, alone._inflater) == (None, None)


@pytest.mark.parametrize("cut", [1, 7, 1000])
def test_compressed_messages_may_come_in_pieces(cut: int) -> None:
    """Frames and fragments of a compressed message may be cut anywhere."""
    text = "".join(chr(0x100 + byte) for byte in os.urandom(500)) * 3
    data = compressed(text.encode())
    wire = client_frame(0x41, data[:100]) + client_frame(0x89)
    wire += client_frame(0x00) + client_frame(0x80, data[100:])
    wire += client_frame(0x81, b"plain")
    parts = [wire[at : at + cut] for at in range(0, len(wire), cut)]

    frames = fed(parts, deflate=agreed())

    assert values(frames) == [text, "plain"]


def test_uncompressed_messages_need_no_care() -> None:
    """Where compression was agreed on, messages without it are still read."""
    data = (
        client_frame(0x01, b"a") + client_frame(0x80, b"b") + client_frame(0x82, b"c")
    )

    assert values(fed([data], deflate=agreed())) == ["ab", b"c"]


WRONG = {
    "reserved bit of a continuation": (
        client_frame(0x41, compressed(b"a")) + client_frame(0xC0)[:2],
        1002,
    ),
    "reserved bit of a ping": (client_frame(0xC9)[:2], 1002),
    "reserved bit of a close": (client_frame(0xC8)[:2], 1002),
    "another reserved bit": (client_frame(0xE1)[:2], 1002),
    "what can't be inflated": (client_frame(0xC1, b"\xff"), 1007),
    "a reference to before the window": (client_frame(0xC2, b"\x02\x01\x01"), 1007),
    "text that is not UTF-8": (client_frame(0xC1, compressed(b"a\xff")), 1007),
    "text that ends within a character": (
        client_frame(0xC1, compressed(b"a\xc3")),
        1007,
    ),
    "more after the last block": (
        client_frame(0xC2, zlib.compress(b"x" * 9, wbits=-15) + b"\x01"),
        1007,
    ),
    "a frame beyond the limit": (client_frame(0xC2, length=1157)[:4], 1009),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_fails(wrong: str) -> None:
    """Compressed messages have rules of their own, and those of all messages."""
    data, code = WRONG[wrong]

    assert close_of(fed([data], 1000, deflate=agreed())) == (code, True)


@pytest.mark.parametrize("ends", [1, 3])
@pytest.mark.parametrize("padding", [b"", b"\x00"])
def test_a_final_block_ends_a_message_only(ends: int, padding: bytes) -> None:
    """A message may end with a block that says it is the last; others follow it."""
    once = client_frame(0xC1, zlib.compress(b"Hello", wbits=-15) + padding)

    frames = fed([once * ends + client_frame(0xC1, compressed(b"x"))], deflate=agreed())

    assert values(frames) == ["Hello"] * ends + ["x"]


@pytest.mark.parametrize("size", [0, 1, 2043, 2044, 9_999, 10_000])
def test_the_limit_is_that_of_the_inflated_message(size: int) -> None:
    """As many bytes as there may be are inflated, and not one more."""
    right = client_frame(0xC2, compressed(b"x" * size))
    wrong = client_frame(0xC2, compressed(b"x" * 10_001))

    frames = fed([right + wrong], 10_000, deflate=agreed())

    assert values(frames) == [b"x" * size]
    assert close_of(frames) == (1009, True)


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("level", [1, 9])
def test_what_can_not_be_compressed_may_be_as_long(level: int, parts: int) -> None:
    """A message at its limit is read also where compressing has made it longer."""
    noise = os.urandom(10_000)
    compressor = zlib.compressobj(wbits=-15, level=level, memLevel=level)
    data = compressor.compress(noise) + compressor.flush(zlib.Z_SYNC_FLUSH)
    data = data.removesuffix(TAIL)
    ends = [len(data) * n // parts for n in range(parts + 1)]
    pieces = [data[ends[n] : ends[n + 1]] for n in range(parts)]
    opcodes = [0x42, *[0x00] * (parts - 1)]
    opcodes[-1] |= 0x80
    assert len(data) > 10_000

    frames = fed(map(client_frame, opcodes, pieces), 10_000, deflate=agreed())

    assert values(frames) == [noise]


@pytest.mark.parametrize("cut", [1, 50, 1 << 20])
def test_a_bomb_is_not_inflated(cut: int) -> None:
    """However large a message would be, no more than the limit is inflated of it."""
    bomb = client_frame(0xC2, compressed(b"\0" * (1 << 22)))
    made: list[int] = []

    class Counting(Deflate):
        def inflate(self, data: bytes, room: int) -> bytes:
            inflated = super().inflate(data, room)
            made.append(len(inflated))
            return inflated

    deflate = agreed()
    counting = Counting(deflate._agreement)
    parts = [bomb[at : at + cut] for at in range(0, len(bomb), cut)]
    frames = fed(parts, 10_000, deflate=counting)

    assert close_of(frames) == (1009, True)
    assert sum(made) == 10_001


def test_what_was_compressed_well_is_inflated_message_by_message() -> None:
    """What one read can hold of it is not in memory at once: 256 KiB, and one more."""
    size, count = 200 * 1024, 40
    frames, waited = Frames(size, deflate=agreed()), []

    frames.feed(client_frame(0xC2, compressed(b"\0" * size)) * count)
    while frames.messages:
        waited.append(len(frames.messages))
        frames.messages.clear()
        frames.feed(b"")

    assert max(waited) == 2
    assert sum(waited) == count


def test_a_bomb_in_fragments() -> None:
    """Fragments do not each have the whole limit."""
    data = compressed(b"\0" * 30_000)
    half = len(data) // 2
    bomb = client_frame(0x42, data[:half]) + client_frame(0x80, data[half:])

    assert close_of(fed([bomb], 20_000, deflate=agreed())) == (1009, True)


def test_a_message_of_nothing_but_flushes() -> None:
    """What inflates to nothing is bounded by the limit, and by the count of frames."""
    endless = [client_frame(0x42, b""), *[client_frame(0x00, b"\0" + TAIL)] * 99]

    counted = fed(endless, 1000, max_frames=50, deflate=agreed())
    long = fed([client_frame(0xC2, (b"\0" + TAIL) * 300)], 1000, deflate=agreed())

    assert close_of(counted) == (1008, True)
    assert close_of(long) == (1009, True)
