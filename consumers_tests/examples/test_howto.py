"""Runs the examples of the tutorial and of the how-to guides."""

import anyio.to_thread
import pytest
from howto import (
    answers,
    background,
    limited,
    mounted,
    origin,
    present,
    providers,
    publish,
    refuse,
    resume,
    server_sessions,
    signed_tokens,
    slow,
)
from howto import threads as in_threads
from msgspec import Struct

import counter
import greeter
from consumers import Identity
from consumers.testing import Refused, TestClient


async def refusal(client: TestClient, path: str, **options: str) -> Refused:
    """Return how a handshake was refused."""
    with pytest.raises(Refused) as caught:
        async with client.connect(path, headers=options):
            pass
    return caught.value


async def test_greeter_greets_as_often_as_it_should() -> None:
    """The name comes from the path, the number from the query; then it closes."""
    async with (
        TestClient(greeter.app) as client,
        client.connect("/greet/Ada?times=2") as ws,
    ):
        assert [message async for message in ws] == ["Hello, Ada!"] * 2
        assert ws.closed is not None
        assert ws.closed.code == 1000


async def test_greeter_tells_what_is_wrong() -> None:
    """The refusal has the status and the body that the tutorial prints."""
    async with TestClient(greeter.app) as client:
        refused = await refusal(client, "/greet/Ada?times=100")

    assert refused.status == 400
    assert refused.json() == {"errors": {"times": "Expected `int` <= 10"}}


async def test_counter_counts() -> None:
    """It reads what the tutorial says that a client sends, and answers as it says."""
    async with TestClient(counter.app) as client, client.connect("/counter") as ws:
        await ws.send('{"type": "add", "amount": 2}')
        assert await ws.receive() == '{"type":"total","value":2}'
        await ws.send(counter.Add(3))
        assert await ws.receive(counter.Total) == counter.Total(5)
        await ws.send({"type": "reset"})
        assert await ws.receive(counter.Total) == counter.Total(0)
        await ws.send({"type": "add", "amount": 2, "id": 7})
        total = {"type": "total", "value": 2}
        assert await ws.receive_json() == {"id": 7, "reply": total}


async def test_counter_answers_what_it_can_t_do() -> None:
    """Its errors are those that the tutorial shows, and keep the connection."""
    async with TestClient(counter.app) as client, client.connect("/counter") as ws:
        await ws.send(counter.Add(2))
        await ws.receive(counter.Total)
        await ws.send(counter.Add(1000))
        error = {"code": "too_much", "detail": {"left": 998}}
        assert await ws.receive_json() == {"error": error}
        for message, code in (
            ({"type": "add", "amount": "two"}, "invalid_message"),
            ({"type": "reset", "to": -1}, "invalid_message"),
            ({"type": "multiply"}, "unknown_type"),
        ):
            await ws.send(message)
            assert (await ws.receive_json())["error"]["code"] == code
        await ws.send({"type": "reset", "to": 5})
        assert await ws.receive(counter.Total) == counter.Total(5)


async def test_answers_are_streamed_and_cancelled() -> None:
    """Words come one by one; a cancelled answer stops the model, and others go on."""
    async with TestClient(answers.app) as client, client.connect("/ask") as ws:
        await ws.send({"type": "ask", "text": "to be", "id": 1})
        assert [await ws.receive_json() for _ in range(3)] == [
            {"id": 1, "item": {"type": "word", "text": "to"}},
            {"id": 1, "item": {"type": "word", "text": "be"}},
            {"id": 1, "done": True},
        ]
        for name in (2, 3):
            await ws.send({"type": "ask", "text": f"wait {name}", "id": name})
            assert (await ws.receive_json())["item"]["text"] == "wait"
        await ws.send({"cancel": 2})
        assert await ws.receive_json() == {"id": 2, "error": {"code": "cancelled"}}
        await client.settle()
        assert answers.stopped == ["wait 2"]
        await client.advance(60)
        assert (await ws.receive_json())["id"] == 3
    answers.stopped.clear()


async def test_answers_that_are_errors() -> None:
    """Who may not, and what is not there, is told; the connection goes on."""
    async with TestClient(answers.app) as client, client.connect("/ask") as ws:
        for text, error in (
            ("the chef", {"code": "not_allowed"}),
            ("", {"code": "no_question", "detail": "ask something"}),
        ):
            await ws.send({"type": "ask", "text": text, "id": 1})
            assert await ws.receive_json() == {"id": 1, "error": error}
        await ws.send({"type": "ask", "text": "wait for ever", "id": 2})
        await ws.receive_json()
        await client.advance(60)
        while "item" in (answer := await ws.receive_json()):
            await client.advance(60)
        assert answer == {"id": 2, "error": {"code": "timeout"}}
    answers.stopped.clear()


class Note(Struct):
    """What `publish.tell_user` sends."""

    note: str


