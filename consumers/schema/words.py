"""A schema in words, where AsyncAPI has no place for the schema itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

__all__ = ["in_words"]

_TYPES: Final = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "array": "list",
    "null": "nothing",
}
_FORMATS: Final = {
    "uuid": "UUID",
    "date": "date",
    "date-time": "date and time",
    "time": "time of day",
    "duration": "duration, as in ISO 8601",
    "decimal": "decimal number",
}
_BOUNDS: Final = {
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "pattern": "matching {}",
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
}


def in_words(schema: dict[str, Any]) -> str:
    """Return what a value may be: ``Text, at most 20 characters.``."""
    if "description" in schema:
        said = schema["description"].rstrip(".")
        bounds = ", ".join(_bounds(schema))
        return f"{said} ({bounds})." if bounds else f"{said}."
    text = ", ".join([_kind(schema), *_bounds(schema)])
    return f"{text[:1].upper()}{text[1:]}."


def _kind(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    if "anyOf" in schema:
        return " or ".join(_kind(option) for option in schema["anyOf"])
    found = _FORMATS.get(schema.get("format", ""))
    return found or _TYPES.get(schema.get("type", ""), "any text")


def _bounds(schema: dict[str, Any]) -> Iterator[str]:
    for key, words in _BOUNDS.items():
        if key in schema:
            said = words.format(schema[key])
            yield said.removesuffix("s") if schema[key] == 1 else said
