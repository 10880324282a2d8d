"""What comes in: messages, control frames, and each rule that a client may break."""

from __future__ import annotations

import pytest

from consumers.server.frames import HIGH, Frames, close_frame
from consumers.server.frames.incoming import Ended
from consumers_tests.server.frames.clients import (
    client_frame,
    close_of,
    fed,
    values,
)

LONG = "é" * 40_000
SIZES = (0, 1, 124, 125, 126, 127, 128, 65_534, 65_535, 65_536, 65_537, 200_000)


def bytewise(data: bytes) -> list[bytes]:
    """Cut into single bytes."""
    return [data[at : at + 1] for at in range(len(data))]


@pytest.mark.parametrize("size", SIZES)
def test_whole_messages_of_each_size(size: int) -> None:
    """A text and a binary message come out as they went in, whatever their size."""
    data = client_frame(0x81, b"t" * size) + client_frame(0x82, b"\xff" * size)

    assert values(fed([data])) == ["t" * size, b"\xff" * size]


@pytest.mark.parametrize("cut", [1, 100, 10_000])
def test_many_messages(cut: int) -> None:
    """As many messages come out, in their order, as went in, however they are cut."""
    sent = [str(number) * (number % 5) for number in range(1000)]
    data = b"".join(client_frame(0x81, text.encode()) for text in sent)

    assert values(fed(data[at : at + cut] for at in range(0, len(data), cut))) == sent


def test_events_are_those_of_asgi() -> None:
    """A message is an event with its type and one of text and bytes."""
    frames = fed([client_frame(0x81, b"a") + client_frame(0x82, b"b")])

    assert frames.messages == [
        {"type": "websocket.receive", "text": "a"},
        {"type": "websocket.receive", "bytes": b"b"},
    ]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 300, 65_536])
@pytest.mark.parametrize("cut", range(1, 16))
def test_frames_may_be_cut_anywhere(size: int, cut: int) -> None:
    """A header or a payload that comes in two parts is put together."""
    data = client_frame(0x81, b"t" * size) + client_frame(0x82, b"b" * size)
    two = [data[:cut], data[cut:]]

    assert values(fed(two)) == ["t" * size, b"b" * size]
    assert values(fed([data[:-cut], data[-cut:]])) == ["t" * size, b"b" * size]


def test_frames_may_come_byte_by_byte() -> None:
    """Every kind of frame is understood one byte at a time."""
    data = (
        client_frame(0x81, "é€😀".encode())
        + client_frame(0x02, b"bin")
        + client_frame(0x89, b"ping")
        + client_frame(0x80, b"ary")
        + client_frame(0x8A, b"pong")
        + client_frame(0x88, b"\x03\xe8bye")
    )

    frames = fed(bytewise(data))

    assert values(frames) == ["é€😀", b"binary"]
    assert frames.pong == b"pong"
    assert frames.replies == [b"\x8a\x04ping", b"\x88\x05\x03\xe8bye"]
    assert frames.ended == Ended(1000, "bye", failed=False)


def test_fragments_are_joined_around_control_frames() -> None:
    """A message in fragments is one message; pings within it are answered."""
    frames = fed(
        [
            client_frame(0x01, b"one ")
            + client_frame(0x89, b"?")
            + client_frame(0x00, b"two ")
            + client_frame(0x00)
            + client_frame(0x80, b"three")
        ]
    )

    assert values(frames) == ["one two three"]
    assert frames.replies == [b"\x8a\x01?"]


def test_a_character_may_be_cut_by_a_fragment() -> None:
    """The bytes of one character may be in several fragments."""
    parts = bytewise("😀é".encode())
    data = client_frame(0x01, parts[0])
    data += b"".join(client_frame(0x00, part) for part in parts[1:])

    assert values(fed([data + client_frame(0x80)])) == ["😀é"]


def test_lengths_may_be_longer_than_needed() -> None:
    """A length in more bytes than it needs is understood."""
    data = b"".join(client_frame(0x82, b"x", width=width) for width in (0, 2, 8))
    ping = client_frame(0x89, b"?", width=8)

    frames = fed([data + ping[:11], ping[11:]])

    assert values(frames) == [b"x"] * 3
    assert frames.replies == [b"\x8a\x01?"]