async def test_published_from_a_view_and_from_a_thread() -> None:
    """An HTTP request, synchronous code and a call for one user reach the client."""
    async with (
        TestClient(publish.app) as client,
        client.connect("/prices/TEA?user=42") as ws,
        client.connect("/prices/TEA") as other,
    ):
        response = await client.request("POST", "/prices/TEA?value=3.5")
        assert response.json() == {"watching": 2}
        for each in (ws, other):
            assert await each.receive(publish.Price) == publish.Price("TEA", 3.5)

        await anyio.to_thread.run_sync(publish.import_prices, [("TEA", 4.0)])
        for each in (ws, other):
            assert await each.receive(publish.Price) == publish.Price("TEA", 4.0)

        await anyio.to_thread.run_sync(publish.tell_user, "42", "for you")
        assert await ws.receive(Note) == Note("for you")
        await other.receive_nothing()


async def test_work_stops_when_told_and_when_the_client_leaves() -> None:
    """A handle ends one task; what `app.start_soon` runs outlives the connection."""
    background.log.clear()
    async with TestClient(background.app) as client:
        async with client.connect("/ticker") as ws:
            await client.advance(1)
            assert await ws.receive() == "tick 1"
            await ws.send("stop")
            await client.advance(10)
            await ws.receive_nothing()
        await client.advance(1)

    assert background.log == ["left with 1000"]


async def test_refused_by_status_or_by_close() -> None:
    """With `refusals="close"` a script can read why; nobody stays counted."""
    async with TestClient(refuse.app) as client:
        assert (await refusal(client, "/theatre")).status == 401
        async with client.connect("/browser/theatre") as ws:
            event = await ws.receive_close()
        assert (event.code, event.reason) == (4401, "who are you?")

        path = "/theatre?token=secret"
        async with client.connect(path), client.connect(path):
            refused = await refusal(client, path)
            assert refused.status == 503
            assert refused.json() == {"seats": 2}
            assert refused.headers["retry-after"] == "60"

    assert refuse.Theatre.taken == 0


@pytest.mark.parametrize("path", ["/methods", "/thread", "/call", "/bounded"])
async def test_synchronous_code_runs_in_threads(path: str) -> None:
    """Each way gives the same answer."""
    numbers = [1, 2, 3]
    typed = {"type": "sum", "numbers": numbers}
    async with TestClient(in_threads.app) as client, client.connect(path) as ws:
        await ws.send_json(typed if path == "/methods" else numbers)
        assert await ws.receive(int) == 6


async def test_an_app_is_mounted_in_a_starlette() -> None:
    """Its `authenticate` is asked."""
    async with (
        TestClient(mounted.app) as client,
        client.connect("/ws/hello", headers={"x-name": "Ada"}) as ws,
    ):
        assert await ws.receive() == "Hello, Ada!"


async def test_a_session_ends_everywhere() -> None:
    """Its connections do, at the logout and when its time is over."""
    async with TestClient(server_sessions.app) as client:
        made = await client.request("POST", "/log-in?name=ann")
        cookie = made.headers["set-cookie"].partition(";")[0]
        async with (
            client.connect("/inbox", headers={"cookie": cookie}) as ws,
            client.connect("/inbox", identity=Identity("ann", session="x")) as other,
        ):
            assert [await ws.receive(), await other.receive()] == ["Hello, ann!"] * 2
            left = await client.request("POST", "/log-out", headers={"cookie": cookie})
            assert left.json() == {"closed": 1}
            assert (await ws.receive_close()).code == 4401
            await other.receive_nothing()
        assert (await refusal(client, "/inbox", cookie=cookie)).status == 401


async def test_signed_tokens_say_who_it_is() -> None:
    """Until when, and what for; as a header or, from a browser, as a subprotocol."""
    async with TestClient(signed_tokens.app) as client:
        tokens = {}
        for name in ("ada", "bob"):
            made = await client.request("POST", f"/token?name={name}")
            tokens[name] = f"bearer.{made.text}"
        bob = [tokens["bob"]]
        async with client.connect("/orders/bob", subprotocols=bob) as ws:
            assert await ws.receive() == "You get the orders of bob."
            async with client.connect("/admin", subprotocols=[tokens["ada"]]) as admin:
                await admin.send("bob")
            assert await ws.receive() == "look at your orders"
            await client.advance(15 * 60)
            assert (await ws.receive_close()).code == 4401
        async with client.connect("/orders/ada", subprotocols=bob) as ws:
            assert (await ws.receive_close()).code == 1008
        wrong = {"authorization": "Bearer wrong"}
        for path, status in (("/admin", 401), ("/orders/bob", 401)):
            assert (await refusal(client, path)).status == status
            assert (await refusal(client, path, **wrong)).status == 401
        with pytest.raises(Refused) as caught:
            async with client.connect("/admin", subprotocols=bob):
                raise AssertionError
        assert caught.value.status == 403


