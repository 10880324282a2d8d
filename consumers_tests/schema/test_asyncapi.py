"""The AsyncAPI document: what it says, and that AsyncAPI's own parser takes it."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec
import pytest
from chat.app import app as chat
from starlette.applications import Starlette

from consumers import (
    App,
    ConfigurationError,
    WebSocketConsumer,
    WebSocketRoute,
    receives,
)
from consumers.schema import asyncapi
from consumers_tests.schema.applications import app
from consumers_tests.schema.node import diagnosed, needs_npm

DOCUMENT: Final = asyncapi(
    app,
    title="All",
    version="2",
    servers=["ws://localhost:8000", "wss://all.example/x"],
)
CHANNELS: Final[dict[str, Any]] = DOCUMENT["channels"]
OPERATIONS: Final[dict[str, Any]] = DOCUMENT["operations"]
SCHEMAS: Final[dict[str, Any]] = DOCUMENT["components"]["schemas"]


def names(operation: str) -> list[str]:
    """Return the names of an operation's messages."""
    return [each["$ref"].split("/")[-1] for each in OPERATIONS[operation]["messages"]]


@needs_npm
def test_the_official_parser_takes_the_documents() -> None:
    """AsyncAPI's parser finds nothing wrong, and does find what is wrong."""
    wrong = json.loads(json.dumps(DOCUMENT))
    wrong["channels"]["Chat"]["messages"]["say"]["payload"] = {"type": "strong"}

    found = diagnosed(
        {
            "all": DOCUMENT,
            "chat": asyncapi(chat),
            "empty": asyncapi(Starlette()),
            "wrong": wrong,
        }
    )

    assert found.pop("wrong") != []
    assert found == {"all": [], "chat": [], "empty": []}


def test_the_document_has_a_title_a_version_and_servers() -> None:
    """What the caller says of the application is in it."""
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert DOCUMENT["info"] == {"title": "All", "version": "2"}
    assert DOCUMENT["servers"] == {
        "server1": {"host": "localhost:8000", "protocol": "ws"},
        "server2": {"host": "all.example", "protocol": "wss", "pathname": "/x"},
    }


@pytest.mark.parametrize("url", ["http://localhost", "localhost:8000", "ws:"])
def test_a_server_must_be_a_websockets_url(url: str) -> None:
    """Anything else is told before a document is made of it."""
    with pytest.raises(ConfigurationError, match="must be a WebSocket's URL"):
        asyncapi(app, servers=[url])


def test_an_application_must_have_a_url_table() -> None:
    """A bare ASGI application has no channels that could be read."""
    with pytest.raises(ConfigurationError, match="with a URL table was expected"):
        asyncapi(object())


def test_each_line_of_the_url_table_is_a_channel() -> None:
    """Those in mounts have their prefixes, and each has a name of its own."""
    assert {name: each["address"] for name, each in CHANNELS.items()} == {
        "Chat": "/chat/{channel}",
        "Echo": "/echo",
        "Frames": "/frames/{_anonymous0}",
        "inner-Typed": "/inner/typed",
        "Shop": "/shops/{shop}/orders",
        "Echo2": "/echo",
        "packed_one": "/packed/{number}/{id}",
        "Silent": "/silent/{level}/{path}",
        "view": "/view",
        "raw": "/raw",
    }
    assert CHANNELS["Echo2"]["x-consumers-host"] == "{tenant}.example.org"


def test_parameters_of_the_path_are_told_in_words() -> None:
    """AsyncAPI has no schemas for them: constraints are in the description."""
    assert CHANNELS["Chat"]["parameters"]["channel"] == {
        "description": "Text, at least 1 character, at most 20 characters, "
        "matching ^[a-z]+$.",
        "x-consumers-schema": {
            "type": "string",
            "minLength": 1,
            "maxLength": 20,
            "pattern": "^[a-z]+$",
        },
    }
    silent = CHANNELS["Silent"]["parameters"]
    assert silent["level"]["enum"] == ["high", "low"]
    assert silent["level"]["examples"] == ["low"]
    packed = CHANNELS["packed_one"]["parameters"]
    assert packed["number"]["description"] == "Whole number."
    assert packed["id"]["description"] == "UUID."


def test_parameters_of_the_query_are_in_the_binding() -> None:
    """With their schemas and defaults; what has no form in JSON has no default."""
    binding = CHANNELS["Chat"]["bindings"]["ws"]

    assert binding["method"] == "GET"
    assert binding["query"]["properties"] == {
        "color": {"allOf": [{"$ref": "#/components/schemas/Color"}], "default": "red"},
        "since": {"type": "string"},
        "limit": {
            "type": "integer",
            "minimum": 1,
            "maximum": 50,
            "description": "How many lines",
            "default": 10,
        },
        "tags": {"type": "array", "items": {"type": "string"}, "default": []},
    }
    assert "query" not in CHANNELS["Echo"]["bindings"]["ws"]


def test_each_method_is_an_operation_with_its_reply() -> None:
    """A union is several messages; a stream's items are the reply, many times."""
    assert names("Chat.say") == ["say", "whisper"]
    assert OPERATIONS["Chat.say"]["action"] == "receive"
    assert OPERATIONS["Chat.say"]["summary"] == "Say something, or whisper it."
    reply = OPERATIONS["Chat.say"]["reply"]["messages"]
    assert [each["$ref"].split("/")[-1] for each in reply] == ["say.reply", "error"]
    stream = OPERATIONS["Chat.ask"]
    assert stream["x-consumers-stream"] is True
    assert stream["reply"]["messages"][0]["$ref"].endswith("/ask.item")


