"""A call: one message on its way, and the keys of what it publishes."""

from typing import Any, cast

from consumers.handlers.call import Call, current_call

NOBODY = cast("Any", None)


def test_a_call_begins_with_nothing_done() -> None:
    """It is not answered, not cancelled, and has no task of its own yet."""
    call = Call(7, "message", NOBODY)

    assert (call.id, call.message, call.key) == (7, "message", None)
    assert not call.answered
    assert not call.cancelled
    assert call.scope is None


def test_publications_of_a_call_have_keys_of_their_own() -> None:
    """They are counted, so that the same call makes the same keys each time."""
    first, again = (Call(7, "message", NOBODY, "who:k") for _ in range(2))

    keys = [first.publication_key() for _ in range(3)]

    assert keys == ["who:k.1", "who:k.2", "who:k.3"]
    assert [again.publication_key() for _ in range(3)] == keys


def test_without_a_key_publications_have_none() -> None:
    """What nobody can send again need not be known again."""
    assert Call(7, "message", NOBODY).publication_key() is None


def test_by_default_there_is_no_current_call() -> None:
    """Outside of a method nothing is handled."""
    assert current_call.get() is None
