"""Metering: messages that come too fast, on their way to the application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from consumers import App, Limits, MessageError, WebSocketConsumer, receives
from consumers.errors import InvalidMessage
from consumers.limits import OverRate
from consumers.metering import meter_for
from consumers.rates import Rate
from consumers.testing import ClientConnection, TestClient
from consumers_tests.doubles import serving
from consumers_tests.excesses import Excesses

MESSAGES = Rate(per_second=2, burst=3)
V1 = "consumers.v1+json"


class Say(msgspec.Struct, tag="say"):
    text: str


class Echo(WebSocketConsumer):
    async def on_receive(self, message: str) -> None:
        await self.send(message)


class Several(Echo):
    concurrency = 2


class Typed(WebSocketConsumer):
    @receives
    async def say(self, message: Say) -> Say:
        return message


def limits(how: OverRate, **settings: Any) -> Limits:
    return Limits(**{"message_rate": MESSAGES, "over_rate": how, **settings})


@asynccontextmanager
async def talking(
    consumer: type[WebSocketConsumer], bounds: Limits, *offers: str
) -> AsyncIterator[tuple[TestClient, ClientConnection]]:
    """Serve a class with these limits, and connect."""
    async with (
        serving(consumer, limits=bounds) as client,
        client.connect("/", subprotocols=offers) as ws,
    ):
        if offers:
            await ws.receive_json()  # welcome
        yield client, ws


async def echoes(ws: ClientConnection, count: int) -> None:
    """Say so many things, one after the other, and hear them."""
    for number in range(count):
        await ws.send(str(number))
        assert await ws.receive() == str(number)


@pytest.mark.parametrize("consumer", [Echo, Several])
async def test_too_many_close(
    consumer: type[WebSocketConsumer], excesses: Excesses
) -> None:
    """A burst is heard, and one more closes with 1008."""
    async with talking(consumer, limits("close")) as (_, ws):
        await echoes(ws, 3)
        assert excesses.counted == {}
        await ws.send("more")

        closed = await ws.receive_close()
        assert (closed.code, closed.reason) == (1008, "too many messages")
        assert excesses.counted == {"message_rate": 1}


async def test_as_many_as_come_back_are_heard_for_ever() -> None:
    """Whoever sends at the rate is never closed; the time is the client's own."""
    async with talking(Echo, limits("close")) as (client, ws):
        await echoes(ws, 3)
        for _ in range(20):
            await client.advance(0.5)
            await echoes(ws, 1)
        await ws.send("more")

        assert (await ws.receive_close()).code == 1008


@pytest.mark.parametrize("how", ["warn", "answer", "slow", "close"])
async def test_without_a_rate_all_are_heard(how: OverRate, excesses: Excesses) -> None:
    """The control: what is switched off does nothing, and no meter is made."""
    async with talking(Echo, limits(how, message_rate=None)) as (_, ws):
        await echoes(ws, 20)

    assert excesses.counted == {}
    assert meter_for(None, limits(how, message_rate=None), float) is None  # type: ignore[arg-type]


async def test_a_warning_once_for_each_burst(excesses: Excesses) -> None:
    """By default all are heard; it is counted, and logged once a second at most."""
    async with talking(Echo, limits("warn")) as (_, ws):
        await echoes(ws, 3)
        assert excesses.counted == {}
        assert excesses.lines == []
        await echoes(ws, 9)

    assert excesses.counted == {"message_rate": 3}
    assert excesses.line.endswith(
        "of Echo sends faster than limits.message_rate allows, 2 a second and 3 at "
        "once; over_rate = 'warn'"
    )


@pytest.mark.parametrize("rate", [Rate(10, 10), None])
async def test_bytes_are_counted_as_well(rate: Rate | None, excesses: Excesses) -> None:
    """As many as there are may come, in UTF-8, or one less; one more is too much.

    The control is the same bytes without a limit.
    """
    bounds = limits("close", message_rate=None, byte_rate=rate)
    async with serving(Echo, limits=bounds) as client:
        for text in ("éx345678", "éx3456789", "éx3456789x"):
            for parts in ([text], [text[:5], text[5:]]):
                async with client.connect("/") as ws:
                    for part in parts:
                        await ws.send(part)
                    if rate is None or len(text.encode()) <= 10:
                        assert [await ws.receive() for _ in parts] == parts
                        continue
                    assert [await ws.receive() for _ in parts[1:]] == parts[:-1]
                    assert (await ws.receive_close()).code == 1008

    assert excesses.counted == ({} if rate is None else {"byte_rate": 2})


