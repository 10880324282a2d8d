"""The forms that name a codec: each reads and writes its own, whatever is set."""

from typing import Any

import pytest

from consumers.errors import InvalidMessage, MessageNotEncodable
from consumers.websocket import WebSocket
from consumers_tests.peer import Peer, binary, text

PACKED = b"\x81\xa1a\x01"


@pytest.mark.parametrize(
    ("form", "event", "message"),
    [
        ("receive", text("a"), "a"),
        ("receive_text", text(""), ""),
        ("receive_bytes", binary(b""), b""),
        ("receive_json", text('{"a":1}'), {"a": 1}),
        ("receive_msgpack", binary(PACKED), {"a": 1}),
    ],
)
async def test_each_form_reads_its_own(
    form: str, event: dict[str, Any], message: object
) -> None:
    """A message is returned as its form says."""
    peer = Peer()
    async with peer.opens(WebSocket) as ws:
        peer.says(event)

        assert await getattr(ws, form)() == message


@pytest.mark.parametrize(
    ("form", "event", "code"),
    [
        ("receive", binary(b"a"), 1003),
        ("receive_text", binary(b"a"), 1003),
        ("receive_bytes", text("a"), 1003),
        ("receive_json", binary(b"{}"), 1003),
        ("receive_json", text("{"), 1007),
        ("receive_msgpack", text("a"), 1003),
        ("receive_msgpack", binary(b"\xc1"), 1007),
    ],
)
async def test_each_form_refuses_what_is_not_its_own(
    form: str, event: dict[str, Any], code: int
) -> None:
    """The error knows the close code, and the next message can still be read."""
    peer = Peer()
    async with peer.opens(WebSocket) as ws:
        peer.says(event, text("next"))
        with pytest.raises(InvalidMessage) as caught:
            await getattr(ws, form)()

        assert caught.value.close_code == code
        assert await ws.receive() == "next"


@pytest.mark.parametrize(
    ("form", "message", "sent"),
    [
        ("send", "a", "a"),
        ("send_text", "", ""),
        ("send_bytes", b"", b""),
        ("send_json", {"a": 1}, '{"a":1}'),
        ("send_msgpack", {"a": 1}, PACKED),
    ],
)
async def test_each_form_writes_its_own(
    form: str, message: object, sent: str | bytes
) -> None:
    """A message is sent as its form says."""
    peer = Peer()
    async with peer.opens(WebSocket) as ws:
        await getattr(ws, form)(message)

        assert peer.messages == [sent]


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("send", b"a"),
        ("send_text", 1),
        ("send_bytes", "a"),
        ("send_json", object()),
        ("send_msgpack", object()),
    ],
)
async def test_each_form_tells_what_it_cannot_send(form: str, message: object) -> None:
    """Nothing is sent then, and the connection goes on."""
    peer = Peer()
    async with peer.opens(WebSocket) as ws:
        with pytest.raises(MessageNotEncodable):
            await getattr(ws, form)(message)
        await ws.send("next")

        assert peer.messages == ["next"]
