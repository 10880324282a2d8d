"""Runs docs/examples, each as a class and as a function where there are both.

An example outside of the guide's has its tests wherever its subject has them; what is
asked of every file of docs/examples stands at the end.
"""

import ast
import random
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import api_key
import api_key_function
import channel
import channel_function
import connection_request
import connection_request_function
import dangerous
import dangerous_function
import echo
import echo_function
import events
import events_function
import hello_manual_accept
import hello_manual_accept_function
import leaving
import leaving_function
import message_types
import message_types_function
import pytest

from consumers import WebSocketDisconnect
from consumers.testing import Closed, Refused, TestClient

TESTS = Path(__file__).parent.parent
EXAMPLES = TESTS.parent / "docs" / "examples"
FILES = sorted(EXAMPLES.rglob("*.py"))
SERVED = re.compile(r"[\w.]+:\w+")
DOTTED = re.compile(r"[a-z_]+(\.[a-z_]+)+")


def examples(*modules: ModuleType) -> pytest.MarkDecorator:
    """Run a test with each of these examples."""
    names = [module.__name__ for module in modules]
    return pytest.mark.parametrize("example", modules, ids=names)


@examples(echo, echo_function, events, events_function)
async def test_echo_says_it_back(example: ModuleType) -> None:
    """The echo, with messages and with events, repeats what it was told."""
    async with TestClient(example.app) as client, client.connect("/echo") as ws:
        await ws.send("hello")
        assert await ws.receive() == "You said: hello"


@examples(echo, echo_function)
async def test_echo_goes_on_until_the_client_leaves(example: ModuleType) -> None:
    """One connection may send any number of messages."""
    async with TestClient(example.app) as client, client.connect("/echo") as ws:
        for message in ("one", "two", "three"):
            await ws.send(message)
            assert await ws.receive() == f"You said: {message}"


async def test_a_view_that_returns_closes_the_connection() -> None:
    """The guide's four lines answer one message, and are closed with 1000."""
    app = echo_function.app
    async with TestClient(app) as client, client.connect("/once") as ws:
        await ws.send("hello")
        assert await ws.receive() == "You said: hello"
        assert (await ws.receive_close()).code == 1000


async def test_the_echo_by_events_may_get_no_message() -> None:
    """It returns when the first event is that the client left."""
    app = events_function.app
    async with TestClient(app) as client, client.connect("/echo") as ws:
        await ws.close()


@examples(channel, channel_function)
async def test_what_is_said_reaches_the_channel_alone(example: ModuleType) -> None:
    """Everybody in the channel gets a message with its author's name, others don't."""
    async with (
        TestClient(example.app) as client,
        client.connect("/chat/lobby", headers={"user": "ada"}) as ada,
        client.connect("/chat/lobby?anonymous=true") as somebody,
        client.connect("/chat/attic", headers={"user": "eve"}) as eve,
    ):
        await client.settle()  # all of them have joined
        await ada.send({"text": "hi"})
        for member in (ada, somebody):
            said = {"user": "ada", "message": {"text": "hi"}}
            assert await member.receive_json() == said
        await somebody.send([1, 2])
        assert await ada.receive_json() == {"user": "Anonymous", "message": [1, 2]}
        await eve.receive_nothing()


@examples(channel, channel_function)
async def test_a_channel_has_a_name_of_bounded_length(example: ModuleType) -> None:
    """A name that is too long is the client's mistake: 400."""
    async with TestClient(example.app) as client:
        with pytest.raises(Refused) as refused:
            async with client.connect(f"/chat/{'x' * 21}?anonymous=1"):
                pass
    assert refused.value.status == 400
    assert list(refused.value.json()["errors"]) == ["channel"]


async def test_who_gives_no_name_is_refused() -> None:
    """The class refuses with 401 who neither has a name nor wants to be anonymous."""
    async with TestClient(channel.app) as client:
        with pytest.raises(Refused, match="401"):
            async with client.connect("/chat/lobby"):
                pass


