"""Reading signatures, with annotations that are text (as they are in this file)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import pytest
from starlette.websockets import WebSocket as StarletteWebSocket

from consumers import (
    App,
    ConfigurationError,
    Provide,
    WebSocket,
    WebSocketConsumer,
    WebSocketRoute,
)
from consumers.handlers.params import Parameter
from consumers.handlers.signatures import callers_locals, read_signature
from consumers.testing import TestClient

if TYPE_CHECKING:
    from decimal import Decimal as OnlyForTypeCheckers

Hook = Callable[..., Coroutine[Any, Any, None]]


class Early(WebSocketConsumer):
    """Names a message that the module defines below it."""

    async def on_receive(self, message: Later) -> None:
        await self.send(message.text)


class Later(msgspec.Struct):
    text: str


def number() -> int:
    """Give a value."""
    return 42


async def hook(
    message: str, page: int, it: Annotated[int, Provide(number)], size: int = 3
) -> None:
    """Ask for all there is."""


def test_what_a_signature_asks_for() -> None:
    """What is given by position, what comes from the URL, and what is provided."""
    signature = read_signature(hook, "Chat.hook", given=("message",), from_url=True)

    assert signature.owner == "Chat.hook"
    assert signature.given == {"message": str}
    assert signature.parameters == (
        Parameter("page", int),
        Parameter("size", int, 3),
    )
    assert [each.factory for each in signature.providers.values()] == [number]
    assert not signature.is_plain
    assert signature.dependencies is None


def test_a_signature_without_providers_is_plain() -> None:
    """Then a call needs nothing but the URL's values."""

    async def plain(page: int = 1) -> None: ...

    assert read_signature(plain, "plain", from_url=True).is_plain


def test_a_return_type_need_not_be_there() -> None:
    """What only type checkers import may be returned, but not asked for."""

    async def returning(page: int = 1) -> OnlyForTypeCheckers:
        raise AssertionError

    assert read_signature(returning, "returning", from_url=True).parameters

    async def asking(it: OnlyForTypeCheckers) -> None: ...

    with pytest.raises(NameError, match="OnlyForTypeCheckers"):
        read_signature(asking, "asking", from_url=True)


async def test_an_annotation_may_name_what_is_defined_later() -> None:
    """A class is read again when it is served, and then it has its decoder."""
    async with TestClient(Early) as client, client.connect("/") as ws:
        await ws.send({"text": "hello"})
        assert await ws.receive_json() == "hello"


async def test_an_annotation_may_name_what_only_a_function_knows() -> None:
    """Messages, types of parameters, factories and subclasses may be local."""

    class Say(msgspec.Struct):
        text: str

    Positive = Annotated[int, msgspec.Meta(ge=1)]  # noqa: N806  a type

    def user(own: Local) -> Local:
        return own

    class Local(WebSocketConsumer):
        async def on_connect(
            self, it: Annotated[Local, Provide(user)], page: Positive = 1
        ) -> None:
            self.page = page
            assert it is self

        async def on_receive(self, message: Say) -> None:
            await self.send({"text": message.text, "page": self.page})

    route = WebSocketRoute("/with-settings", Local, caught_close_codes=all)
    app = App([WebSocketRoute("/", Local), route])
    async with TestClient(app) as client:
        for path in ("/", "/with-settings"):
            async with client.connect(f"{path}?page=2") as ws:
                await ws.send({"text": "hello"})
                assert await ws.receive_json() == {"text": "hello", "page": 2}


async def test_a_view_s_annotation_may_name_what_only_a_function_knows() -> None:
    """A view's annotations are read where the route is made."""
    app = App()
    Positive = Annotated[int, msgspec.Meta(ge=1)]  # noqa: N806  a type

    def user(ws: WebSocket) -> str:
        return ws.url.path

    @app.websocket_route("/decorated")
    async def view(
        ws: WebSocket, it: Annotated[str, Provide(user)], page: Positive = 1
    ) -> None:
        await ws.send(f"{it} {page}")

    app.routes.append(WebSocketRoute("/listed", view.consumer._view or view))
    async with TestClient(app) as client:
        for path in ("/decorated", "/listed"):
            async with client.connect(f"{path}?page=2") as ws:
                assert await ws.receive() == f"{path} 2"


