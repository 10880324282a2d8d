"""What a class may not be is told when it is made, and how."""

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import msgspec
import pytest

from consumers import (
    ConfigurationError,
    Internal,
    Provide,
    intercepts,
    receives,
)
from consumers.handlers.plan import HOOKS
from consumers_tests.typed import making, told


class Said(msgspec.Struct):
    text: str


# -- hooks ----------------------------------------------------------------------------


async def on_receive(self: Any, message: str) -> None:
    """Do nothing."""


def plain(self: Any, message: str = "") -> None:
    """Do nothing, at once."""


def test_a_class_without_hooks() -> None:
    """The base class's own hooks are none."""
    plan = making().prepare()

    assert [getattr(plan, hook) for hook in HOOKS] == [None] * 6
    assert (plan.receive.name, plan.send.name) == ("text", "text")
    assert plan.providers_of("connection") == ()


def test_hooks_are_inherited_and_replaced() -> None:
    """A subclass has its base's hooks and settings, and may have its own."""
    base = making(on_receive=on_receive, concurrency=3)

    class Sub(base):  # type: ignore[misc, valid-type]
        async def on_receive(self, message: bytes) -> None: ...

    assert base.prepare().receive.name == "text"
    assert Sub.prepare().receive.name == "bytes"
    assert Sub.concurrency == 3


@pytest.mark.parametrize("hook", ["on_handshake", "on_connect", "on_disconnect"])
def test_a_hook_is_asynchronous(hook: str) -> None:
    """A plain function for a hook is refused, with what to write."""
    assert told(**{hook: plain}) == (
        f"Chat.{hook} must be 'async def', got a plain function; write "
        f"'async def {hook}(self)'"
    )


@pytest.mark.parametrize("hook", ["on_connect", "on_receive"])
def test_a_hook_does_not_yield(hook: str) -> None:
    """What it would yield went nowhere: only methods answer with streams."""

    async def yields(self: Any, message: str) -> AsyncIterator[str]:
        yield message

    assert told(**{hook: yields}) == (
        f"Chat.{hook} must not yield, got an async generator; await self.send(...) for "
        "each item, or answer with a stream by a @receives method"
    )


def test_on_receive_is_asynchronous_or_in_a_thread() -> None:
    """A plain `on_receive` may be meant for a thread, and then says so."""

    def on_receive(self: Any, message: str) -> None: ...

    assert told(on_receive=on_receive) == (
        "Chat.on_receive must be 'async def', got a plain function; write 'async def "
        "on_receive(self, message)', or mark it @receives(thread=True) to run it in a "
        "worker thread"
    )
    assert making(on_receive=receives(thread=True)(on_receive))._plan.receiving.thread


def test_a_hook_is_a_method() -> None:
    """A value, a static method and a class method are refused."""
    assert told(on_connect=3) == (
        "Chat.on_connect must be a method, got 3; write 'async def on_connect(self)'"
    )
    assert told(on_connect=staticmethod(on_receive)).startswith(
        "Chat.on_connect must be a method, got <staticmethod("
    )


def test_a_server_can_make_an_instance() -> None:
    """An `__init__` of one's own takes what an ASGI application takes."""

    def takes_nothing(self: Any) -> None: ...

    assert told(__init__=takes_nothing) == (
        "Chat.__init__ must take the arguments of an ASGI application, got (self: Any) "
        "-> None; write __init__(self, scope, receive, send), or begin in on_connect"
    )

    def passing_on(self: Any, *args: Any, **keywords: Any) -> None: ...

    assert making(__init__=passing_on)


# -- types of messages ---------------------------------------------------------------


def test_value_type_stands_for_both() -> None:
    """Set beside one of the two that it stands for, it contradicts."""
    assert told(value_type="json", send_type="text") == (
        "Chat: value_type sets receive_type and send_type, got all of them; set "
        "value_type alone, or the other two"
    )


def test_a_setting_that_contradicts_the_annotation() -> None:
    """Text can't be a number, whatever the setting says."""

    async def on_receive(self: Any, message: int) -> None: ...

    assert told(value_type="text", on_receive=on_receive) == (
        "Chat: messages of type 'text' are str, got the annotation <class 'int'>; "
        "write message: str, or set value_type = 'json'"
    )


