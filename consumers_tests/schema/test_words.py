"""A schema in words."""

from typing import Any

import pytest

from consumers.schema.words import in_words


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({}, "Any text."),
        ({"type": "string"}, "Text."),
        ({"type": "string", "format": "date"}, "Date."),
        ({"type": "string", "minLength": 1}, "Text, at least 1 character."),
        (
            {"type": "integer", "minimum": 1, "exclusiveMaximum": 5},
            "Whole number, at least 1, less than 5.",
        ),
        ({"enum": ["low", 3]}, "One of low, 3."),
        (
            {"anyOf": [{"type": "integer"}, {"enum": ["all"]}]},
            "Whole number or one of all.",
        ),
        ({"description": "A room."}, "A room."),
        ({"description": "A room", "maxLength": 9}, "A room (at most 9 characters)."),
    ],
)
def test_a_schema_is_a_sentence(schema: dict[str, Any], words: str) -> None:
    """Type, format or choice, and each constraint; a description comes first."""
    assert in_words(schema) == words