async def test_an_annotation_may_name_what_the_class_has() -> None:
    """A message's type may be written into the class that receives it."""

    class Chat(WebSocketConsumer):
        class Say(msgspec.Struct):
            text: str

        async def on_receive(self, message: Say) -> None:
            await self.send(message)

    async with TestClient(Chat) as client, client.connect("/") as ws:
        await ws.send({"text": "hello"})
        assert await ws.receive_json() == {"text": "hello"}


def make_base() -> type[WebSocketConsumer]:
    """Make a class whose annotations nobody else can read."""

    class Hidden(msgspec.Struct):
        text: str

    class Base(WebSocketConsumer):
        def __init_subclass__(cls) -> None:
            super().__init_subclass__()

        async def on_receive(self, message: Hidden) -> None:
            await self.send(message)

    return Base


async def test_a_subclass_does_not_need_its_base_s_names() -> None:
    """Hooks are read where they were written, and not again."""

    class Sub(make_base()):  # type: ignore[misc]
        class Welcome(msgspec.Struct):
            name: str

        async def on_connect(self, name: str = "you") -> None:
            await self.send(self.Welcome(name))

    async with TestClient(Sub) as client, client.connect("/") as ws:
        assert await ws.receive_json() == {"name": "you"}
        await ws.send({"text": "hello"})
        assert await ws.receive_json() == {"text": "hello"}


def test_a_subclass_of_a_base_with_its_own_hook_for_subclasses() -> None:
    """The names are those of where the class stands, whoever stands in between."""

    class Hidden(msgspec.Struct):
        text: str

    class Sub(make_base()):  # type: ignore[misc]
        async def on_receive(self, message: Hidden) -> None: ...

    assert "_plan" in vars(Sub)


def test_local_names_are_those_of_the_application() -> None:
    """They are the caller's, where the caller is not this package."""
    here = object()

    assert callers_locals()["here"] is here


async def test_a_method_of_an_object_may_be_a_view() -> None:
    """A bound method is read like a function."""

    class Views:
        async def view(self, ws: WebSocket, page: int = 1) -> None:
            await ws.send(str(page))

    app = App([WebSocketRoute("/", Views().view), WebSocketRoute("/x", Views().view)])
    async with TestClient(app) as client, client.connect("/?page=2") as ws:
        assert await ws.receive() == "2"


def logged(
    function: Hook,
) -> Hook:
    """Decorate as applications do."""

    @functools.wraps(function)
    async def inner(*args: Any, **kwargs: Any) -> None:
        await function(*args, **kwargs)

    return inner


async def test_a_decorated_hook_is_read_through_its_decorator() -> None:
    """`functools.wraps` is all that a decorator needs."""

    class Wrapped(WebSocketConsumer):
        @logged
        async def on_connect(self, page: int = 1) -> None:
            self.page = page

        @logged
        async def on_receive(self, message: int) -> None:
            await self.send(message + self.page)

    async with TestClient(Wrapped) as client, client.connect("/?page=2") as ws:
        await ws.send_text("3")
        assert await ws.receive_json() == 5


# -- mistakes -------------------------------------------------------------------------


async def _variadic(*rooms: str) -> None: ...


async def _keywords(**rooms: str) -> None: ...


async def _positional(room: str, /) -> None: ...


async def _connection(ws: WebSocket) -> None: ...


