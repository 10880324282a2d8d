"""What a failing test says: which messages came, and what the application raised."""

from consumers.testing.link import note_error, show


def test_messages_are_shown_in_their_order() -> None:
    """Text and bytes can be told apart."""
    assert show([{"text": "hello"}, {"bytes": b"world"}]) == "'hello', b'world'"


def test_an_empty_text_is_shown() -> None:
    """An empty message is a message."""
    assert show([{"text": ""}]) == "''"


def test_many_messages_are_counted() -> None:
    """Ten are shown; of the others the number."""
    shown = show([{"text": str(number)} for number in range(12)])

    assert shown.startswith("'0', '1', ")
    assert shown.endswith("'9', and 2 more")


def test_a_long_message_is_cut() -> None:
    """A message takes at most 200 characters of an error's text."""
    assert len(show([{"text": "x" * 1000}])) <= 200


def test_an_applications_error_is_noted_once() -> None:
    """The note has the traceback; asked for twice it is there once."""
    failure, theirs = AssertionError("the test's"), ValueError("the application's")

    note_error(failure, theirs)
    note_error(failure, theirs)

    (note,) = failure.__notes__
    assert "ValueError: the application's" in note
