"""The ASGI extension by which publications go out as ready frames, in virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest
from uvicorn import Config
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.server import ServerState

from consumers import (
    App,
    Coalesce,
    DropNewest,
    DropOldest,
    Group,
    Groups,
    Limits,
    WebSocketConsumer,
    WebSocketRoute,
)
from consumers.codecs import Event
from consumers.queues.direct import EXTENSION, direct_of
from consumers.server.frames import close_frame, text_frame
from consumers.server.uvicorn import Protocol
from consumers_tests.server.driven import VIRTUAL, Driven, opened, said, turns
from consumers_tests.server.live import handshake

GROUPS = [
    Group("closing"),
    Group("oldest", outbox=DropOldest()),
    Group("newest", outbox=DropNewest()),
    Group("coalesced", outbox=Coalesce(key=lambda _: "one")),
]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return VIRTUAL


class Member(WebSocketConsumer):
    """Publishes to its group what it is told, and answers."""

    limits = Limits(outbox_messages=5)

    async def on_connect(self, group: str) -> None:
        await self.join(group)

    async def on_receive(self, message: str) -> None:
        for letter in message:
            await self.publish(self.path_params["group"], letter)
        await self.send("done")


class Counting(Protocol):
    """Counts the frames that are made for publications."""

    made: ClassVar[list[Event]] = []

    def frame(self, event: Event) -> bytes:
        self.made.append(event)
        return super().frame(event)


class Room:
    """An application on our server, and clients of it that are in one group."""

    def __init__(self, *wrappers: Any) -> None:
        self.groups = Groups(declared=GROUPS)
        app: Any = App([WebSocketRoute("/{group}", Member)], groups=self.groups)
        for wrapper in wrappers:
            app = wrapper(app)
        self.config = Config(
            app,
            interface="asgi3",
            lifespan="off",
            log_config=None,
            ws_ping_interval=None,
            ws_per_message_deflate=True,
        )
        self.state = ServerState()

    async def enter(self, group: str, **headers: str) -> Driven:
        """Return a client that is a member."""
        driven = Driven(
            request=handshake(f"/{group}", **headers),
            config=self.config,
            state=self.state,
            kind=Counting,
        )
        while not driven.written.startswith(b"HTTP/1.1 101 "):
            await turns(1)
        await turns(20)
        return driven


@asynccontextmanager
async def room(*wrappers: Any) -> AsyncIterator[Room]:
    """Serve, and end every connection."""
    Counting.made.clear()
    served = Room(*wrappers)
    async with served.groups.lifespan(None):
        yield served
        for connection in list(served.state.connections):
            connection.connection_lost(None)
        while served.state.tasks:
            await turns(1)


def texts(letters: str) -> bytes:
    return b"".join(text_frame(letter.encode()) for letter in letters)


# -- whether there is one -------------------------------------------------------------


async def test_a_server_without_it_has_none() -> None:
    """Neither a scope without extensions, nor one with others."""
    driven = await opened()
    scope, receive, send = driven.scope, driven.receive, driven.send

    assert direct_of(scope, receive, send) is driven.protocol
    assert direct_of({**scope, "extensions": {}}, receive, send) is None
    assert direct_of({**scope, "extensions": None}, receive, send) is None
    assert direct_of({"type": "websocket"}, receive, send) is None


async def test_who_stands_in_between_is_not_passed_by() -> None:
    """Where `receive` or `send` are somebody else's, the extension is not used."""
    driven, other = await opened(), await opened()

    async def wrapped(*event: Any) -> Any:
        raise AssertionError

    for receive, send in (
        (wrapped, driven.send),
        (driven.receive, wrapped),
        (other.receive, other.send),
    ):
        assert direct_of(driven.scope, receive, send) is None


async def test_a_middleware_sees_every_publication() -> None:
    """What wraps `send` gets them one by one, as without the extension."""
    seen = []

    def middleware(app: Any) -> Any:
        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            async def watching(event: Any) -> None:
                seen.append(event.get("text", event["type"]))
                await send(event)

            await app(scope, receive, watching)

        return wrapped

    async with room(middleware) as served:
        member = await served.enter("closing")
        for letter in "ab":
            await served.groups.publish("closing", letter)
        await turns(20)
        assert member.written == texts("ab")

    assert seen == ["websocket.accept", "a", "b"]
    assert Counting.made == []


async def test_a_middleware_that_only_reads_the_scope_is_no_hindrance() -> None:
    """Uvicorn's own for proxies hands `receive` and `send` on as they are."""
    async with room(ProxyHeadersMiddleware) as served:
        member = await served.enter("closing")
        await served.groups.publish("closing", "a")
        await turns()

        assert member.written == texts("a")
        assert len(Counting.made) == 1


