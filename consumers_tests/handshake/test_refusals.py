"""How many handshakes were refused, and why."""

from consumers.handshake.refusals import count_refusal, refused


def test_each_refusal_is_counted_by_its_reason() -> None:
    """One more of its reason, and none of the others."""
    before = dict(refused)

    count_refusal("origin")
    count_refusal("origin")
    count_refusal("host")

    assert refused["origin"] - before.get("origin", 0) == 2
    assert refused["host"] - before.get("host", 0) == 1
    assert refused["auth"] == before.get("auth", 0)
