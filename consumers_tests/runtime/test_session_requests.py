"""Requests over `consumers.v1`: ids, keys, errors, and what is no frame."""

from __future__ import annotations

import msgspec
import pytest

from consumers import WebSocketConsumer, receives
from consumers_tests.framed import JSON, MSGPACK, framed

both_codecs = pytest.mark.parametrize("protocol", [JSON, MSGPACK])


class Add(msgspec.Struct, tag="add"):
    a: int
    b: int = 0


class Fail(msgspec.Struct, tag="fail"):
    how: str


class Sums(WebSocketConsumer):
    @receives
    async def add(self, message: Add) -> int:
        return message.a + message.b

    @receives
    async def fail(self, message: Fail) -> None:
        from consumers import MessageError, NotAllowed

        if message.how == "message":
            raise MessageError("too_late", {"by": 3})
        if message.how == "not_allowed":
            raise NotAllowed("the reason is not for the client")
        raise ZeroDivisionError("nor is this")


@both_codecs
async def test_an_id_may_be_used_again_once_it_is_answered(protocol: str) -> None:
    """Also after an error."""
    async with framed(Sums, protocol) as (_, peer):
        for _ in range(2):
            answer = await peer.ask(2**53 - 1, {"type": "add", "a": 1})
            assert answer == {"type": "reply", "id": 2**53 - 1, "message": 1}
            answer = await peer.ask(1, {"type": "fail", "how": "message"})
            assert answer == {
                "type": "error",
                "id": 1,
                "code": "too_late",
                "detail": {"by": 3},
            }


async def test_nothing_internal_is_on_the_wire() -> None:
    """Neither why something is not allowed, nor what went wrong inside."""
    async with framed(Sums, quiet=True) as (_, peer):
        answer = await peer.ask(1, {"type": "fail", "how": "not_allowed"})
        assert answer == {"type": "error", "id": 1, "code": "not_allowed"}
        answer = await peer.ask(2, {"type": "fail", "how": "exception"})
        assert answer == {"type": "error", "id": 2, "code": "internal"}
        goodbye, code = await peer.end()

    assert goodbye == {"type": "goodbye", "code": 1011, "reconnect": True}
    assert code == 1011


@pytest.mark.parametrize(
    "id_", [0, -1, 2**53, 1.0, 1.5, "1", None, True, [1], {"a": 1}], ids=repr
)
async def test_an_id_is_a_small_whole_number(id_: object) -> None:
    """Everything else is refused without an id, and the connection goes on."""
    async with framed(Sums) as (_, peer):
        await peer.send("request", id=id_, message={"type": "add", "a": 1})
        error = await peer.receive()
        assert (error["code"], "id" in error) == ("invalid_message", False)
        assert (await peer.ask(1, {"type": "add", "a": 1}))["message"] == 1


@pytest.mark.parametrize("key", ["", "x" * 129, 5], ids=["empty", "long", "number"])
async def test_a_key_is_a_short_text(key: object) -> None:
    """Else the request is refused by its id."""
    async with framed(Sums) as (_, peer):
        answer = await peer.ask(1, {"type": "add", "a": 1}, key=key)
        assert (answer["id"], answer["code"]) == (1, "invalid_message")


@pytest.mark.parametrize(
    ("protocol", "data", "code"),
    [
        (JSON, "{", 1007),
        (JSON, b"{}", 1003),
        (MSGPACK, b"\xc1", 1007),
        (MSGPACK, "{}", 1003),
    ],
)
async def test_what_is_no_frame_at_all_closes(
    protocol: str, data: str | bytes, code: int
) -> None:
    """After a goodbye that says not to come back."""
    async with framed(Sums, protocol) as (_, peer):
        await peer.ws.send(data)
        goodbye, closed_with = await peer.end()

    assert goodbye == {"type": "goodbye", "code": code, "reconnect": False}
    assert closed_with == code
