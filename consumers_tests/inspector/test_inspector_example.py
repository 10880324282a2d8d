"""The example of the how-to."""

from howto import inspected

from consumers import Identity
from consumers.testing import TestClient
from consumers_tests.inspector.lobby import looking


async def test_a_table_orders_and_staff_looks() -> None:
    """What is ordered at a table is told there, and staff sees it without the card."""
    async with (
        TestClient(inspected.app) as client,
        client.connect("/tables/1?token=ana") as ana,
        looking(client, Identity("staff")) as page,
    ):
        await page.ask("look", connection=await page.id_of("Table"))
        order = {"type": "order", "item": "tea", "card_token": "hidden"}
        await ana.send({**order, "id": 1})
        assert (await ana.receive_json())["by"] == "ana"
        await ana.send({"type": "stock", "item": "tea", "id": 2})
        frames = (await page.overview())["frames"]

    assert "hidden" not in str(frames)
    assert frames[-1]["text"] == '{"id":2,"reply":80}'