def test_a_message_is_of_a_type_that_can_be_decoded() -> None:
    """What msgspec can't decode is refused with the class."""

    async def on_receive(self: Any, message: Said | dict[str, int]) -> None: ...

    assert told(on_receive=on_receive).startswith(
        "Chat: messages must be of a type that msgspec can decode, got "
    )


# -- @receives and @intercepts ---------------------------------------------------------


def test_receives_says_what_is_there() -> None:
    """The decorator's argument and the method's kind must agree."""
    with pytest.raises(ConfigurationError) as caught:
        receives(thread=True)(on_receive)
    assert str(caught.value) == (
        "@receives(thread=True) goes on 'def', got 'async def on_receive'; leave "
        "thread out"
    )

    with pytest.raises(ConfigurationError) as caught:
        receives(plain)
    assert str(caught.value) == (
        "@receives(thread=False) goes on 'async def', got 'def plain'; pass thread=True"
    )


async def change(self: Any, publication: Said) -> Said:
    """Change nothing."""
    return publication


async def unsaid(self: Any, publication) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Say not what it takes."""


async def nothing(self: Any) -> None:
    """Take nothing."""


async def too_much(self: Any, publication: Said, more: int) -> None:
    """Take more than there is."""


def now() -> float:
    """Return no time of the day."""
    return 0.0


async def provided(
    self: Any, publication: Said, clock: Annotated[float, Provide(now)]
) -> None:
    """Take what a provider makes."""


async def provided_perhaps(
    self: Any, publication: Said, clock: Annotated[float, Provide(now)] = 0.0
) -> None:
    """Take it, and do without where nothing is passed."""


def test_interceptors_are_found_by_type() -> None:
    """One method may take a union, and a subclass has its base's."""

    class Secret(Internal): ...

    async def both(self: Any, publication: Said | Secret) -> None: ...

    class Sub(making(both=intercepts(both))): ...  # type: ignore[misc]

    assert Sub.prepare().interceptors == {Said: "both", Secret: "both"}


@pytest.mark.parametrize(
    ("name", "method", "expected"),
    [
        (
            "send",
            change,
            (
                "Chat.send must not be named like one of the framework's own, got "
                "'send'; rename it"
            ),
        ),
        (
            "join",
            change,
            (
                "Chat.join must not be named like one of the framework's own, got "
                "'join'; rename it"
            ),
        ),
        (
            "change",
            unsaid,
            (
                "Chat.change must say by a class, or a union of classes, which "
                "publications it takes, got <class 'inspect._empty'>; write "
                "change(self, publication: Said)"
            ),
        ),
        (
            "change",
            nothing,
            (
                "Chat.change must take 'self' and 'publication', got 1 parameters; "
                "write async def nothing(self, publication)"
            ),
        ),
        (
            "change",
            too_much,
            (
                "Chat.change must take 'self' and 'publication' alone, got ['more'] "
                "too; ask for it in on_connect, and keep it on self"
            ),
        ),
        (
            "change",
            provided,
            (
                "Chat.change must take 'self' and 'publication' alone, got ['clock'] "
                "too; ask for it in on_connect, and keep it on self"
            ),
        ),
        (
            "change",
            provided_perhaps,
            (
                "Chat.change must take 'self' and 'publication' alone, got ['clock'] "
                "too; ask for it in on_connect, and keep it on self"
            ),
        ),
    ],
)
def test_an_interceptor_takes_a_publication(
    name: str, method: Callable[..., Any], expected: str
) -> None:
    """Its name is its own, its annotation a class, and no provider is called for it."""
    assert told(**{name: intercepts(method)}) == expected


def test_an_interceptor_is_asynchronous() -> None:
    """A plain function is refused, with what to write."""

    def change(self: Any, publication: Said) -> None: ...

    assert told(change=intercepts(change)) == (
        "Chat.change must be 'async def', got a plain function; write 'async def "
        "change(self, publication: T) -> T | None'"
    )


def test_one_interceptor_for_a_type() -> None:
    """Two for one type are refused."""

    async def other(self: Any, publication: Said) -> None: ...

    text = told(change=intercepts(change), other=intercepts(other))

    assert text == (
        "Chat must have one method per publication type, got 'change' and 'other' for "
        "Said"
    )
