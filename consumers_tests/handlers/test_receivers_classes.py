"""Receivers: several `@receives` methods, in one class and in its bases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from consumers import (
    App,
    ConfigurationError,
    WebSocketConsumer,
    WebSocketRoute,
    receives,
)
from consumers.handlers.messages import Receiving
from consumers.testing import TestClient

if TYPE_CHECKING:
    from somewhere_else import Unknown  # type: ignore[import-not-found]
from consumers_tests.typed import Ask, Receipt, Say, making, read, told


class Numbered(msgspec.Struct, tag=1):
    text: str


class Elsewhere(msgspec.Struct, tag="elsewhere", tag_field="kind"):
    text: str


class SayToo(msgspec.Struct, tag="say"):
    text: str


# -- several methods -------------------------------------------------------------------


@receives
async def say(self: Any, message: Say) -> None:
    """Say something."""


@receives
async def ask(self: Any, message: Ask) -> None:
    """Ask something."""


def test_one_method_for_each_type() -> None:
    """Two for one type, or with one tag, are told with both names."""

    @receives
    async def other(self: Any, message: Say | Ask) -> None: ...

    assert told(say, other) == (
        "Chat must have one method per type of message, got 'other' and 'say' for Say"
    )

    @receives
    async def too(self: Any, message: SayToo) -> None: ...

    assert told(say, too) == (
        "Chat: each type of message must have a tag of its own, got 'say' for Say "
        "(say) and SayToo (too); change one"
    )

    @receives("say")
    async def signed(self: Any, text: str) -> None: ...

    assert "got 'say' for Say (say) and signed (signed)" in told(say, signed)


def test_tags_are_texts_in_one_field() -> None:
    """What tells messages apart stands at one place in all of them."""

    @receives
    async def there(self: Any, message: Elsewhere) -> None: ...

    assert told(say, there) == (
        "Chat: all messages must have their tag in one field, got 'kind', 'type'; "
        "leave tag_field out"
    )
    assert set(read(there)) == {"elsewhere"}

    @receives
    async def number(self: Any, message: Numbered) -> None: ...

    assert told(number) == (
        "Chat: a message's tag must be a text, got 1 of Numbered; write tag='numbered'"
    )


def test_either_methods_or_on_receive() -> None:
    """Both would take the same messages."""

    async def on_receive(self: Any, message: str) -> None: ...

    assert told(say, on_receive) == (
        "Chat must have either on_receive, which takes all messages, or @receives "
        "methods for each type of them, got both (say); leave one out"
    )


@pytest.mark.parametrize("name", ["text", "bytes", "event"])
def test_answers_are_objects(name: str) -> None:
    """A class that sends texts or bytes could answer nobody."""
    assert told(say, send_type=name) == (
        "Chat: @receives methods answer in 'json' or 'msgpack', got send_type "
        f"{name!r}; leave it out, and use send_text or send_bytes for the rest"
    )
    assert making(say, send_type="msgpack").prepare().send.name == "msgpack"


def test_texts_are_no_structs() -> None:
    """A class can't read texts, and structs too."""
    assert told(say, value_type="text").startswith(
        "Chat: messages of type 'text' are str, got the annotation "
    )


# -- inheritance -----------------------------------------------------------------------


def test_mixins_compose() -> None:
    """A class has the methods of all its bases."""

    class Saying:
        @receives
        async def say(self, message: Say) -> None: ...

    class Asking(WebSocketConsumer):
        @receives
        async def ask(self, message: Ask) -> None: ...

    class Both(Saying, Asking):
        @receives("rename")
        async def rename(self, name: str) -> None: ...

    names = {each.name for each in Both.prepare().receivers.values()}

    assert names == {"say", "ask", "rename"}
    assert set(Asking.prepare().receivers) == {Ask}


def test_mixins_that_collide() -> None:
    """Two bases that take one type are told by their methods."""

    class One:
        @receives
        async def one(self, message: Say) -> None: ...

    class Two:
        @receives
        async def two(self, message: Say) -> None: ...

    with pytest.raises(ConfigurationError, match="got 'one' and 'two' for Say"):

        class Both(One, Two, WebSocketConsumer): ...