# What is wrong -> the first part of it that shows it, and the code that it is told.
WRONG = {
    **{
        f"opcode {opcode:#x}": (client_frame(0x80 | opcode)[:2], 1002)
        for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
    },
    **{
        f"reserved bits {bits:#x} with opcode {opcode}": (
            client_frame(0x80 | bits | opcode)[:2],
            1002,
        )
        for bits in (0x10, 0x20, 0x40, 0x70)
        for opcode in (1, 2, 8, 9, 10)
    },
    "reserved bit of a continuation": (
        client_frame(0x01) + client_frame(0xC0)[:2],
        1002,
    ),
    "text that is not masked": (client_frame(0x81, b"hi", mask=None)[:2], 1002),
    "ping that is not masked": (client_frame(0x89, mask=None), 1002),
    "close that is not masked": (client_frame(0x88, mask=None), 1002),
    "ping in fragments": (client_frame(0x09)[:2], 1002),
    "close in fragments": (client_frame(0x08)[:2], 1002),
    "long ping": (client_frame(0x89, b"x" * 126)[:4], 1002),
    "longer pong": (client_frame(0x8A, b"x" * 70_000)[:10], 1002),
    "continuation of nothing": (client_frame(0x00)[:2], 1002),
    "end of nothing": (client_frame(0x80)[:2], 1002),
    "text within a message": (client_frame(0x01) + client_frame(0x81)[:2], 1002),
    "binary within a message": (client_frame(0x02) + client_frame(0x02)[:2], 1002),
    "close of one byte": (client_frame(0x88, b"\x03"), 1002),
    "close with half a character": (client_frame(0x88, b"\x03\xe8\xc3"), 1007),
    "text that is not UTF-8": (client_frame(0x81, b"\xff"), 1007),
    "text that ends within a character": (client_frame(0x81, b"\xe2\x82"), 1007),
    "wrong byte in a frame to come": (
        client_frame(0x81, b"ab\xff", length=9)[:9],
        1007,
    ),
    "wrong byte in a long frame": (
        client_frame(0x81, b"ab\xc0", length=900)[:11],
        1007,
    ),
    "wrong byte in a fragment": (client_frame(0x01, b"a\xf5"), 1007),
    "wrong byte after a fragment": (
        client_frame(0x01, b"\xe2\x82") + client_frame(0x00, b"a", length=5)[:7],
        1007,
    ),
    "half a surrogate pair": (client_frame(0x01, b"\xed\xa0"), 1007),
    "message that ends within a character": (
        client_frame(0x01, b"\xe2") + client_frame(0x80, b"\x82"),
        1007,
    ),
    "length beyond the limit": (client_frame(0x82, length=1001)[:4], 1009),
    "length in eight bytes": (client_frame(0x82, length=1001, width=8)[:10], 1009),
    "length beyond all": (client_frame(0x82, length=1 << 63)[:10], 1009),
    "fragment beyond the limit": (
        client_frame(0x02, b"x" * 999) + client_frame(0x00, length=2)[:2],
        1009,
    ),
    "too many frames": (client_frame(0x02) + client_frame(0x00) * 10, 1008),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_fails_at_once(wrong: str) -> None:
    """A broken rule fails the connection with its last byte, and not a byte before."""
    data, code = WRONG[wrong]
    before = [client_frame(0x81, b"before"), data[:-1]]

    waiting = fed(before, 1000, max_frames=10)
    failed = fed([*before, data[-1:]], 1000, max_frames=10)

    assert waiting.ended is None
    assert values(failed) == ["before"]
    assert close_of(failed) == (code, True)
    assert failed.ended is not None
    assert failed.replies == [close_frame(code, failed.ended.reason)]
    assert failed.close_sent


@pytest.mark.parametrize("wrong", WRONG)
def test_after_a_failure_nothing_is_read(wrong: str) -> None:
    """Whatever follows a failure, in the same read or later, is not read."""
    data, code = WRONG[wrong]
    more = client_frame(0x81, b"more") + client_frame(0x89) + client_frame(0x88)

    frames = fed([data + more, more], 1000, max_frames=10)

    assert close_of(frames) == (code, True)
    assert values(frames) == []
    assert len(frames.replies) == 1


VALID_CODES = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}


def test_close_codes() -> None:
    """The client's code is reported if it may be sent, and is a failure otherwise."""
    for code in [*range(990, 1020), 2999, 3000, 4999, 5000, 65535, 0]:
        payload = code.to_bytes(2, "big") + "é".encode()
        frames = fed([client_frame(0x88, payload)])

        if code in VALID_CODES:
            assert frames.ended == Ended(code, "é", failed=False)
            assert frames.replies == [b"\x88\x04" + payload]
        else:
            assert close_of(frames) == (1002, True)


def test_a_close_without_a_code_is_1005() -> None:
    """An empty close frame is reported as 1005, and answered with an empty one."""
    frames = fed([client_frame(0x88)])

    assert frames.ended == Ended(1005, "", failed=False)
    assert frames.replies == [b"\x88\x00"]
    assert frames.close_sent


def test_a_close_within_a_message_is_a_close() -> None:
    """A client may say goodbye in the middle of a message in fragments."""
    frames = fed([client_frame(0x01, b"half") + client_frame(0x88, b"\x03\xe8")])

    assert frames.ended == Ended(1000, "", failed=False)
    assert values(frames) == []


def test_nothing_follows_a_close() -> None:
    """What a client sends after its close frame is not read."""
    for late in (client_frame(0x81, b"late"), client_frame(0x89), b"\xff" * 9):
        frames = fed([client_frame(0x88) + late, late])

        assert frames.ended == Ended(1005, "", failed=False)
        assert values(frames) == []
        assert frames.replies == [b"\x88\x00"]


