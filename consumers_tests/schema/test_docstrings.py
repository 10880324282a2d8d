"""What a docstring says: summary, description, examples."""

import pytest

from consumers import ConfigurationError
from consumers.schema.docstrings import Doc, read_doc


@pytest.mark.parametrize("text", [None, ""])
def test_nothing_says_nothing(text: str | None) -> None:
    """Without a docstring there is an empty one."""
    assert read_doc("Say", text) == Doc()
    assert Doc().text == ""


def test_the_first_paragraph_is_the_summary() -> None:
    """In one line, however it is broken; the rest keeps its lines."""
    doc = read_doc(
        "Say",
        """Say something
        to everybody.

        Now.

        - And
        - later
        """,
    )

    assert doc.summary == "Say something to everybody."
    assert doc.description == "Now.\n\n- And\n- later"
    assert doc.text == f"{doc.summary}\n\n{doc.description}"


def test_sections_for_pythons_readers_are_left_out() -> None:
    """A client has no arguments; what comes behind a section is kept."""
    doc = read_doc(
        "say",
        """Say it.

        Args:
            text: What.

                Much more of it.

        Raises:
            ValueError: Never.

        At the end.
        """,
    )

    assert doc == Doc("Say it.", "At the end.")


def test_examples_are_json_values() -> None:
    """One after the other, over several lines, in a fence or without one."""
    doc = read_doc(
        "Say",
        """Say it.

        Examples:
            {"text": "hi"}
            {
              "text": "many"
            },
            3

        Example:
            ```json
            "x"
            ```
        """,
    )

    assert doc.examples == ({"text": "hi"}, {"text": "many"}, 3, "x")
    assert doc.description == ""


def test_an_example_that_is_not_json_is_told() -> None:
    """With the name of what it is an example of."""
    with pytest.raises(
        ConfigurationError, match=r"the examples of Say must be JSON values, got '\{hi"
    ):
        read_doc("Say", "Say it.\n\nExample:\n    {hi}")