# -- what it does ---------------------------------------------------------------------


async def test_a_frame_is_made_once_for_all() -> None:
    """Each publication becomes one frame, and goes to every member."""
    async with room() as served:
        members = [await served.enter("closing") for _ in range(3)]
        for letter in "ab":
            await served.groups.publish("closing", letter)
        await turns()

        assert [member.written for member in members] == [texts("ab")] * 3
        assert [event["text"] for event in Counting.made] == ["a", "b"]


async def test_publications_due_to_one_member_share_a_write() -> None:
    """Sixteen that are published in one turn are one write to each member."""
    async with room() as served:
        one, two = [await served.enter("closing") for _ in range(2)]
        one.transport.writes.clear()
        one.says(said("abcdefghijklmnop"))
        await turns()

        assert one.written == texts("abcdefghijklmnop") + text_frame(b"done")
        assert two.transport.writes == [texts("abcdefghijklmnop")]


async def test_frames_of_other_compressions_are_others() -> None:
    """Who agreed on compression gets a frame that those who agreed on it share."""
    deflate = "permessage-deflate; server_no_context_takeover"
    long = "x" * 1000
    async with room() as served:
        plain = [await served.enter("closing") for _ in range(2)]
        shared = [
            await served.enter("closing", Sec_WebSocket_Extensions=deflate)
            for _ in range(2)
        ]
        alone = await served.enter(
            "closing", Sec_WebSocket_Extensions="permessage-deflate"
        )
        await served.groups.publish("closing", long)
        await turns(20)

        assert {member.written for member in plain} == {text_frame(long.encode())}
        [compressed] = {member.written for member in shared}
        assert len(compressed) < 50
        assert alone.written[0] == compressed[0] == 0xC1
        assert len(Counting.made) == 2


# -- who reads too slowly -------------------------------------------------------------


@pytest.mark.parametrize(
    ("group", "gets"),
    # The first one is on its way already when the others begin to wait.
    [("oldest", "awxyz"), ("newest", "abcde"), ("coalesced", "az")],
)
async def test_a_paused_transport_follows_the_groups_policy(
    group: str, gets: str
) -> None:
    """What waits for a member is bounded, and which of it is lost its group says."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    async with room() as served:
        slow, quick = [await served.enter(group) for _ in range(2)]
        slow.transport.stalled = True
        slow.protocol.pause_writing()
        for letter in letters:
            await served.groups.publish(group, letter)
            await turns()
        assert slow.written == b""
        assert quick.written == texts(letters)

        slow.protocol.resume_writing()
        await turns(40)

        assert slow.written == texts(gets)


async def test_a_paused_transport_may_end_its_member() -> None:
    """Where a group loses nothing, who reads too slowly is closed with 1013."""
    async with room() as served:
        slow, quick = [await served.enter("closing") for _ in range(2)]
        slow.protocol.pause_writing()
        for letter in "abcdefghij":
            await served.groups.publish("closing", letter)
            await turns(20)
        slow.protocol.resume_writing()
        await turns(40)

        assert slow.written.endswith(close_frame(1013, "reading too slowly"))
        assert quick.written == texts("abcdefghij")


async def test_what_waits_goes_before_what_follows() -> None:
    """After a pause nothing overtakes: publications, replies, publications."""
    async with room() as served:
        # For the first of all members the frame is made, to others it just goes.
        _, member = [await served.enter("closing") for _ in range(2)]
        member.protocol.pause_writing()
        await served.groups.publish("closing", "1")
        member.says(said("2"))
        await turns(20)
        assert member.written == b""

        member.protocol.resume_writing()
        await served.groups.publish("closing", "3")
        await turns(40)

        assert member.written == texts("12") + text_frame(b"done") + texts("3")


async def test_who_is_looked_at_gets_frames_of_its_own() -> None:
    """From then on, where it shared those of the other members before."""
    async with room() as served:
        _, driven = [await served.enter("closing") for _ in range(2)]
        local = served.groups._loop.get()
        assert local is not None
        _, member = local.hub.members["closing"]
        assert member.framed is not None

        driven.protocol.shares = None
        member._share_frames()
        assert member.framed is None
        await served.groups.publish("closing", "a")
        await turns(20)

        assert driven.written == texts("a")


async def test_the_name_is_public() -> None:
    """Servers and frameworks find it under one name."""
    driven = await opened()

    assert driven.scope["extensions"][EXTENSION] is driven.protocol
