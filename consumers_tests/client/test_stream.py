"""`Stream`: items as they come, and who stops them."""

from __future__ import annotations

from typing import Any

import anyio
import msgspec
import pytest
from anyio import create_task_group

from consumers.client import Client, Closed, Overflow, UnexpectedMessage
from consumers.errors import MessageError, StateError
from consumers_tests.client.scripted import Peer, Server


class Token(msgspec.Struct, tag="token"):
    text: str


def token(number: int, text: str) -> dict[str, Any]:
    """Return the frame of an item."""
    return {"type": "item", "id": number, "message": {"type": "token", "text": text}}


async def asked(client: Client, server: Server) -> Peer:
    """Return a connection over which requests are sent."""
    peer = await server.accept()
    await client.ready()
    return peer


async def test_a_stream_until_its_end(server: Server) -> None:
    """Items come in order as their type; after the end nothing is cancelled."""
    async with server.client() as client:
        peer = await asked(client, server)
        async with client.stream({"q": 1}, returns=Token) as tokens:
            frame = await peer.hear()
            assert frame["message"] == {"q": 1}
            assert "key" not in frame
            number = frame["id"]
            peer.say(token(number, "a"), token(number, "b"))
            peer.say({"type": "done", "id": number})
            assert [item async for item in tokens] == [Token("a"), Token("b")]
        await peer.hear_nothing()


async def test_leaving_stops_it(server: Server) -> None:
    """Leaving the context early cancels; what comes then disturbs nobody."""
    async with server.client() as client:
        peer = await asked(client, server)
        async with client.stream("?", returns=Token) as tokens:
            number = (await peer.hear())["id"]
            peer.say(token(number, "a"))
            assert await anext(tokens) == Token("a")
        assert await peer.hear() == {"type": "cancel", "id": number}
        peer.say(token(number, "b"), {"type": "message", "message": 1})
        peer.say({"type": "error", "id": number, "code": "cancelled"})
        assert await client.receive() == 1
        assert [item async for item in tokens] == []


async def test_an_error_comes_after_the_items(server: Server) -> None:
    """What the server says is raised where the next item would be."""
    async with server.client() as client:
        peer = await asked(client, server)
        async with client.stream("?", returns=Token) as tokens:
            number = (await peer.hear())["id"]
            peer.say(token(number, "a"))
            peer.say({"type": "error", "id": number, "code": "too_hot", "detail": "x"})
            assert await anext(tokens) == Token("a")
            with pytest.raises(MessageError, match="too_hot: x"):
                await anext(tokens)


async def test_one_reply_is_a_stream_of_one(server: Server) -> None:
    """A method that returns answers a stream, too; a wrong item raises."""
    async with server.client() as client:
        peer = await asked(client, server)
        async with client.stream("?", returns=Token) as tokens:
            number = (await peer.hear())["id"]
            peer.say({"type": "reply", "id": number, "message": 7})
            with pytest.raises(UnexpectedMessage, match="Token"):
                await anext(tokens)
            assert [item async for item in tokens] == []


async def test_a_request_is_no_stream(server: Server) -> None:
    """Items for a request raise, and the server is told to stop."""
    async with server.client() as client:
        peer = await asked(client, server)
        for frame, cancels in (({"type": "done"}, False), (token(0, "a"), True)):
            async with create_task_group() as tasks:

                async def ask() -> None:
                    with pytest.raises(UnexpectedMessage, match=r"client\.stream"):
                        await client.request("?")

                tasks.start_soon(ask)
                number = (await peer.hear())["id"]
                peer.say({**frame, "id": number})
            if cancels:
                assert await peer.hear() == {"type": "cancel", "id": number}


async def test_items_that_nobody_reads(server: Server) -> None:
    """More than may wait end the stream, aloud, behind what was kept."""
    async with server.client(unread=2) as client:
        peer = await asked(client, server)
        async with client.stream("?", returns=Token) as tokens:
            number = (await peer.hear())["id"]
            peer.say(*(token(number, text) for text in "abcd"))
            assert await peer.hear() == {"type": "cancel", "id": number}
            assert [(await anext(tokens)).text for _ in range(2)] == ["a", "b"]
            with pytest.raises(Overflow, match="at most 2 items"):
                await anext(tokens)
        await peer.hear_nothing()


async def test_misuse(server: Server) -> None:
    """A stream is read inside of its context, which is entered once."""
    async with server.client() as client:
        stream = client.stream("?")
        with pytest.raises(StateError, match="inside of its context"):
            await anext(stream)
        async with stream:
            with pytest.raises(StateError, match="entered once"):
                await stream.__aenter__()


async def test_a_client_that_is_closed_in_mid_stream(server: Server) -> None:
    """The server's final close is raised."""
    async with server.client() as client:
        peer = await asked(client, server)
        async with client.stream("never sent"):
            peer.flows = anyio.Event()
            async with client.stream("?") as items:
                peer.close_with(4403)
                with pytest.raises((Closed, ConnectionError)):
                    await anext(items)
