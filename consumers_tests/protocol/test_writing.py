"""Writing: answers as events, without a subprotocol and with it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from consumers.codecs import CODECS, only
from consumers.errors import MessageError
from consumers.history import Position
from consumers.protocol.writing import FRAMED, Answers, Framed, Plain


class Receipt(msgspec.Struct, tag="receipt"):
    number: int


RECEIPT = {"type": "receipt", "number": 1}
ERROR = MessageError("no_room", {"left": 0})


def read(event: Any) -> Any:
    """Return what an event carries."""
    if event is None:
        return None
    assert event["type"] == "websocket.send"
    if event.get("text") is not None:
        return msgspec.json.decode(event["text"])
    return msgspec.msgpack.decode(event["bytes"])


codecs = pytest.mark.parametrize("name", ["json", "msgpack"])


@codecs
def test_plain_answers_without_an_id(name: str) -> None:
    """Values go out as they are; there is nothing to say of None and of an end."""
    answers: Answers = Plain(CODECS[name])

    assert read(answers.reply(None, Receipt(1))) == RECEIPT
    assert answers.reply(None, None) is None
    assert read(answers.item(None, Receipt(1))) == RECEIPT
    assert read(answers.item(None, 0)) == 0
    assert answers.done(None) is None
    assert read(answers.error(None, MessageError("no"))) == {"error": {"code": "no"}}
    assert read(answers.error(None, ERROR)) == {
        "error": {"code": "no_room", "detail": {"left": 0}}
    }


@codecs
@pytest.mark.parametrize("id_", [1, 0, "a", ""])
def test_plain_answers_with_an_id(name: str, id_: int | str) -> None:
    """Each has the id, and a field that tells what it is."""
    answers = Plain(CODECS[name])

    assert read(answers.reply(id_, Receipt(1))) == {"id": id_, "reply": RECEIPT}
    assert read(answers.reply(id_, None)) == {"id": id_, "reply": None}
    assert read(answers.item(id_, None)) == {"id": id_, "item": None}
    assert read(answers.done(id_)) == {"id": id_, "done": True}
    assert read(answers.error(id_, ERROR)) == {
        "id": id_,
        "error": {"code": "no_room", "detail": {"left": 0}},
    }


def test_plain_answers_are_none_of_what_a_class_sends() -> None:
    """A class that says what it sends still answers, by the same kind of message."""
    answers = Plain(only(CODECS["json"], (Receipt,), "Chat"))

    assert read(answers.reply(1, "text")) == {"id": 1, "reply": "text"}
    assert read(answers.error(None, ERROR))["error"]["code"] == "no_room"


@pytest.mark.parametrize("name", ["text", "bytes", "event"])
def test_errors_of_other_types_are_json(name: str) -> None:
    """A class that reads texts or bytes has no other form for them."""
    answers = Plain(CODECS[name])

    assert read(answers.error(None, MessageError("no"))) == {"error": {"code": "no"}}


@codecs
def test_framed_answers_without_an_id(name: str) -> None:
    """Who sent a mere message gets items and errors, and no replies."""
    answers: Answers = Framed(CODECS[name])

    assert answers.reply(None, Receipt(1)) is None
    assert read(answers.item(None, 1)) == {"type": "message", "message": 1}
    assert answers.done(None) is None
    assert read(answers.error(None, MessageError("no"))) == {
        "type": "error",
        "code": "no",
    }


@codecs
def test_framed_answers_with_an_id(name: str) -> None:
    """Each is a frame with the id; null is a reply like any other."""
    answers = Framed(CODECS[name])

    assert read(answers.reply(1, Receipt(1))) == {
        "type": "reply",
        "id": 1,
        "message": RECEIPT,
    }
    assert read(answers.reply(1, None)) == {"type": "reply", "id": 1, "message": None}
    assert read(answers.item(1, None)) == {"type": "item", "id": 1, "message": None}
    assert read(answers.done(1)) == {"type": "done", "id": 1}
    assert read(answers.error(1, ERROR)) == {
        "type": "error",
        "id": 1,
        "code": "no_room",
        "detail": {"left": 0},
    }


@codecs
def test_pushes_and_publications_in_frames(name: str) -> None:
    """Each says what it is; a position comes where there is one."""
    codec = FRAMED[name]

    assert read(codec.encode(Receipt(1))) == {"type": "message", "message": RECEIPT}
    assert codec.publish is not None
    publication = {"type": "publication", "group": "prices.oslo", "message": RECEIPT}
    assert read(codec.publish("prices.oslo", None, Receipt(1))) == publication
    position = Position(5, "e")
    assert read(codec.publish("prices.oslo", position, Receipt(1))) == {
        **publication,
        "position": str(position),
    }


@codecs
def test_what_goes_to_one_client_is_a_message(name: str) -> None:
    """Groups of the framework's own, of a user or a connection, are not named."""
    codec = FRAMED[name]

    assert codec.publish is not None
    assert read(codec.publish("@user.ann", None, 1)) == {
        "type": "message",
        "message": 1,
    }
