"""What a connection missed: replayed where it can be, told where it can't."""

from __future__ import annotations

import msgspec
import pytest

from consumers import (
    ConfigurationError,
    Group,
    History,
    Internal,
    Position,
    Recovery,
    WebSocketConsumer,
    intercepts,
)
from consumers.testing import Refused
from consumers_tests.doubles import Journal
from consumers_tests.readers import LOG, PLAIN, Reader, reading, received

# -- positions and recovery ------------------------------------------------------------


async def test_publications_carry_their_positions_where_the_class_wants_it() -> None:
    """A plain client has to know nothing but the last one's."""
    async with reading() as (client, groups), client.connect("/a") as ws:
        hello = await ws.receive_json()
        await groups.publish(LOG("a"), {"text": "hi"})
        message = await ws.receive_json()

        assert hello["recovered"] is False
        epoch = Position.parse(hello["at"]).epoch
        assert message == {
            "group": "log.a",
            "position": f"1.{epoch}",
            "message": {"text": "hi"},
        }


async def test_who_returns_gets_what_it_missed_and_then_the_rest() -> None:
    """In order, once, and told that this is all."""
    async with reading() as (client, groups):
        async with client.connect("/a") as ws:
            await ws.receive_json()
            await groups.publish(LOG("a"), 1)
            last = (await ws.receive_json())["position"]
        for number in (2, 3, 4):
            await groups.publish(LOG("a"), number)
        async with client.connect("/a", query={"since": last}) as ws:
            missed = [each["message"] for each in await received(ws, 3)]
            told = await ws.receive_json()
            await groups.publish(LOG("a"), 5)
            live = (await ws.receive_json())["message"]

        assert (missed, told["recovered"], live) == ([2, 3, 4], True, 5)


async def test_who_missed_too_much_is_told() -> None:
    """What was trimmed can't be replayed: nothing is, and the client learns it."""
    async with reading() as (client, groups):
        first = await groups.publish(LOG("a"), 0)
        for number in range(1, 10):
            last = await groups.publish(LOG("a"), number)
        async with client.connect("/a", query={"since": str(first)}) as ws:
            assert await ws.receive_json() == {"recovered": False, "at": str(last)}
            await groups.publish(LOG("a"), "live")
            assert (await ws.receive_json())["message"] == "live"


async def test_the_latest_few_serve_who_has_no_position() -> None:
    """And who has one that does not serve."""
    async with reading() as (client, groups):
        for number in range(10):
            await groups.publish(LOG("a"), number)
        for query in ({"last": "2"}, {"last": "2", "since": "3.another"}):
            async with client.connect("/a", query=query) as ws:
                messages = [each["message"] for each in await received(ws, 2)]
                told = await ws.receive_json()
            assert (messages, told["recovered"]) == ([8, 9], False)


async def test_who_missed_nothing_has_everything() -> None:
    """Also where nothing was ever published, or all was forgotten since."""
    async with reading() as (client, groups):
        async with client.connect("/a") as ws:
            position = (await ws.receive_json())["at"]
        async with client.connect("/a", query={"since": position}) as ws:
            assert (await ws.receive_json())["recovered"] is True
        position = str(await groups.publish(LOG("a"), 1))
        await client.advance(3601)
        async with client.connect("/a", query={"since": position}) as ws:
            assert (await ws.receive_json())["recovered"] is True


@pytest.mark.parametrize("since", ["", "17", "x.y", "-1.abc", "1.", "1.a b"])
async def test_a_position_must_be_one(since: str) -> None:
    """A client that makes one up is refused with what was expected."""
    async with reading() as (client, _):
        with pytest.raises(Refused) as caught:
            async with client.connect("/a", query={"since": since}):
                pass
        assert caught.value.status == 400
        assert b"expected a position such as '17.k3jx'" in caught.value.body


async def test_what_is_published_while_it_is_replayed_comes_after() -> None:
    """A snapshot, a replay and live publications are one sequence."""

    class Slow(Reader):
        async def on_connect(
            self, name: str, since: Position | None = None, last: int | None = None
        ) -> None:
            async with self.joining(LOG(name), since=since) as recovery:
                await self.groups.publish(LOG(name), "meanwhile")
                await self.send({"replay": recovery.replayed})
                await self.groups.publish(LOG(name), "and then")

    async with reading(Slow) as (client, groups):
        first = await groups.publish(LOG("a"), 1)
        await groups.publish(LOG("a"), 2)
        async with client.connect("/a", query={"since": str(first)}) as ws:
            assert await ws.receive_json() == {"replay": 1}
            messages = [each["message"] for each in await received(ws, 3)]
            assert messages == [2, "meanwhile", "and then"]


async def test_a_failed_joining_leaves_the_group() -> None:
    """Whatever was raised: nothing comes from the group any more."""
    journal = Journal()

    class Fails(WebSocketConsumer):
        async def on_connect(self, name: str) -> None:
            try:
                async with self.joining(LOG(name), last=1):
                    raise ValueError("no snapshot")
            except ValueError:
                journal.add(await self.groups.count(LOG(name)))

    async with reading(Fails) as (client, _), client.connect("/a"):
        await journal.wait_for(0)


async def test_a_group_without_history_has_no_positions() -> None:
    """Asking for them is the application's mistake, told where it is made."""
    journal = Journal()

    class Asks(WebSocketConsumer):
        async def on_connect(self, name: str) -> None:
            for options in ({"last": 3}, {"since": Position(1, "a")}):
                try:
                    await self.join(PLAIN(name), **options)
                except ConfigurationError as error:
                    journal.add(str(error))
            with pytest.raises(TypeError, match="since and last are about one group"):
                await self.join(LOG("a"), LOG("b"), last=3)
            assert await self.join(PLAIN(name)) == Recovery(False)
            await self.send("done")

    async with reading(Asks) as (client, _), client.connect("/a") as ws:
        assert await ws.receive_text() == "done"
    assert len(journal) == 2
    assert "must be declared with a history" in journal[0]


async def test_interceptors_see_what_is_replayed() -> None:
    """Like what is live: changed, dropped, and never shown where it is internal."""

    class Line(msgspec.Struct):
        text: str

    class Secret(msgspec.Struct, Internal):
        text: str

    kept = Group("kept", history=History(size=10))

    class Careful(WebSocketConsumer):
        value_type = "json"
        positions = True

        async def on_connect(self, name: str) -> None:
            await self.join(kept, last=10)
            await self.send("live")

        @intercepts
        async def soften(self, publication: Line) -> Line | None:
            if publication.text == "rude":
                return None
            return Line(publication.text.lower())

    async with reading(Careful) as (client, groups):
        for message in (Line("HELLO"), Line("rude"), Secret("x"), Line("BYE")):
            await groups.publish(kept, message)
        async with client.connect("/a") as ws:
            first, second = await received(ws, 2)
            assert await ws.receive_json() == "live"

    assert first["message"] == {"text": "hello"}
    assert second["message"] == {"text": "bye"}
    assert Position.parse(second["position"]).offset == 4
