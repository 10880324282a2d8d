"""Path and query parameters, their conversion, and what a wrong one does."""

import datetime as dt
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from consumers import App, InvalidParameters, WebSocket, WebSocketConsumer
from consumers.testing import Refused, TestClient

from . import both_styles

Positive = Annotated[int, Meta(ge=0)]


def taking(kind: Any) -> App:
    """Return an application whose endpoints take `value` and say what they got."""
    app = App()

    @app.websocket_route("/function/{value}")
    async def view(ws: WebSocket, value: kind) -> None:
        await ws.send(repr(value))

    @app.websocket_route("/class/{value}")
    class Consumer(WebSocketConsumer):
        async def on_connect(self, value: kind) -> None:
            await self.send(repr(value))

    return app


def asking(kind: Any, default: Any) -> App:
    """Return an application whose endpoints take `value` from the query."""
    app = App()

    @app.websocket_route("/function")
    async def view(ws: WebSocket, value: kind = default) -> None:
        await ws.send(repr(value))

    @app.websocket_route("/class")
    class Consumer(WebSocketConsumer):
        async def on_connect(self, value: kind = default) -> None:
            await self.send(repr(value))

    return app


async def said(app: App, path: str) -> str:
    """Return the first message of the endpoint at a path."""
    async with TestClient(app) as client, client.connect(path) as ws:
        return await ws.receive(str)


async def refusal(app: App, path: str, *, denial_response: bool = True) -> Refused:
    """Return how a path is refused."""
    async with TestClient(app) as client:
        with pytest.raises(Refused) as outcome:
            async with client.connect(path, denial_response=denial_response):
                pass
    return outcome.value


CONVERTED = [
    (int, "42", 42),
    (int, "-1", -1),
    (float, "4.2", 4.2),
    (float, "inf", float("inf")),
    (bool, "TRUE", True),
    (bool, "1", True),
    (bool, "false", False),
    (bool, "0", False),
    (Decimal, "1.10", Decimal("1.10")),
    (dt.date, "2019-03-04", dt.date(2019, 3, 4)),
    (dt.time, "10:11:12", dt.time(10, 11, 12)),
    (dt.datetime, "2019-03-04T10:11:12", dt.datetime(2019, 3, 4, 10, 11, 12)),
    (Positive, "0", 0),
]
REFUSED = [
    (int, "4.2"),
    (int, "x"),
    (float, "x"),
    (bool, "12"),
    (bool, "yes"),
    (bool, "no"),
    (bool, "a1"),
    (bool, "on"),
    (dt.date, "2019-13-04"),
    (Positive, "-1"),
    (Annotated[float, Meta(ge=0)], "nan"),
]


@both_styles
async def test_s13_s15_path_parameters_are_converted(path: str) -> None:
    """Text in the path becomes what the annotation says."""
    for kind, text, value in CONVERTED:
        assert await said(taking(kind), f"{path}/{text}") == repr(value)


@both_styles
async def test_s13_s15_query_parameters_are_converted(path: str) -> None:
    """Text in the query becomes what the annotation says."""
    for kind, text, value in CONVERTED:
        assert await said(asking(kind, None), f"{path}?value={text}") == repr(value)


@both_styles
async def test_s13_s15_what_does_not_convert_is_refused(path: str) -> None:
    """A text of another kind, or outside of the constraints, gives 400."""
    for kind, text in REFUSED:
        outcome = await refusal(taking(kind), f"{path}/{text}")
        assert outcome.status == 400
        assert list(outcome.json()["errors"]) == ["value"]


@both_styles
async def test_s15_the_empty_string_is_no_bool(path: str) -> None:
    """`?value=` is not false: it is an error."""
    assert (await refusal(asking(bool, True), f"{path}?value=")).status == 400


@both_styles
async def test_s14_without_annotation_it_is_text(path: str) -> None:
    """A path parameter that says nothing of its type is a string."""
    app = App()

    @app.websocket_route("/function/{value}")
    async def view(ws: WebSocket, value) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        await ws.send(repr(value))

    @app.websocket_route("/class/{value}")
    class Consumer(WebSocketConsumer):
        async def on_connect(self, value) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
            await self.send(repr(value))

    assert await said(app, f"{path}/42") == "'42'"


@both_styles
async def test_s16_a_default_makes_a_query_parameter(path: str) -> None:
    """It may be absent, and then the default is passed on as it is."""
    default = object()
    app = asking(int, default)
    assert await said(app, path) == repr(default)
    assert await said(app, f"{path}?value=5") == "5"
    assert (await refusal(app, f"{path}?value=x")).status == 400


