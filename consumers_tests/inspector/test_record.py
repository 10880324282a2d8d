"""What is left of connections that have ended."""

from typing import Any

import pytest

from consumers.inspector.record import Record
from consumers.inspector.tap import Tap


async def nothing(*given: Any) -> Any: ...


def ended(record: Record, *, error: BaseException | None = None) -> None:
    record.ended(
        Tap({"path": "/x", "client": ("::1", 1)}, nothing, nothing, record), error
    )


def test_a_hundred_are_remembered() -> None:
    """The latest hundred ends and errors are there; all are counted."""
    record = Record()
    for number in range(150):
        ended(record, error=ValueError(number))

    assert record.codes == {"1006": 150}
    assert [end.number for end in record.ends] == list(range(101, 300, 2))
    assert record.failures[-1].error == "ValueError: 149"
    assert "ValueError: 149" in str(record.traceback(300))
    assert record.traceback(100) is None
    assert record.number == 300
    assert record.ends[0].address == "::1:1"


def test_long_tracebacks_are_cut() -> None:
    """Of a traceback its end is kept, which says what has happened."""
    record = Record()
    ended(record, error=ValueError("x" * 50_000 + " at last"))

    (failure,) = record.failures
    traceback = record.traceback(failure.number)
    assert traceback is not None
    assert len(traceback) <= 12_000
    assert traceback.rstrip().endswith("at last")
    assert len(failure.error) <= 200


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), None])
def test_an_end_of_the_process_is_no_error(error: BaseException | None) -> None:
    """Who ends the process, or cancels a connection, has not failed."""
    record = Record()
    ended(record, error=error)

    assert not record.failures
    assert len(record.ends) == 1