@pytest.mark.parametrize("consumer", [Echo, Several])
async def test_an_answer_without_an_id(consumer: type[WebSocketConsumer]) -> None:
    """A message too many is answered and not handled; later ones are."""
    async with talking(consumer, limits("answer")) as (client, ws):
        await echoes(ws, 3)
        for _ in range(2):
            await ws.send("more")
            error = (await ws.receive_json())["error"]
            assert error["code"] == "rate_limited"
            assert error["detail"] == "at most 2 a second, 3 at once"
        await client.advance(0.5)
        await echoes(ws, 1)


async def test_an_answer_with_an_id() -> None:
    """Who has types tells which message it was."""
    async with talking(Typed, limits("answer")) as (_, ws):
        for number in range(3):
            await ws.send({"type": "say", "text": "x", "id": number})
            assert (await ws.receive_json())["id"] == number
        await ws.send({"type": "say", "text": "x", "id": 3})

        answer = await ws.receive_json()
        assert (answer["id"], answer["error"]["code"]) == (3, "rate_limited")


async def test_an_answer_in_frames() -> None:
    """A request too many is answered by its id; a ping is answered all the same."""
    async with talking(Typed, limits("answer"), V1) as (_, ws):
        request = {"type": "request", "message": {"type": "say", "text": "x"}}
        for number in range(1, 4):
            await ws.send({**request, "id": number})
            assert (await ws.receive_json())["type"] == "reply"
        await ws.send({**request, "id": 4})

        error = await ws.receive_json()
        assert (error["id"], error["code"]) == (4, "rate_limited")
        await ws.send({"type": "ping"})
        assert await ws.receive_json() == {"type": "pong"}


async def test_a_close_that_says_when_to_return() -> None:
    """Over the subprotocol it is 4429, after which clients come back."""
    async with talking(Typed, limits("close"), V1) as (_, ws):
        for _ in range(4):
            await ws.send({"type": "ping"})

        while (frame := await ws.receive_json())["type"] == "pong":
            pass
        assert (frame["type"], frame["code"], frame["reconnect"]) == (
            "goodbye",
            4429,
            True,
        )
        assert (await ws.receive_close()).code == 4429


@pytest.mark.parametrize("consumer", [Echo, Several])
async def test_slowing_down(
    consumer: type[WebSocketConsumer], excesses: Excesses
) -> None:
    """All are heard, the burst at once and the rest at the rate."""
    async with talking(consumer, limits("slow")) as (client, ws):
        for number in range(6):
            await ws.send(str(number))
        heard = [await ws.receive() for _ in range(4)]
        await client.settle()
        await ws.receive_nothing()
        for _ in range(2):
            await client.advance(0.51)
            heard.append(await ws.receive())

        assert heard == ["0", "1", "2", "3", "4", "5"]
        assert excesses.counted["message_rate"] >= 1


async def test_who_is_slowed_down_can_leave() -> None:
    """The client's leaving ends the wait, and what came before it is handled."""
    heard = []

    class Hearing(WebSocketConsumer):
        async def on_receive(self, message: str) -> None:
            heard.append(message)

    async with talking(Hearing, limits("slow", byte_rate=Rate(1, 1))) as (client, ws):
        for _ in range(3):
            await ws.send("x" * 1000)
        await client.settle()
        assert len(heard) == 1
        await ws.drop()
        await client.settle()

    assert len(heard) == 3


async def test_a_view_learns_of_it() -> None:
    """In pull style it is an `InvalidMessage`; uncaught it closes."""
    app = App(limits=limits("answer"))
    refused = []

    @app.websocket_route("/")
    async def view(ws: Any) -> None:
        for _ in range(5):
            try:
                await ws.receive()
            except InvalidMessage as error:
                refused.append((error.close_code, error.code))
        await ws.receive_text()

    async with TestClient(app) as client, client.connect("/") as ws:
        for _ in range(6):
            await ws.send("x")

        assert (await ws.receive_close()).code == 1008
    assert refused == [(1008, "rate_limited")] * 2


def test_what_is_counted_is_decoded_as_before() -> None:
    """Around a decoder each event is counted, by messages, by bytes, or by both."""
    both = limits("answer", byte_rate=Rate(1, 5))

    class Named:
        id = "1"

    for answers, kind in ((True, MessageError), (False, InvalidMessage)):
        meter = meter_for(Named(), both, lambda: 0.0, answers=answers)  # type: ignore[arg-type]
        assert meter is not None
        decode = meter.around(lambda event: event["text"])
        assert decode({"text": "12345"}) == "12345"
        with pytest.raises(kind, match="in bytes"):
            decode({"text": "6"})
        with pytest.raises(InvalidMessage):
            meter.count({"text": "6"})
        with pytest.raises(kind, match="2 a second, 3 at once"):
            decode({"text": ""})