@examples(connection_request, connection_request_function)
async def test_the_request_is_there_to_see(example: ModuleType) -> None:
    """URL, headers and query parameters tell of the request."""
    async with (
        TestClient(example.app) as client,
        client.connect("/mirror?a=1&b=2", headers={"user-agent": "browser"}) as ws,
    ):
        assert await ws.receive_json() == {
            "path": "/mirror",
            "secure": False,
            "agent": "browser",
            "query": {"a": "1", "b": "2"},
        }
        assert (await ws.receive_close()).code == 1000


@examples(message_types, message_types_function)
async def test_messages_are_text_bytes_or_json(example: ModuleType) -> None:
    """Each route receives and sends messages of its own kinds."""
    async with TestClient(example.app) as client:
        async with client.connect("/upper") as ws:
            await ws.send("hello")
            assert await ws.receive() == "HELLO"
        async with client.connect("/reverse") as ws:
            await ws.send(b"\x01\x02")
            assert await ws.receive() == b"\x02\x01"
        async with client.connect("/keys") as ws:
            await ws.send({"b": 1, "a": 2})
            assert await ws.receive(list) == ["a", "b"]
        async with client.connect("/length") as ws:
            await ws.send(b"four")
            assert await ws.receive(dict) == {"length": 4}
            assert await ws.receive() == "counted"


@examples(hello_manual_accept, hello_manual_accept_function)
async def test_hello_accepts_by_hand(example: ModuleType) -> None:
    """It accepts with a subprotocol and a header, says hello and closes."""
    async with (
        TestClient(example.app) as client,
        client.connect("/hello", subprotocols=["other", "hello.v1"]) as ws,
    ):
        assert ws.accepted_subprotocol == "hello.v1"
        assert ws.response_headers["x-served-by"] == "hello"
        assert await ws.receive() == "Hello, WebSockets!"
        assert (await ws.receive_close()).code == 1000


@examples(hello_manual_accept, hello_manual_accept_function)
async def test_hello_that_does_not_accept_is_refused(example: ModuleType) -> None:
    """A client without the subprotocol is never accepted, and so refused with 403."""
    async with TestClient(example.app) as client:
        with pytest.raises(Refused, match="403"):
            async with client.connect("/hello"):
                pass


async def test_async_with_accepts_and_closes() -> None:
    """`async with ws` accepts at its beginning and closes at its end."""
    app = hello_manual_accept_function.app
    async with TestClient(app) as client, client.connect("/with") as ws:
        assert await ws.receive() == "Hello, WebSockets!"
        assert (await ws.receive_close()).code == 1000


@examples(api_key, api_key_function)
async def test_the_key_lets_in(example: ModuleType) -> None:
    """Who knows the key is greeted and answered."""
    async with (
        TestClient(example.app) as client,
        client.connect("/hello", headers={"api-key": "s3kr3t"}) as ws,
    ):
        assert await ws.receive() == "Hello, authorized client!"
        await ws.send("hi")
        assert await ws.receive() == "You said: hi"


@examples(api_key, api_key_function)
@pytest.mark.parametrize("headers", [{}, {"api-key": "gue55"}])
async def test_a_wrong_key_does_not(
    example: ModuleType, headers: dict[str, str]
) -> None:
    """Who does not know the key is refused with 401."""
    async with TestClient(example.app) as client:
        with pytest.raises(Refused, match="401"):
            async with client.connect("/hello", headers=headers):
                pass