@both_styles
async def test_s16_of_a_repeated_key_the_last_counts(path: str) -> None:
    """`?value=1&value=2` is 2, and both for who asks for a list."""
    assert await said(asking(int, 0), f"{path}?value=1&value=2") == "2"
    assert await said(asking(list[int], []), f"{path}?value=1&value=2") == "[1, 2]"


@both_styles
async def test_s17_a_query_parameter_without_annotation_is_text(path: str) -> None:
    """The type of the default says nothing: `?value=5` is "5"."""
    app = App()

    @app.websocket_route("/function")
    async def view(ws: WebSocket, value=1) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        await ws.send(repr(value))

    @app.websocket_route("/class")
    class Consumer(WebSocketConsumer):
        async def on_connect(self, value=1) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
            await self.send(repr(value))

    assert await said(app, f"{path}?value=5") == "'5'"
    assert await said(app, path) == "1"


@both_styles
async def test_s18_the_path_comes_before_the_query(path: str) -> None:
    """A query key that is called like a path parameter is not that parameter."""
    app = App()

    @app.websocket_route("/function/{value}")
    async def view(ws: WebSocket, value: int = 0) -> None:
        await ws.send(repr(value))

    @app.websocket_route("/class/{value}")
    class Consumer(WebSocketConsumer):
        async def on_connect(self, value: int = 0) -> None:
            await self.send(repr(value))

    assert await said(app, f"{path}/1?value=2") == "1"


def two() -> App:
    """Return an application with two parameters, the path's and the query's."""
    app = App()

    @app.websocket_route("/function/{first}")
    async def view(ws: WebSocket, first: int, second: int = 0) -> None:
        """Is never called."""

    @app.websocket_route("/class/{first}")
    class Consumer(WebSocketConsumer):
        async def on_handshake(self, first: int) -> None:
            """Is never called."""

        async def on_connect(self, second: int = 0) -> None:
            """Is never called."""

    return app


@both_styles
async def test_s19_all_errors_are_told_at_once(path: str) -> None:
    """The answer has one text for each parameter that is wrong."""
    outcome = await refusal(two(), f"{path}/x?second=y")
    assert outcome.headers["content-type"] == "application/json"
    errors = outcome.json()["errors"]
    assert list(errors) == ["first", "second"]
    assert "Expected `int`" in errors["first"]


@both_styles
async def test_s20_a_wrong_parameter_is_told_before_accept(path: str) -> None:
    """The handshake is refused with 400, and nothing is raised in the server."""
    assert (await refusal(two(), f"{path}/x")).status == 400


@both_styles
async def test_s20_a_server_without_denial_responses_says_403(path: str) -> None:
    """Where no body can be sent with a refusal, it is a plain 403."""
    outcome = await refusal(two(), f"{path}/x", denial_response=False)
    assert (outcome.status, outcome.body) == (403, b"")


@pytest.mark.parametrize("auto_accept", [True, False])
async def test_s20_accepting_by_hand_makes_no_difference(auto_accept: bool) -> None:
    """Parameters are bound before the view is called, whoever accepts."""
    app = App()

    @app.websocket_route("/{value}", auto_accept=auto_accept)
    async def view(ws: WebSocket, value: int) -> None:
        """Is never called."""

    assert (await refusal(app, "/x")).status == 400


@both_styles
async def test_s21_a_validation_error_of_the_view_is_an_error(path: str) -> None:
    """After accept it is no different from other exceptions: 1011, and raised."""
    app = App()

    @app.websocket_route("/function")
    async def view(ws: WebSocket) -> None:
        raise msgspec.ValidationError("wrong")

    @app.websocket_route("/class")
    class Consumer(WebSocketConsumer):
        async def on_connect(self) -> None:
            raise msgspec.ValidationError("wrong")

    async with TestClient(app) as client:
        with pytest.raises(msgspec.ValidationError):
            async with client.connect(path) as ws:
                assert (await ws.receive_close()).code == 1011


async def test_s21_a_hook_can_refuse_parameters_itself() -> None:
    """`InvalidParameters` raised in `on_handshake` is answered like the framework's."""
    app = App()

    @app.websocket_route("/{day}")
    class Consumer(WebSocketConsumer):
        async def on_handshake(self, day: int) -> None:
            raise InvalidParameters({"day": "has passed"})

    outcome = await refusal(app, "/1")
    assert outcome.status == 400
    assert outcome.json() == {"errors": {"day": "has passed"}}