def test_a_method_of_parameters_is_a_message_with_fields() -> None:
    """Its signature is the schema; sections for Python's readers are left out."""
    assert SCHEMAS["rename"]["properties"]["name"]["maxLength"] == 20
    assert SCHEMAS["rename"]["required"] == ["type", "name"]
    assert SCHEMAS["rename"]["description"] == "Change your name."
    reply = OPERATIONS["Chat.rename"]["reply"]["messages"]
    assert [each["$ref"].split("/")[-1] for each in reply] == ["error"]


def test_what_a_class_sends_is_an_operation_too() -> None:
    """Each type by itself; groups send their snapshot and their publications."""
    assert OPERATIONS["Chat.send.said"]["action"] == "send"
    assert OPERATIONS["Chat.send.said"]["summary"] == "Somebody has said something."
    assert names("Chat.send.joined") == ["joined"]
    assert names("Chat.watch") == ["watch.snapshot", "said"]
    assert OPERATIONS["Chat.watch"]["x-consumers-group"] == "chat.{channel}"
    assert names("Chat.follow") == ["joined"]
    assert CHANNELS["Chat"]["x-consumers-groups"] == [
        {
            "operation": "Chat.follow",
            "pattern": "news",
            "parameters": [],
            "history": False,
            "presence": False,
        },
        {
            "operation": "Chat.watch",
            "pattern": "chat.{channel}",
            "parameters": ["channel"],
            "history": True,
            "presence": True,
        },
    ]


def test_what_is_internal_is_not_told() -> None:
    """A type that never goes to a client is nowhere in the document."""
    assert "checked" not in json.dumps(DOCUMENT).lower()


def test_publications_with_positions_are_told_as_they_come() -> None:
    """On the plain wire these stand beside their group and position."""
    assert names("inner-Typed.watch") == ["said2"]
    payload = CHANNELS["inner-Typed"]["messages"]["said2"]["payload"]
    assert payload["required"] == ["group", "position", "message"]


def test_docstrings_are_summaries_descriptions_and_examples() -> None:
    """Of classes, methods and messages; an example gets the tag, or all defaults."""
    chat = CHANNELS["Chat"]
    assert chat["summary"] == "A chat with rooms."
    assert chat["description"] == "Whoever comes sees what was said before."
    say = chat["messages"]["say"]
    assert say["summary"] == "Say something to everybody in the room."
    assert say["examples"][0] == {"payload": {"type": "say", "text": "hi"}}
    assert chat["messages"]["said"]["examples"] == [
        {"payload": {"type": "said", "who": "ann", "text": "hi", "color": "blue"}}
    ]


def test_on_receive_takes_what_its_annotation_says() -> None:
    """Text and bytes have their own content types; a view takes its codec's."""
    frames = CHANNELS["Frames"]["messages"]
    assert {name: each["contentType"] for name, each in frames.items()} == {
        "text": "text/plain",
        "bytes": "application/octet-stream",
    }
    (packed,) = CHANNELS["packed_one"]["messages"].values()
    assert packed["contentType"] == "application/msgpack"
    assert names("Shop.on_receive") == ["Order", "Cancel"]
    assert "reply" not in OPERATIONS["Shop.on_receive"]
    assert names("view.receive") == names("view.send.message") == ["message"]
    assert CHANNELS["raw"]["messages"] == {}


def test_models_of_pydantic_are_there_by_name() -> None:
    """And so are those within them."""
    assert SCHEMAS["Order"]["properties"]["lines"]["items"] == {
        "$ref": "#/components/schemas/Line"
    }
    assert SCHEMAS["Line"]["properties"]["count"]["exclusiveMinimum"] == 0


def test_a_channel_says_which_subprotocols_it_speaks() -> None:
    """`consumers.v1` carries what has a form in JSON."""
    speaking = {
        name for name, each in CHANNELS.items() if "x-consumers-protocol" in each
    }
    assert CHANNELS.keys() - speaking == {"Frames", "view", "raw"}
    assert CHANNELS["Chat"]["x-consumers-protocol"]["subprotocols"] == [
        "consumers.v1+json",
        "consumers.v1+msgpack",
    ]


def test_where_somebody_authenticates_there_is_security() -> None:
    """Of nested applications the innermost counts; elsewhere there is none."""
    with_security = {name for name, each in OPERATIONS.items() if "security" in each}

    assert with_security == {
        "inner-Typed.on_receive",
        "inner-Typed.send.said",
        "inner-Typed.watch",
    }
    schemes = DOCUMENT["components"]["securitySchemes"]
    assert schemes["bearer"]["scheme"] == "bearer"
    assert schemes["token"]["name"] == "token"
    assert "securitySchemes" not in asyncapi(chat)["components"]


def test_a_wrong_example_is_told() -> None:
    """The document would promise what the consumer refuses."""

    class Say(msgspec.Struct, tag="say"):
        """Say it.

        Example:
            {"txt": "hi"}
        """

        text: str

    class Chat(WebSocketConsumer):
        @receives
        async def say(self, message: Say) -> None: ...

    with pytest.raises(ConfigurationError, match="an example of say must be one"):
        asyncapi(App([WebSocketRoute("/", Chat)]))
