"""Messages: how a class says what it receives, and what it says wrong."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from consumers.codecs import CODECS
from consumers.errors import ConfigurationError
from consumers.handlers.messages import (
    Internal,
    Receiving,
    codecs_of,
    intercepts,
    is_interceptor,
    receives,
    receiving_of,
)


class Said(msgspec.Struct):
    text: str


def plain(self: object, message: str) -> None:
    """Stand for a method that is not `async`."""


async def asynchronous(self: object, message: str) -> None:
    """Stand for a method that is."""


def test_an_async_method_is_called_as_it_is() -> None:
    """A hook without a decorator runs in the event loop."""
    assert receiving_of(asynchronous, "Chat.on_receive") == Receiving(thread=False)


def test_a_plain_method_needs_a_thread() -> None:
    """A hook that is not `async` is refused, with both ways out."""
    with pytest.raises(ConfigurationError) as caught:
        receiving_of(plain, "Chat.on_receive")

    assert str(caught.value) == (
        "Chat.on_receive must be 'async def', got a plain function; write "
        "'async def plain(self, message)', or mark it @receives(thread=True) to run it "
        "in a worker thread"
    )


def test_receives_marks_a_method() -> None:
    """The decorator returns the method itself, with or without arguments."""

    def threaded(self: object, message: str) -> None:
        """Block."""

    async def unthreaded(self: object, message: str) -> None:
        """Wait."""

    assert receives(thread=True)(threaded) is threaded
    assert receives(unthreaded) is unthreaded
    assert receiving_of(threaded, "Chat.on_receive") == Receiving(thread=True)
    assert receiving_of(unthreaded, "Chat.on_receive") == Receiving(thread=False)


@pytest.mark.parametrize(
    ("method", "thread", "text"),
    [
        (
            asynchronous,
            True,
            (
                "@receives(thread=True) goes on 'def', got 'async def asynchronous'; "
                "leave thread out"
            ),
        ),
        (
            plain,
            False,
            (
                "@receives(thread=False) goes on 'async def', got 'def plain'; "
                "pass thread=True"
            ),
        ),
    ],
)
def test_receives_refuses_the_other_kind(method: Any, thread: bool, text: str) -> None:
    """A thread is for `def`, and the event loop for `async def`."""
    with pytest.raises(ConfigurationError) as caught:
        receives(thread=thread)(method)

    assert str(caught.value) == text


def test_intercepts_marks_a_method() -> None:
    """The decorator returns the method itself."""

    async def on_said(self: object, publication: Said) -> Said:
        return publication

    assert not is_interceptor(on_said)
    assert intercepts(on_said) is on_said
    assert is_interceptor(on_said)
    assert not is_interceptor(None)


def test_internal_marks_any_kind_of_class() -> None:
    """It works as a base of a struct and of a dataclass."""

    class Struct(msgspec.Struct, Internal):
        text: str

    @dataclass
    class Data(Internal):
        text: str

    assert isinstance(Struct("a"), Internal)
    assert Struct("a") == Struct("a")
    assert isinstance(Data("a"), Internal)


EMPTY = inspect.Parameter.empty


@pytest.mark.parametrize(
    ("annotation", "settings", "names"),
    [
        (None, (None, None, None), ("text", "text")),
        (EMPTY, (None, None, None), ("text", "text")),
        (Any, (None, None, None), ("text", "text")),
        (str, (None, None, None), ("text", "text")),
        (bytes, (None, None, None), ("bytes", "bytes")),
        (Said, (None, None, None), ("json", "json")),
        (str | bytes, (None, None, None), ("text or bytes", "text or bytes")),
        (None, ("json", None, None), ("json", "json")),
        (Said, ("msgpack", None, None), ("msgpack", "msgpack")),
        (None, (None, "json", None), ("json", "text")),
        (None, (None, None, "json"), ("text", "json")),
        (Said, (None, None, "msgpack"), ("json", "msgpack")),
        (str, (None, None, "bytes"), ("text", "bytes")),
        (dict, (None, "msgpack", "text"), ("msgpack", "text")),
    ],
)
def test_settings_come_before_the_annotation(
    annotation: Any, settings: tuple[str | None, ...], names: tuple[str, str]
) -> None:
    """`value_type` sets both directions; what is not set follows the annotation."""
    receive, send = codecs_of("Chat", annotation, *settings)

    assert (receive.name, send.name) == names


def test_classes_send_by_shared_codecs() -> None:
    """Whatever classes receive they send by one codec: publications are shared."""
    codecs = [codecs_of("Chat", kind, None, None, None) for kind in (Said, dict)]

    assert {send for _, send in codecs} == {CODECS["json"]}


@pytest.mark.parametrize(
    ("annotation", "settings", "match"),
    [
        (None, ("json", "text", None), "Chat: value_type sets receive_type and send_"),
        (None, ("json", None, "json"), "set value_type alone, or the other two"),
        (None, ("xml", None, None), "Chat: a message type must be one of 'text'"),
        (None, (None, None, "xml"), "Chat: a message type must be one of 'text'"),
        (dict, ("text", None, None), "Chat: messages of type 'text' are str"),
        (str, ("bytes", None, None), "Chat: messages of type 'bytes' are bytes"),
        (str, (None, "bytes", None), "Chat: messages of type 'bytes' are bytes"),
    ],
)
def test_contradictions_are_told(
    annotation: Any, settings: tuple[str | None, ...], match: str
) -> None:
    """Settings that contradict one another or the annotation are refused by name."""
    with pytest.raises(ConfigurationError, match=match):
        codecs_of("Chat", annotation, *settings)