async def test_foreign_pages_are_refused() -> None:
    """One's own pages, those listed, and clients that are no browsers, get in."""
    here = {"host": "api.example"}
    async with TestClient(origin.app) as client:
        evil = await refusal(client, "/basket", origin="https://evil.example", **here)
        assert evil.status == 403
        assert (await refusal(client, "/news", host="evil.example")).status == 403
        for path, page in (
            ("/basket", None),
            ("/basket", "http://api.example"),
            ("/basket", "https://shop.example"),
            ("/basket", "https://a.shop.example"),
            ("/news", "https://evil.example"),
        ):
            headers = here if page is None else {"origin": page, **here}
            async with client.connect(path, headers=headers) as ws:
                await ws.send("tea")
                assert await ws.receive() == "put tea into the basket"


async def test_providers_live_as_long_as_their_scope() -> None:
    """The application's database is open while it runs, and closed after it."""
    opened: list[providers.Database] = []

    async with TestClient(providers.app) as client:
        async with client.connect("/orders", identity=Identity("42")) as ws:
            await ws.send("tea")
            assert await ws.receive() == "tea for nobody in the real one"
        opened += providers.app.provided.values()
        assert [each.open for each in opened] == [True]

    assert [each.open for each in opened] == [False]


async def test_limited() -> None:
    """Twenty lines are heard at once, and the next is answered; a large one closes."""
    async with TestClient(limited.app) as client, client.connect("/chat") as ws:
        for _ in range(20):
            await ws.send_json({"type": "say", "text": "hello"})
            assert (await ws.receive_json())["text"] == "hello"
        await ws.send_json({"type": "say", "text": "hello", "id": 1})
        answer = await ws.receive_json()
        assert (answer["id"], answer["error"]["code"]) == (1, "rate_limited")
        await client.advance(0.2)
        await ws.send_json({"type": "say", "text": "x" * 16 * 1024})
        assert (await ws.receive_close()).code == 1009
        async with client.connect("/pointer") as pointer:
            await pointer.send_json({"x": 1.0, "y": 2.0})
            assert await pointer.receive_json() == {"x": 1.0, "y": 2.0}


async def test_slow() -> None:
    """Of the sensors a slow client gets the latest, and of the log what is left."""
    async with (
        TestClient(slow.app) as client,
        client.connect("/feed") as feed,
        client.connect("/control") as control,
    ):
        await client.settle()
        await feed.stall(0)
        for number in range(100):
            await control.send_json({"line": number})
        for number in range(10):
            await control.send_json({"sensor": "a", "value": number})
        await client.settle()
        await client.advance(0.1)
        await control.send_json({"order": 1})
        await client.settle()
        await feed.resume()

        lines = [await feed.receive_json() for _ in range(51)]
        assert [line["line"] for line in lines] == [0, *range(50, 100)]
        assert await feed.receive_json() == [{"sensor": "a", "value": 9}]
        assert await feed.receive_json() == {"order": 1}


async def test_a_feed_goes_on_where_it_was_left() -> None:
    """With a position a client gets what it missed, without one the latest twenty."""
    feed = resume.news("python")
    async with TestClient(resume.app) as client:
        for number in range(30):
            await resume.groups.publish(feed, resume.News(f"no. {number}"))
        async with client.connect("/news/python") as ws:
            first = await ws.receive_json()
            assert (first["recovered"], first["replayed"]) == (False, 20)
            seen = [await ws.receive_json() for _ in range(20)]
            assert seen[0]["message"] == {"headline": "no. 10"}

        query = {"since": seen[-3]["position"]}
        async with client.connect("/news/python", query=query) as ws:
            first = await ws.receive_json()
            assert (first["recovered"], first["replayed"]) == (True, 2)
            assert [await ws.receive_json() for _ in range(2)] == seen[-2:]
            assert first["position"] == seen[-1]["position"]


async def test_presence_tells_who_has_what_selected() -> None:
    """The list comes first; then who came, who selected something else, who left."""
    async with (
        TestClient(present.app) as client,
        client.connect("/docs/7", cookies={"name": "ada"}) as ada,
    ):
        assert await ada.receive_json() == {"here": {"ada": {"line": 1}}}
        await client.advance(1)
        assert await ada.receive_json() == {"here": {"ada": {"line": 1}}, "left": []}

        async with client.connect("/docs/7", cookies={"name": "bo"}) as bo:
            assert set((await bo.receive_json())["here"]) == {"ada", "bo"}
            await bo.send({"line": 12})
            await client.advance(1)
            told = await ada.receive_json()
            assert told == {"here": {"bo": {"line": 12}}, "left": []}

        await client.advance(3)
        assert await ada.receive_json() == {"here": {}, "left": ["bo"]}