async def _starlette(room: str, websocket: StarletteWebSocket) -> None: ...


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (
            _variadic,
            "Chat: parameters are filled by name, got *rooms: 'str'; name each one",
        ),
        (
            _keywords,
            "Chat: parameters are filled by name, got **rooms: 'str'; name each one",
        ),
        (
            _positional,
            "Chat: parameters are filled by name, got room: 'str'; name each one",
        ),
        (
            _connection,
            (
                "Chat: a consumer is the connection itself, got ws: 'WebSocket'; leave "
                "'ws' out and use self"
            ),
        ),
        (
            _starlette,
            (
                "Chat: a consumer is the connection itself, got websocket: "
                "'StarletteWebSocket'; leave 'websocket' out and use self"
            ),
        ),
    ],
)
def test_what_nobody_can_fill(function: Hook, text: str) -> None:
    """A parameter that can't be filled by name is refused when the class is made."""
    with pytest.raises(ConfigurationError) as caught:
        read_signature(function, "Chat", from_url=True)

    assert str(caught.value) == text


def test_a_connection_by_name_alone() -> None:
    """Without an annotation, the name that other frameworks give it is enough.

    Also where it would take the place of the message.
    """

    async def on_connect(websocket, room: str) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001

    async def on_receive(self, websocket, data) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001

    for hook, given in ((on_connect, ()), (on_receive, ("self", "message"))):
        with pytest.raises(ConfigurationError) as caught:
            read_signature(hook, "Chat", given=given, from_url=True)

        assert str(caught.value) == (
            "Chat: a consumer is the connection itself, got websocket; leave "
            "'websocket' out and use self"
        )


def test_a_provider_is_no_default() -> None:
    """The marker stands in the annotation, in hooks and in factories."""

    async def on_connect(it: int = Provide(number)) -> None: ...  # type: ignore[assignment]

    def factory(it: int = Provide(number)) -> None: ...  # type: ignore[assignment]

    with pytest.raises(ConfigurationError) as caught:
        read_signature(on_connect, "Chat", from_url=True)
    text = str(caught.value)
    assert text.startswith("Chat: a provider goes into the annotation, got it: 'int' =")
    assert text.endswith("; write it: Annotated[T, Provide(factory)]")

    async def on_receive(it: Annotated[int, Provide(factory)]) -> None: ...

    with pytest.raises(ConfigurationError, match="factory: a provider goes into the"):
        read_signature(on_receive, "Chat", namespace=locals())


def test_what_only_a_provider_can_fill() -> None:
    """Hooks after the handshake get nothing from the URL."""
    with pytest.raises(ConfigurationError) as caught:
        read_signature(hook, "Chat.on_receive", given=("message",))

    assert str(caught.value) == (
        "Chat.on_receive: 'page' must be a provider, got page: 'int'; the URL's "
        "parameters go to on_connect, and a value of another kind is written page: "
        "Annotated[T, Provide(factory)]"
    )


def test_a_default_stays_where_the_url_is_not_asked() -> None:
    """A parameter with a default is the hook's own affair after the handshake."""

    async def on_receive(message: str, loud: bool = False) -> None: ...

    signature = read_signature(on_receive, "Chat.on_receive", given=("message",))

    assert (signature.parameters, signature.is_plain) == ((), True)


def test_too_few_parameters() -> None:
    """The error shows the signature to write."""
    with pytest.raises(ConfigurationError) as caught:

        class Chat(WebSocketConsumer):
            async def on_receive(self) -> None: ...

    assert str(caught.value) == (
        "test_too_few_parameters.<locals>.Chat.on_receive must take 'self' and "
        "'message', got 1 parameters; write async def on_receive(self, message)"
    )


def test_a_view_without_its_connection() -> None:
    """A view's first parameter is the connection."""
    with pytest.raises(ConfigurationError) as caught:
        WebSocketRoute("/", read_nothing)

    assert str(caught.value) == (
        "read_nothing must take 'ws', got 0 parameters; write async def "
        "read_nothing(ws)"
    )


async def read_nothing() -> None:
    """Take nothing."""
