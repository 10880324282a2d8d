"""The description of an application that documents and types are made of."""

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from consumers import App, Router, WebSocketConsumer, WebSocketRoute, receives
from consumers.inspector import Inspector
from consumers.schema.described import describe, name_of, tag_of
from consumers_tests.schema.applications import Order, Say, authenticate


class Echo(WebSocketConsumer):
    """Says it again."""

    async def on_receive(self, message: str) -> None: ...


class Bare(WebSocketConsumer): ...


async def endpoint(scope: Any, receive: Any, send: Any) -> None: ...


def test_the_inspector_is_no_part_of_it() -> None:
    """What its page speaks would be in every client; any route may be left out."""
    hidden = WebSocketRoute("/hidden", Bare)
    hidden.include_in_schema = False
    table = [WebSocketRoute("/a", Echo), hidden]
    app = App(table, debug=True, inspector=Inspector("/inspector"))

    assert [channel.name for channel in describe(app)] == ["Echo"]


def test_channels_are_in_the_order_of_the_url_table() -> None:
    """Those of routers and mounts where these are; what is no consumer is left out."""
    router = Router([WebSocketRoute("/b", Echo), WebSocketRoute("/b", Bare, name="b")])
    app = App([WebSocketRoute("/a", Echo, name="first")])
    app.include_router(router, "/more")
    app.mount("/static", endpoint)
    app.mount("/mounted/{id:int}", App([WebSocketRoute("/", Echo)]))

    assert [(each.name, each.address) for each in describe(app)] == [
        ("first", "/a"),
        ("Echo", "/more/b"),
        ("b", "/more/b"),
        ("Echo2", "/mounted/{id}/"),
    ]


def test_names_have_letters_that_any_document_takes() -> None:
    """Whatever a route is called."""
    app = App(
        [
            Mount(
                "/x", routes=[WebSocketRoute("/", Bare, name="a b/c")], name="in side"
            ),
            WebSocketRoute("/", Bare, name="…"),
        ]
    )

    assert [each.name for each in describe(app)] == ["in_side-a_b_c", "channel"]


@pytest.mark.parametrize("outside", [App, Starlette])
def test_the_innermost_application_authenticates(outside: Any) -> None:
    """That is the one that a connection gets to know."""
    inner = App([WebSocketRoute("/", Echo)], authenticate=authenticate)
    app = outside(routes=[WebSocketRoute("/", Echo), Mount("/inner", inner)])

    assert [each.authenticates for each in describe(app)] == [False, True]


def test_a_class_without_a_docstring_has_no_description() -> None:
    """Not that of the framework's own base class."""
    app = App([WebSocketRoute("/", Bare), WebSocketRoute("/echo", Echo)])

    assert [each.doc.summary for each in describe(app)] == ["", "Says it again."]


def test_a_union_is_one_method() -> None:
    """However many types of message it takes."""

    class Chat(WebSocketConsumer):
        @receives
        async def take(self, message: Say) -> int:
            """Take it."""
            return 1

    (channel,) = describe(App([WebSocketRoute("/", Chat)]))
    (handler,) = channel.handlers

    assert (handler.name, handler.takes, handler.reply) == ("take", (Say,), int)
    assert handler.doc.summary == "Take it."
    assert handler.answers


@pytest.mark.parametrize(
    ("kind", "tag", "name"),
    [
        (Say, "say", "say"),
        (Order, None, "Order"),
        (str, None, "text"),
        (Any, None, "message"),
        (None, None, "message"),
    ],
)
def test_a_message_is_called_by_its_tag(kind: Any, tag: str | None, name: str) -> None:
    """Or else by its type; what has none is a message."""
    assert tag_of(kind) == tag
    assert name_of(kind) == name
