"""Values that fit a JSON schema, and values that don't, made from the schema alone.

Of JSON Schema only what documents of ours have in them: whatever else is there is an
error, so that nothing is passed over.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any, Final

from hypothesis import strategies as st

__all__ = ["Schema", "Values"]

Schema = dict[str, Any]
Strategy = st.SearchStrategy[Any]

_SAID: Final = {"title", "description", "default", "examples"}
"""What says nothing of which values fit."""

_NUMBERS: Final = {
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
}
_TYPES: Final[dict[str, set[type]]] = {
    "string": {str},
    "integer": {int},
    "number": {int, float},
    "boolean": {bool},
    "null": {type(None)},
    "array": {list},
    "object": {dict},
}
_ZONES: Final = st.integers(-14 * 60, 14 * 60).map(
    lambda minutes: timezone(timedelta(minutes=minutes))
)
_FORMATS: Final[dict[str, st.SearchStrategy[str]]] = {
    # Near the ends of the calendar a time has no form in UTC, which MessagePack wants.
    "date-time": st.datetimes(
        datetime(1, 1, 3), datetime(9999, 12, 29), timezones=_ZONES
    ).map(lambda value: value.isoformat()),
    "date": st.dates().map(str),
    "time": st.times().map(lambda value: value.isoformat()),
    "duration": st.builds("P{}DT{}H{}.{}S".format, *[st.integers(0, 999)] * 4),
    "uuid": st.uuids().map(str),
    "decimal": st.decimals(allow_nan=False, allow_infinity=False).map(str),
}
_BASE64: Final = st.binary(max_size=8).map(base64.b64encode).map(bytes.decode)
_SCALARS: Final = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5)
)
_ANYTHING: Final = (
    _SCALARS
    | st.lists(_SCALARS, max_size=3)
    | st.dictionaries(st.text(max_size=5), _SCALARS, max_size=3)
)
# Beside what fits: slightly too long, too many, too big.
_NEARBY: Final = (
    _ANYTHING
    | st.text(max_size=60)
    | st.lists(_SCALARS, max_size=6)
    | st.floats(-9, 200)
    | st.integers(-9, 200)
)


class Values:
    """Makes values for the schemas of one document."""

    def __init__(self, components: Mapping[str, Schema]) -> None:
        self._components = {
            f"#/components/schemas/{name}": schema
            for name, schema in components.items()
        }
        self._made: dict[str, Strategy] = {}

    def fitting(self, schema: Schema) -> Strategy:
        """Return a strategy for the values that fit a schema."""
        ref = schema.get("$ref")
        if ref is not None:
            if ref not in self._made:
                whole = self._components[ref]
                self._made[ref] = st.deferred(lambda: self.fitting(whole))
            return self._made[ref]
        known = schema.keys() - _SAID
        if "anyOf" in schema:
            assert known == {"anyOf"}
            return st.one_of([self.fitting(each) for each in schema["anyOf"]])
        if "enum" in schema:
            assert known <= {"enum", "type"}
            return st.sampled_from(schema["enum"])
        if "const" in schema:
            assert known <= {"const", "type"}
            return st.just(schema["const"])
        if not known:
            return _ANYTHING
        kind, rest = schema["type"], known - {"type"}
        if kind == "array":
            return self._arrays(schema, rest)
        if kind == "object":
            return self._objects(schema, rest)
        return _scalars(kind, schema, rest)

    def misfits(self, schema: Schema, *, tag: str | None = None) -> Strategy:
        """Return a strategy for values that differ from a fitting one in one place.

        Args:
            schema: The schema.
            tag: A property that stays as it is, and the value an object.
        """
        if "$ref" in schema:
            whole = self._components[schema["$ref"]]
            return st.deferred(lambda: self.misfits(whole, tag=tag))
        ways = []
        if tag is None:
            wrong = _NEARBY.filter(lambda value: not self.may_fit(schema, value))
            ways.append(wrong)
        fitting = self.fitting(schema)
        required = schema.get("required", ())
        for name, inner in schema.get("properties", {}).items():
            if name == tag:
                continue
            if name in required:
                ways.append(fitting.map(partial(_without, name=name)))
            if inner.keys() - _SAID:
                changed = st.builds(_with, fitting, st.just(name), self.misfits(inner))
                ways.append(changed)
        if schema.get("additionalProperties") is False:
            ways.append(st.builds(_with, fitting, st.just("unheard of"), _ANYTHING))
        return st.one_of(ways)

    def may_fit(self, schema: Schema, value: Any) -> bool:
        """Tell whether a value may fit; ``False`` is certain."""
        if "$ref" in schema:
            return self.may_fit(self._components[schema["$ref"]], value)
        if "anyOf" in schema:
            return any(self.may_fit(each, value) for each in schema["anyOf"])
        if "enum" in schema:
            return value in schema["enum"]
        kind = schema.get("type")
        if kind is None or (schema.get("format") == "decimal" and value is not None):
            return True  # of decimals numbers too are taken
        if type(value) not in _TYPES[kind]:
            return False
        if kind == "array":
            return self._array_may_fit(schema, value)
        if kind == "object":
            return all(
                self.may_fit(inner, value[name])
                if name in value
                else name not in schema.get("required", ())
                for name, inner in schema.get("properties", {}).items()
            )
        return (
            _text_may_fit(schema, value)
            if kind == "string"
            else (kind in ("boolean", "null") or _number_fits(schema, value))
        )

    def _arrays(self, schema: Schema, known: set[str]) -> Strategy:
        assert known <= {
            "items",
            "additionalItems",
            "uniqueItems",
            "minItems",
            "maxItems",
        }
        items = schema.get("items", {})
        if isinstance(items, list):
            assert schema["minItems"] == schema["maxItems"] == len(items)
            return st.tuples(*(self.fitting(each) for each in items)).map(list)
        least = schema.get("minItems", 0)
        return st.lists(
            self.fitting(items),
            min_size=least,
            max_size=schema.get("maxItems", least + 3),
            unique_by=json.dumps if schema.get("uniqueItems") else None,
        )

    def _objects(self, schema: Schema, known: set[str]) -> Strategy:
        assert known <= {
            "properties",
            "required",
            "additionalProperties",
            "propertyNames",
        }
        if "properties" not in schema:
            keys = self.fitting({"type": "string", **schema.get("propertyNames", {})})
            inner = self.fitting(schema.get("additionalProperties", {}))
            return st.dictionaries(keys, inner, max_size=3)
        made = {name: self.fitting(each) for name, each in schema["properties"].items()}
        required = {name: made.pop(name) for name in schema.get("required", ())}
        return st.fixed_dictionaries(required, optional=made)

    def _array_may_fit(self, schema: Schema, value: list[Any]) -> bool:
        items, length = schema.get("items", {}), len(value)
        if isinstance(items, list):
            return len(items) == length and all(map(self.may_fit, items, value))
        if not schema.get("minItems", 0) <= length <= schema.get("maxItems", length):
            return False
        return all(self.may_fit(items, each) for each in value)


def _scalars(kind: str, schema: Schema, known: set[str]) -> Strategy:
    match kind:
        case "string":
            return _texts(schema, known)
        case "integer":
            assert known <= _NUMBERS
            step = schema.get("multipleOf", 1)
            least = schema.get("minimum", -(2**63))
            if "exclusiveMinimum" in schema:
                least = schema["exclusiveMinimum"] + 1
            most = schema.get("maximum", 2**63 - 1)
            if "exclusiveMaximum" in schema:
                most = schema["exclusiveMaximum"] - 1
            counts = st.integers(-(-least // step), most // step)
            return counts.map(lambda count: count * step)
        case "number":
            assert known <= _NUMBERS - {"multipleOf"}
            return st.floats(
                schema.get("minimum", schema.get("exclusiveMinimum")),
                schema.get("maximum", schema.get("exclusiveMaximum")),
                exclude_min="exclusiveMinimum" in schema,
                exclude_max="exclusiveMaximum" in schema,
                allow_nan=False,
                allow_infinity=False,
            )
        case "boolean":
            return st.booleans()
        case _:
            assert kind == "null"
            return st.none()


def _texts(schema: Schema, known: set[str]) -> Strategy:
    if "format" in schema:
        assert known == {"format"}
        return _FORMATS[schema["format"]]
    if "contentEncoding" in schema:
        assert known == {"contentEncoding"}
        return _BASE64
    assert known <= {"minLength", "maxLength", "pattern"}
    least = schema.get("minLength", 0)
    if "pattern" not in schema:
        return st.text(min_size=least, max_size=schema.get("maxLength", 30))
    most = schema.get("maxLength", 18)  # of digits so many fit into 64 bits
    # In JSON Schema `$` is the very end; in Python also before a last line break.
    pattern = re.sub(r"\$$", r"\\Z", schema["pattern"])
    alphabet = st.characters(codec="utf-8")
    return st.from_regex(pattern, alphabet=alphabet).filter(
        lambda text: least <= len(text) <= most
    )


def _text_may_fit(schema: Schema, value: str) -> bool:
    if "format" in schema or "contentEncoding" in schema:
        return True
    least, most = schema.get("minLength", 0), schema.get("maxLength", len(value))
    found = re.search(schema.get("pattern", ""), value)
    return bool(least <= len(value) <= most and found)


def _number_fits(schema: Schema, value: float) -> bool:
    return bool(
        schema.get("minimum", value) <= value <= schema.get("maximum", value)
        and ("exclusiveMinimum" not in schema or schema["exclusiveMinimum"] < value)
        and ("exclusiveMaximum" not in schema or value < schema["exclusiveMaximum"])
        and ("multipleOf" not in schema or value % schema["multipleOf"] == 0)
    )


def _without(whole: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in whole.items() if key != name}


def _with(whole: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    return {**whole, name: value}
