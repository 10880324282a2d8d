"""The frames are those of the specification, and are read and written as it says."""

from __future__ import annotations

import re
from typing import Any, get_args, get_origin

import msgspec
import pytest

from consumers.protocol import PROTOCOLS, VERSION
from consumers.protocol.frames import FromClient, FromServer

from .vectors import CONVERSATIONS, PAGE, Conversation

# As types they are aliases, which mypy does not index.
generic: tuple[Any, Any] = (FromClient, FromServer)
from_client, from_server = (union[Any] for union in generic)
read_client = msgspec.json.Decoder(from_client).decode
read_server = msgspec.json.Decoder(from_server).decode

SPOKEN = [
    conversation
    for conversation in CONVERSATIONS
    if not conversation.name.startswith("Frames that are refused")
    and not any(step.plain for step in conversation.steps)
]
CLIENT, SERVER = range(2)
SECTION = re.compile(r"^## Frames\n(.*?)^## ", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| (`[a-z, `]+`) \| (.*?) \|", re.MULTILINE)


def types_of(union: Any) -> dict[str, type]:
    """Return {type: frame} of what one side sends."""
    kinds = [get_origin(each) or each for each in get_args(union)]
    return {kind.__struct_config__.tag: kind for kind in kinds}


def tables() -> list[dict[str, str]]:
    """Return {type: the page's cell on its fields}, of the client and of the server."""
    section = SECTION.search(PAGE.read_text())
    assert section is not None
    client, server = section[1].split("From the server:")
    return [
        {name: fields for names, fields in ROW.findall(part) for name in words(names)}
        for part in (client, server)
    ]


def words(cell: str) -> list[str]:
    """Return what is written as code in a cell."""
    return re.findall(r"`(.*?)`", cell)


def test_subprotocols() -> None:
    """One for each codec."""
    assert PROTOCOLS == {"consumers.v1+json": "json", "consumers.v1+msgpack": "msgpack"}
    assert all(name.startswith(VERSION) for name in PROTOCOLS)


@pytest.mark.parametrize(
    ("side", "union"), [(CLIENT, from_client), (SERVER, from_server)]
)
def test_the_page_names_each_frame_and_its_fields(side: int, union: Any) -> None:
    """A field that may be left out has a question mark there."""
    told = {name: set(words(cell)) for name, cell in tables()[side].items()}
    # One type serves both sides, though a client's errors are all answers and a
    # server's requests are made once.
    if side == CLIENT:
        told["error"] = told["error"] - {"id"} | {"id?"}
    else:
        told["request"] |= {"key?"}

    assert told == {
        name: {
            field.encode_name if field.required else f"{field.encode_name}?"
            for field in msgspec.structs.fields(kind)
        }
        for name, kind in types_of(union).items()
    }


@pytest.mark.parametrize("conversation", SPOKEN, ids=str)
def test_the_page_s_frames_are_frames(conversation: Conversation) -> None:
    """What it shows is read, and written again it is the same."""
    for step in conversation.steps:
        if step.kind in ("send", "receive") and "…" not in step.value:
            read = read_client if step.kind == "send" else read_server
            shown = step.value
            if isinstance(shown.get("id"), str):  # a name, for what is not known
                shown = {**shown, "id": 1}
            if isinstance(shown.get("expires"), str):
                shown = {**shown, "expires": 1.0}
            written = msgspec.json.encode(read(msgspec.json.encode(shown)))
            assert msgspec.json.decode(written) == shown


@pytest.mark.parametrize(
    ("frame", "wrong"),
    [
        ({"type": "cancel", "id": 0}, "`int` >= 1"),
        ({"type": "cancel", "id": 2**53}, "`int` <= 9007199254740991"),
        ({"type": "cancel", "id": 1.0}, "`int`, got `float`"),
        ({"type": "cancel", "id": "1"}, "`int`, got `str`"),
        ({"type": "request", "id": 1, "message": 1, "key": ""}, "length >= 1"),
        ({"type": "request", "id": 1, "message": 1, "key": "k" * 129}, "length <= 128"),
        ({"type": "subscribe", "id": 1, "group": "g" * 256}, "length <= 255"),
        ({"type": "message"}, "missing required field `message`"),
        ({"type": "welcome"}, "Invalid value 'welcome'"),
        ({}, "missing required field `type`"),
    ],
)
def test_what_is_no_frame(frame: dict[str, Any], wrong: str) -> None:
    """What the page rules out is not read."""
    with pytest.raises(msgspec.ValidationError, match=wrong):
        read_client(msgspec.json.encode(frame))


def test_the_bounds_are_within() -> None:
    """The largest id, key and name are read."""
    request = {"type": "request", "id": 2**53 - 1, "message": 1, "key": "k" * 128}
    subscribe = {"type": "subscribe", "id": 1, "group": "g" * 255}

    assert msgspec.to_builtins(read_client(msgspec.json.encode(request))) == request
    assert msgspec.to_builtins(read_client(msgspec.json.encode(subscribe))) == subscribe


@pytest.mark.parametrize("read", [read_client, read_server])
def test_unknown_fields_are_ignored(read: Any) -> None:
    """Later releases may add some."""
    later = {"type": "ping", "more": [{"type": "pong"}]}

    assert msgspec.to_builtins(read(msgspec.json.encode(later))) == {"type": "ping"}