@pytest.mark.parametrize("size", [0, 5, 200, 70_000])
def test_after_our_close_messages_are_dropped(size: int) -> None:
    """After our close frame, messages are dropped, pings answered, a close read."""
    frames = Frames(1 << 20)
    closing = frames.close(4000, "enough")

    frames.feed(client_frame(0x81, b"x" * size) + client_frame(0x01, b"x" * size))
    frames.feed(client_frame(0x89, b"?") + client_frame(0x80, b"x" * size))
    frames.feed(client_frame(0x88, b"\x0f\xa0"))

    assert closing == b"\x88\x08\x0f\xa0enough"
    assert values(frames) == []
    assert frames.replies == [b"\x8a\x01?"]
    assert frames.ended == Ended(4000, "", failed=False)


def test_after_our_close_rules_still_hold() -> None:
    """A client that breaks a rule after our close frame gets no second one."""
    frames = Frames(1 << 20)
    frames.close()

    frames.feed(client_frame(0x81, b"\xff"))

    assert close_of(frames) == (1007, True)
    assert frames.replies == []


def test_limits_are_inclusive() -> None:
    """A message of just as many bytes and frames as may be is received."""
    whole = client_frame(0x82, b"x" * 1000)
    parts = client_frame(0x02, b"x" * 990) + client_frame(0x00, b"x") * 9
    parts += client_frame(0x80, b"x")

    frames = fed([whole + parts], 1000, max_frames=11)

    assert values(frames) == [b"x" * 1000] * 2
    assert frames.ended is None


@pytest.mark.parametrize("limit", [0, 3, 124])
def test_limits_below_a_short_frame(limit: int) -> None:
    """A limit may be smaller than what the shortest kind of header can tell."""
    right = client_frame(0x81, b"x" * limit)

    frames = fed([right * 2 + client_frame(0x81, b"x" * (limit + 1))], limit)

    assert values(frames) == ["x" * limit] * 2
    assert close_of(frames) == (1009, True)


def test_reading_stops_while_messages_wait() -> None:
    """No more than HIGH messages wait; the rest is read when it is asked for."""
    frames = Frames(1 << 20)
    data = client_frame(0x81, b"m") * (HIGH + 1) + client_frame(0x88)

    frames.feed(data)
    lagging = (len(frames.messages), frames.lagging, frames.ended)
    frames.feed(b"")
    still = (len(frames.messages), frames.lagging, frames.ended)
    frames.messages.clear()
    frames.feed(b"")

    assert lagging == still == (HIGH, True, None)
    assert values(frames) == ["m"]
    assert not frames.lagging
    assert close_of(frames) == (1005, False)


@pytest.mark.parametrize("first", [0x89, 0x8A, 0x01])
def test_a_flood_of_frames_is_read_in_parts(first: int) -> None:
    """Others have a turn after 256 control frames, or fragments; nothing is lost."""
    part = client_frame(first if first != 0x01 else 0x00)
    data = client_frame(first) + part * 1023 + client_frame(0x8A, b"the last")
    frames, parts, pongs = Frames(1 << 20), 1, 0

    frames.feed(data)
    while frames.lagging:
        assert frames.pong != b"the last"
        pongs += len(frames.replies)
        frames.replies.clear()
        parts += 1
        frames.feed(b"")

    assert parts == 5  # 1,025 frames
    assert pongs == (1024 if first == 0x89 else 0)
    assert frames.pong == b"the last"
    assert frames.ended is None


def test_what_comes_while_it_lags_is_kept() -> None:
    """Input that comes although messages wait is read after what came before."""
    frames = Frames(1 << 20)
    one = [client_frame(0x82, bytes((number,))) for number in range(HIGH + 3)]

    frames.feed(b"".join(one[:-1]))
    frames.feed(one[-1])
    assert len(frames.messages) == HIGH
    frames.messages = []
    frames.feed(b"")

    assert values(frames) == [bytes((HIGH + number,)) for number in range(3)]


def test_just_enough_messages_leave_nothing_unread() -> None:
    """HIGH messages and nothing after them do not make it lag."""
    frames = Frames(1 << 20)

    frames.feed(client_frame(0x81, b"m") * HIGH)

    assert len(frames.messages) == HIGH
    assert not frames.lagging


def test_our_close_ends_the_waiting() -> None:
    """After our close frame, messages that wait do not keep the client's from us."""
    frames = Frames(1 << 20)
    frames.feed(client_frame(0x81, b"m") * (HIGH + 9) + client_frame(0x88))

    frames.close(1000)
    frames.feed(b"")

    assert len(frames.messages) == HIGH
    assert close_of(frames) == (1005, False)


def test_the_owner_may_put_another_list() -> None:
    """Messages go into the list that is there when reading begins."""
    frames = Frames(1 << 20)
    frames.feed(client_frame(0x81, b"one"))
    first, frames.messages = frames.messages, []

    frames.feed(client_frame(0x81, b"two"))

    assert [event["text"] for event in first] == ["one"]
    assert values(frames) == ["two"]