@examples(dangerous, dangerous_function)
async def test_danger_shows_in_the_close_code(
    example: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bad luck closes with the application's own code and a reason."""
    monkeypatch.setattr(random, "random", iter((0.5, 0.05)).__next__)
    async with TestClient(example.app) as client, client.connect("/dangerous") as ws:
        await ws.send("once")
        assert await ws.receive() == "OK"
        await ws.send("again")
        event = await ws.receive_close()
        assert (event.code, event.reason) == (4003, "boom")


@examples(dangerous, dangerous_function)
async def test_luck_ends_after_a_hundred_messages(
    example: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred messages without bad luck end in a normal closure."""
    monkeypatch.setattr(random, "random", lambda: 0.5)
    async with TestClient(example.app) as client, client.connect("/dangerous") as ws:
        for _ in range(100):
            await ws.send("again")
            assert await ws.receive() == "OK"
        assert (await ws.receive_close()).code == 1000


def cleared(example: ModuleType) -> tuple[set[object], list[int]]:
    """Return who is here and which codes were seen, emptied."""
    state = getattr(example, "Visit", example)
    state.seen.clear()
    state.here.clear()
    return state.here, state.seen


@examples(leaving, leaving_function)
async def test_leaving_is_noticed(example: ModuleType) -> None:
    """Whether a client closes or vanishes, it is not counted any more."""
    here, seen = cleared(example)
    async with TestClient(example.app) as client, client.connect("/visit") as first:
        assert await first.receive() == "1 here"
        async with client.connect("/visit") as second:
            assert await second.receive() == "2 here"
            await second.drop()
        await first.send("how many?")
        assert await first.receive() == "1 here"
        await first.close(1001)
    assert (here, seen) == (set(), [1006, 1001])


async def test_a_view_is_told_of_codes_that_it_did_not_expect() -> None:
    """A function that does not catch the client's code raises, for the server's log."""
    here, seen = cleared(leaving_function)
    app = leaving_function.app
    async with TestClient(app) as client:
        with pytest.raises(WebSocketDisconnect):
            async with client.connect("/visit") as ws:
                await ws.close(4000)
    assert (here, seen) == (set(), [4000])


async def test_a_class_is_told_of_every_code_by_its_hook() -> None:
    """A class learns any code in `on_disconnect`, and nothing is raised."""
    here, seen = cleared(leaving)
    async with TestClient(leaving.app) as client, client.connect("/visit") as ws:
        assert await ws.receive() == "1 here"
        await ws.close(4000)
        with pytest.raises(Closed):
            await ws.receive()
    assert (here, seen) == (set(), [4000])


# -- what is asked of every file -----------------------------------------------------


def module_name(path: Path) -> str:
    """Return the name by which a file of docs/examples is imported."""
    parts = path.with_suffix("").parts
    name = ".".join(part for part in parts if part != "__init__")
    return name.removeprefix("tutorial.")  # those import each other as in one folder


def mentioned(file: Path, package: str = "") -> Iterator[str]:
    """Yield the modules that a file imports, names as `module:app`, or as a path."""
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                source = ".".join(filter(None, (package if level else "", module)))
                yield source
                yield from (f"{source}.{alias.name}" for alias in names)
            case ast.Constant(value=str(text)) if SERVED.fullmatch(text):
                yield text.partition(":")[0]
            case ast.Constant(value=str(text)) if DOTTED.fullmatch(text):
                yield text  # Django's settings name modules so
            case ast.Constant(value=str(text)) if text.endswith(".py"):
                yield module_name(Path(text))


def test_every_example_is_run() -> None:
    """Each file is imported, served or run by a test, or by an example that is."""
    unnamed = ("__init__.py", "conftest.py")  # by nobody: Python and pytest find them
    files = {
        module_name(path.relative_to(EXAMPLES)): path
        for path in FILES
        if path.name not in unnamed
    }
    reached = {name for test in TESTS.rglob("*.py") for name in mentioned(test)}
    found = set(files) & reached
    while found:
        reached |= found
        found = {
            name
            for module in found
            for name in mentioned(files[module], module.rpartition(".")[0])
        } & (set(files) - reached)

    assert set(files) - reached == set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.name))
def test_every_example_says_what_it_shows(path: Path) -> None:
    """Each file begins with a docstring."""
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_an_example_in_one_file_is_short() -> None:
    """An example that is one file has less than 60 lines."""
    length = {
        path.name: len(path.read_text().splitlines()) for path in EXAMPLES.glob("*.py")
    }

    assert {name: n for name, n in length.items() if n >= 60} == {}
