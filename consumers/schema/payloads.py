"""JSON schemas of the types that messages have: msgspec's, pydantic's, and builtins.

They are of draft 7 of JSON Schema, as AsyncAPI 3 has them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, get_args

import msgspec

from consumers.params import is_pydantic

from .docstrings import read_doc

__all__ = ["REF", "Schema", "Schemas"]

Schema = dict[str, Any]

REF: Final = "#/components/schemas/"

_DATACLASS: Final = re.compile(r"\w+\(.*\)")
"""The docstring that a dataclass without one gets."""


class Schemas:
    """The schemas of one document, those with names apart."""

    def __init__(self, annotations: Iterable[Any], *, ref: str = REF) -> None:
        """Read all types that the document names: each name then means one of them.

        Args:
            annotations: The types.
            ref: What comes before a name in a reference.

        Raises:
            ConfigurationError: An example in a docstring is not JSON.
        """
        self.components: dict[str, Schema] = {}
        """``{name: schema}``."""
        self._ref = ref
        self._foreign: dict[str, Schema] = {}
        self._made: list[tuple[Any, Schema]] = []
        known: list[Any] = []
        for annotation in annotations:
            if not any(same(annotation, each) for each in known):
                known.append(annotation)
        plain = [each for each in known if self._is_plain(each)]
        made, components = self._generate(plain)
        self._made += zip(plain, made, strict=True)
        for each in known:
            if not any(each is other for other in plain):
                self._made.append((each, self._from_parts(each)))
        for name, schema in {**components, **self._foreign}.items():
            self.components[name] = _finished(schema)
        self._made = [(each, _finished(schema)) for each, schema in self._made]

    def of(self, annotation: Any) -> Schema:
        """Return the schema of one of the types: a reference, where it has a name."""
        return next(schema for each, schema in self._made if same(each, annotation))

    def resolve(self, schema: Schema) -> Schema:
        """Return what a schema refers to, or itself."""
        ref = schema.get("$ref")
        return schema if ref is None else self.components[ref.removeprefix(self._ref)]

    def _is_plain(self, annotation: Any) -> bool:
        if is_pydantic(annotation):
            return False
        try:
            self._generate([annotation])
        except TypeError:  # a union that msgspec can't tell apart, for instance
            return False
        return True

    def _generate(
        self, annotations: list[Any]
    ) -> tuple[tuple[Schema, ...], dict[str, Schema]]:
        return msgspec.json.schema_components(
            annotations, schema_hook=self._foreigner, ref_template=self._ref + "{name}"
        )

    def _foreigner(self, kind: type) -> Schema:
        """Return the schema of a type that msgspec does not know."""
        if is_pydantic(kind):
            return self._from_pydantic(kind)
        return {"type": "string"} if kind.__name__ == "Position" else {}

    def _from_pydantic(self, annotation: Any) -> Schema:
        import pydantic

        schema = pydantic.TypeAdapter(annotation).json_schema(
            ref_template=self._ref + "{model}"
        )
        for name, inner in schema.pop("$defs", {}).items():
            self._foreign.setdefault(name, inner)
        title = schema.get("title")
        if isinstance(annotation, type) and title and "properties" in schema:
            self._foreign.setdefault(title, schema)
            return {"$ref": self._ref + title}
        return schema

    def _from_parts(self, annotation: Any) -> Schema:
        """Return the schema of what msgspec can't describe as a whole."""
        if is_pydantic(annotation):
            return self._from_pydantic(annotation)
        parts = get_args(annotation)
        if not all(self._is_plain(part) for part in parts):
            return {}
        made, components = self._generate(list(parts))
        self._foreign.update(components)
        return {"anyOf": list(made)} if made else {}


def same(one: Any, other: Any) -> bool:
    """Tell whether two annotations are one: ``1`` and ``True`` are not."""
    return one is other or (repr(one) == repr(other) and bool(one == other))


def _finished(schema: Any) -> Any:
    """Return a schema of draft 7, with what docstrings say in their places."""
    if isinstance(schema, list):
        return [_finished(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made: Schema = {}
    for key, value in schema.items():
        if key in ("properties", "patternProperties"):
            made[key] = {name: _finished(each) for name, each in value.items()}
        elif key in ("default", "enum", "const", "examples"):
            made[key] = value
        elif key == "prefixItems":
            made["items"] = _finished(value)
        elif key == "items" and "prefixItems" in schema:
            made["additionalItems"] = _finished(value)
        elif key != "discriminator":  # there a text, and values are names of schemas
            made[key] = _finished(value)
    if isinstance(made.get("description"), str):
        _describe(made)
    return made


def _describe(schema: Schema) -> None:
    """Put the examples of a description where they belong."""
    title = str(schema.get("title", "a type"))
    text = schema.pop("description")
    if _DATACLASS.fullmatch(text) and text.startswith(f"{title}("):
        return
    doc = read_doc(title, text)
    if doc.text:
        schema["description"] = doc.text
    if doc.examples:
        tags = {
            name: inner["enum"][0]
            for name, inner in schema.get("properties", {}).items()
            if len(inner.get("enum", ())) == 1 and name in schema.get("required", ())
        }
        schema["examples"] = [
            {**tags, **each} if isinstance(each, dict) else each
            for each in doc.examples
        ]