def test_overriding_needs_no_decorator() -> None:
    """It is called as the base's was, with what its own annotations say."""

    class Base(WebSocketConsumer):
        @receives(concurrency=3, timeout=1)
        async def say(self, message: Say) -> None: ...

        @receives("rename")
        async def rename(self, name: str) -> None: ...

    class Sub(Base):
        async def say(self, message: Say | Ask) -> AsyncIterator[Receipt]:  # type: ignore[override]
            yield Receipt(1)

        async def rename(self, name: str, loud: bool = False) -> None: ...

    found = Sub.prepare().receivers

    assert found[Say] is found[Ask]
    assert found[Say].receiving == Receiving(concurrency=3, timeout=1)
    assert (found[Say].streams, found[Say].reply) == (True, Receipt)
    [rename] = [each for each in found.values() if each.name == "rename"]
    assert rename.fields == ("name", "loud")


def test_overriding_with_another_decorator() -> None:
    """What stands nearest counts."""

    class Base(WebSocketConsumer):
        @receives(concurrency=3)
        async def say(self, message: Say) -> None: ...

    class Sub(Base):
        @receives
        async def say(self, message: Say) -> None: ...

    assert Sub.prepare().receivers[Say].receiving == Receiving()


def test_overriding_by_another_kind() -> None:
    """A plain function for one that is awaited would only fail when it is called."""

    class Base(WebSocketConsumer):
        @receives
        async def say(self, message: Say) -> None: ...

        @receives(thread=True)
        def ask(self, message: Ask) -> None: ...

    with pytest.raises(ConfigurationError) as caught:

        class Plain(Base):
            def say(self, message: Say) -> None: ...  # type: ignore[override]

    assert str(caught.value) == (
        "@receives(thread=False) goes on 'async def', got 'def say'; pass thread=True"
    )
    with pytest.raises(ConfigurationError, match="got 'async def ask'; leave thread"):

        class Waiting(Base):
            async def ask(self, message: Ask) -> None: ...  # type: ignore[override]


def test_taking_one_back() -> None:
    """A subclass that sets it to None takes such messages no more."""

    class Base(WebSocketConsumer):
        @receives
        async def say(self, message: Say) -> None: ...

        @receives
        async def ask(self, message: Ask) -> None: ...

    class Sub(Base):
        say = None  # type: ignore[assignment]

    assert set(Sub.prepare().receivers) == {Ask}


# -- annotations -----------------------------------------------------------------------


def test_local_types() -> None:
    """An annotation may name what only the function around knows."""

    class Local(msgspec.Struct, tag="local"):
        text: str

    class Chat(WebSocketConsumer):
        @receives
        async def local(self, message: Local) -> Local:
            return message

    assert set(Chat.prepare().receivers) == {Local}


class Early(WebSocketConsumer):
    """Is made before the types that it names."""

    @receives
    async def later(self, message: Later) -> Later:
        """Take what the module defines further down."""
        return message


class Later(msgspec.Struct, tag="later"):
    text: str


async def test_types_that_are_defined_later() -> None:
    """They are read when the class is routed."""
    app = App([WebSocketRoute("/", Early)])

    async with TestClient(app) as client, client.connect("/") as ws:
        await ws.send({"type": "later", "text": "hi"})
        assert await ws.receive_json() == {"type": "later", "text": "hi"}


def test_names_that_are_never_defined() -> None:
    """A reply's type has to be known: the schema and the checks are made of it."""

    class Chat(WebSocketConsumer):
        @receives
        async def say(self, message: Say) -> Unknown: ...

    with pytest.raises(ConfigurationError) as caught:
        WebSocketRoute("/", Chat)
    assert str(caught.value).startswith(
        f"{Chat.__qualname__}: every annotation of a hook must name something that is "
        "there when the class is routed; the return type of "
    )


def test_a_hook_s_return_type_need_not_be_known() -> None:
    """Nobody looks at what other hooks say that they return."""

    class Chat(WebSocketConsumer):
        async def on_connect(self) -> Unknown: ...

        @receives
        async def say(self, message: Say) -> None: ...

    assert set(Chat.prepare().receivers) == {Say}
