"""What the document says is what the consumer takes: all of it, and nothing else."""

from __future__ import annotations

import json
import os
from typing import Any, Final

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumers.errors import InvalidMessage
from consumers.protocol.reading import Refused
from consumers.schema import asyncapi
from consumers.testing import TestClient
from consumers_tests.schema.applications import Cancel, Chat, Order, Shop, app
from consumers_tests.schema.strategies import Schema, Values

DOCUMENT: Final = asyncapi(app)
VALUES: Final = Values(DOCUMENT["components"]["schemas"])
SHOP: Final = DOCUMENT["channels"]["Shop"]
MESSAGES: Final[dict[str, Any]] = DOCUMENT["channels"]["Chat"]["messages"]

EXAMPLES: Final = int(os.environ.get("CONSUMERS_SCHEMA_EXAMPLES", "100"))
"""How many messages a test makes: 10,000 take some minutes."""


def tries(count: int) -> settings:
    """Return settings for so many examples: the same each time, if they are few."""
    return settings(
        max_examples=count,
        deadline=None,
        derandomize="CONSUMERS_SCHEMA_EXAMPLES" not in os.environ,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )


PLAN: Final = Chat.prepare()


def payloads() -> list[Schema]:
    """Return the schemas of what the document says that the chat receives."""
    names = [
        each["$ref"].rpartition("/")[2]
        for operation in DOCUMENT["operations"].values()
        for each in operation["messages"]
        if operation["action"] == "receive"
        and operation["channel"]["$ref"] == "#/channels/Chat"
    ]
    return [MESSAGES[name]["payload"] for name in names]


def plain(message: Any) -> Any:
    """Read a message as it comes without a subprotocol."""
    event = {"text": json.dumps(message)}
    try:
        return PLAN.reader().decode(event)
    except InvalidMessage as error:
        return PLAN.reader().cancelled_by(event, error)


def framed(message: Any) -> Any:
    """Read a message of `consumers.v1+json`."""
    frame = {"type": "request", "id": 1, "message": message}
    return PLAN.frame_reader("json").read({"text": json.dumps(frame)}).message


def refusals(message: Any) -> set[str]:
    """Return the codes that a message is refused with, by either."""
    codes = set()
    for read in (plain, framed):
        with pytest.raises(Refused) as refused:
            read(message)
        codes.add(refused.value.answer.code)
    return codes


FITTING: Final = st.one_of([VALUES.fitting(each) for each in payloads()])
MISFITS: Final = st.one_of([VALUES.misfits(each, tag="type") for each in payloads()])
TAGS: Final = ("say", "whisper", "ask", "all", "rename")


@tries(EXAMPLES)
@given(message=FITTING)
def test_every_message_of_the_document_is_accepted(message: Any) -> None:
    """What fits the document's schemas is read as the type that its tag names."""
    taken = plain(message)

    assert taken.__struct_config__.tag == message["type"]
    assert framed(message) == taken
    # MessagePack has other forms for bytes and keys: it is what the types make of it.
    data = msgspec.msgpack.encode({"type": "message", "message": taken})
    assert PLAN.frame_reader("msgpack").read({"bytes": data}).message == taken


@tries(EXAMPLES)
@given(message=MISFITS)
def test_a_message_that_differs_in_one_place_is_refused(message: Any) -> None:
    """A wrong type, a missing field, a broken constraint: all are `invalid_message`."""
    assert refusals(message) == {"invalid_message"}


@tries(min(EXAMPLES, 1000))
@given(message=FITTING, tag=st.text(max_size=8).filter(lambda tag: tag not in TAGS))
def test_a_message_with_another_tag_is_refused(message: Any, tag: str) -> None:
    """A tag that the document does not have is an `unknown_type`."""
    assert refusals({**message, "type": tag}) == {"unknown_type"}


@tries(min(EXAMPLES, 1000))
@given(
    order=st.one_of(
        [VALUES.fitting(each["payload"]) for each in SHOP["messages"].values()]
    )
)
def test_messages_of_pydantic_are_accepted_too(order: Any) -> None:
    """What fits the schemas that pydantic made is read as one of its models."""
    taken = Shop.prepare().receive.decode({"text": json.dumps(order)})

    assert isinstance(taken, Order | Cancel)


def reads_as_a_number(order: Any) -> bool:
    """Tell whether pydantic may take what is no integer for one: "5", 5.0 or true."""
    lines = order.get("lines") if isinstance(order, dict) else None
    counts = [
        line.get("count")
        for line in (lines if isinstance(lines, list) else [])
        if isinstance(line, dict)
    ]
    return any(isinstance(count, str | float | bool) for count in counts)


NO_ORDERS: Final = st.one_of(
    [VALUES.misfits(each["payload"]) for each in SHOP["messages"].values()]
).filter(lambda order: not reads_as_a_number(order))


@tries(min(EXAMPLES, 1000))
@given(order=NO_ORDERS)
def test_messages_that_pydantic_does_not_take_are_refused(order: Any) -> None:
    """As a plain message it is the end, by 1008; in a frame it is `invalid_message`."""
    plan = Shop.prepare()
    frame = {"type": "request", "id": 1, "message": order}

    with pytest.raises(InvalidMessage) as misfit:
        plan.receive.decode({"text": json.dumps(order)})
    with pytest.raises(Refused) as refused:
        plan.frame_reader("json").read({"text": json.dumps(frame)})

    assert misfit.value.close_code == 1008
    assert (refused.value.id, refused.value.answer.code) == (1, "invalid_message")


async def test_examples_of_the_document_are_answered() -> None:
    """A server answers each example with a reply, and what is wrong with its code."""
    examples = [
        each["payload"]
        for name in ("say", "rename")
        for each in MESSAGES[name]["examples"]
    ]
    async with (
        TestClient(app) as client,
        client.connect("/chat/lobby", subprotocols=["consumers.v1+json"]) as connection,
    ):
        assert (await connection.receive_json())["type"] == "welcome"
        for number, example in enumerate(examples, 1):
            frame = {"type": "request", "id": number, "message": example}
            await connection.send_json(frame)
            assert (await connection.receive_json())["type"] == "reply"
        for code, wrong in (
            ("invalid_message", {"type": "say"}),
            ("unknown_type", {"type": "shout"}),
        ):
            await connection.send_json({"type": "request", "id": 99, "message": wrong})
            assert (await connection.receive_json())["code"] == code
