"""What metrics and traces call things by."""

import pytest
from anyio import get_cancelled_exc_class

from consumers import ConnectionClosed, MessageError, NotAllowed, WebSocket
from consumers.metrics.outcomes import name_of_code, outcome_of
from consumers.runtime.answering import TookTooLong


@pytest.mark.parametrize(
    ("code", "name"),
    [(1000, "1000"), (1013, "1013"), (3999, "3xxx"), (4000, "4xxx"), (4403, "4xxx")],
)
def test_codes_of_clients_make_few_labels(code: int, name: str) -> None:
    """The 2,000 that anybody may send are two."""
    assert name_of_code(code) == name


def _cancelled() -> BaseException:
    # asyncio's takes any arguments, and trio's is made by trio alone.
    kind = get_cancelled_exc_class()
    return kind.__new__(kind)


async def test_outcomes_are_few() -> None:
    """What a sender is told is no failure, and neither is its leaving."""
    scope = {"type": "websocket", "headers": []}
    connection = WebSocket(scope, None, None)  # type: ignore[arg-type]

    errors = [
        None,
        MessageError("rude"),
        NotAllowed(),
        MessageError("timeout"),
        TookTooLong(),
        ConnectionClosed(connection, 1001, ""),
        _cancelled(),
        ZeroDivisionError(),
    ]

    assert [outcome_of(error) for error in errors] == [
        *("ok", "rejected", "rejected", "timeout", "timeout"),
        *("gone", "cancelled", "failed"),
    ]
