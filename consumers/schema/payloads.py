"""JSON schemas of the types that messages have: msgspec's, pydantic's, and builtins.

They are of draft 7 of JSON Schema, as AsyncAPI 3 has them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias, get_args, get_origin

import msgspec
from msgspec import NODEFAULT
from msgspec import inspect as kinds

from consumers.history import Position
from consumers.pydantic_types import mentions_pydantic

from .docstrings import read_doc

__all__ = ["REF", "Schema", "Schemas"]

Schema = dict[str, Any]

_Object: TypeAlias = kinds.StructType | kinds.DataclassType

_LISTS: Final = (
    kinds.ListType,
    kinds.VarTupleType,
    kinds.SetType,
    kinds.FrozenSetType,
)

_JSON_TYPES: Final[dict[type, str]] = {
    kinds.DateTimeType: "string",
    kinds.TimeType: "string",
    kinds.DictType: "object",
    **dict.fromkeys((*_LISTS, kinds.TupleType), "array"),
}

REF: Final = "#/components/schemas/"

_DATACLASS: Final = re.compile(r"\w+\(.*\)")
"""The docstring that a dataclass without one gets."""


class Schemas:
    """The schemas of one document, those with names apart."""

    def __init__(
        self, taken: Iterable[Any], sent: Iterable[Any] = (), *, ref: str = REF
    ) -> None:
        """Read all types that the document names: each name then means one of them.

        Args:
            taken: The types that clients send, which may leave out what has a default.
            sent: Those that clients get, which has its defaults.
            ref: What comes before a name in a reference.

        Raises:
            ConfigurationError: An example in a docstring is not JSON.
        """
        self.components: dict[str, Schema] = {}
        """``{name: schema}``."""
        self._ref = ref
        self._foreign: dict[str, Schema] = {}
        self._taken: set[str] = set()
        taken, sent = _different(taken), _different(sent)
        known = _different([*taken, *sent])
        # What msgspec can't describe as a whole may still consist of what it can.
        parts = [
            part
            for each in known
            if not mentions_pydantic(each) and not self._is_plain(each)
            for part in get_args(each)
        ]
        plain = [each for each in _different([*known, *parts]) if self._is_plain(each)]
        objects = _objects_in(plain)
        taken_objects = _objects_in(each for each in taken if self._is_plain(each))
        _, named = self._generate([*plain, *objects])
        self._taken.update(named)  # so that others get other names
        self._foreign.clear()
        made, components = self._generate([*plain, *objects])
        for annotation, schema in zip(plain, made, strict=False):
            _sharpen(schema, kinds.type_info(annotation))
        for info, schema in zip(objects.values(), made[len(plain) :], strict=True):
            whole = components[schema["$ref"].removeprefix(ref)]
            for field in info.fields:
                _sharpen(whole["properties"][field.encode_name], field.type)
            if info.cls not in taken_objects:
                _complete(whole, info)
        self._made = list(zip(plain, made, strict=False))
        for each in known:
            if not any(each is other for other in plain):
                self._made.append((each, self._from_parts(each)))
        for name, schema in {**components, **self._foreign}.items():
            self.components[name] = _finished(schema)
        self._made = [(each, _finished(schema)) for each, schema in self._made]

    def of(self, annotation: Any) -> Schema:
        """Return the schema of one of the types: a reference, where it has a name."""
        return next(schema for each, schema in self._made if _same(each, annotation))

    def resolve(self, schema: Schema) -> Schema:
        """Return what a schema refers to, or itself."""
        ref = schema.get("$ref")
        return schema if ref is None else self.components[ref.removeprefix(self._ref)]

    def _is_plain(self, annotation: Any) -> bool:
        if mentions_pydantic(annotation):
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
        if mentions_pydantic(kind):
            return self._from_pydantic(kind)
        return {"type": "string"} if kind is Position else {"title": kind.__name__}

    def _from_pydantic(self, annotation: Any) -> Schema:
        import pydantic

        schema = pydantic.TypeAdapter(annotation).json_schema(
            ref_template=self._ref + "{model}"
        )
        inner = schema.pop("$defs", {})
        title = schema.get("title")
        if isinstance(annotation, type) and title and "properties" in schema:
            inner[title], schema = schema, {"$ref": self._ref + title}
        names = {name: self._name(name, each) for name, each in inner.items()}
        renamed = {self._ref + old: self._ref + new for old, new in names.items()}
        for name, each in inner.items():
            self._foreign[names[name]] = _renamed(each, renamed)
        made: Schema = _renamed(schema, renamed)
        return made

    def _name(self, wanted: str, schema: Schema) -> str:
        """Return a name that stands for no other schema."""
        number, name = 1, wanted
        while name in self._taken or self._foreign.get(name, schema) != schema:
            number += 1
            name = f"{wanted}{number}"
        return name

    def _from_parts(self, annotation: Any) -> Schema:
        """Return the schema of what msgspec can't describe as a whole."""
        if mentions_pydantic(annotation):
            return self._from_pydantic(annotation)
        parts = get_args(annotation)
        if not parts or not all(self._is_plain(part) for part in parts):
            return {}
        return {"anyOf": [self.of(part) for part in parts]}


def _renamed(schema: Any, names: Mapping[str, str]) -> Any:
    """Return a schema with other references."""
    if isinstance(schema, list):
        return [_renamed(each, names) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: names.get(value, value) if key == "$ref" else _renamed(value, names)
        for key, value in schema.items()
    }


def _different(annotations: Iterable[Any]) -> list[Any]:
    """Return each annotation once. Not all of them can be hashed."""
    found: list[Any] = []
    for annotation in annotations:
        if not any(_same(annotation, each) for each in found):
            found.append(annotation)
    return found


def _objects_in(annotations: Iterable[Any]) -> dict[Any, _Object]:
    """Return ``{class: ...}`` of the Structs and dataclasses within annotations."""
    found: dict[Any, _Object] = {}
    seen: set[int] = set()
    waiting: list[Any] = list(kinds.multi_type_info(annotations))
    while waiting:
        info = waiting.pop()
        if isinstance(info, tuple):
            waiting.extend(info)
        if not isinstance(info, kinds.Type | kinds.Field) or id(info) in seen:
            continue
        seen.add(id(info))
        if isinstance(info, kinds.StructType | kinds.DataclassType):
            found[info.cls] = info
        waiting.extend(
            getattr(info, name)
            for name in info.__struct_fields__
            if name not in ("default", "default_factory")
        )
    return found


def _sharpen(schema: Schema, info: kinds.Type) -> None:
    """Say what msgspec reads, where its schema says less: of times and of keys."""
    match info:
        case kinds.Metadata():
            _sharpen(schema, info.type)
        case kinds.DateTimeType() | kinds.TimeType():
            form = "time" if isinstance(info, kinds.TimeType) else "date-time"
            schema.setdefault("format", form)
        case kinds.UnionType():
            for option in info.types:
                # At most one of them is a text, or a list, or an object without a name.
                wanted = _JSON_TYPES.get(type(option))
                for each in schema.get("anyOf", ()):
                    if each.get("type") == wanted is not None:
                        _sharpen(each, option)
        case kinds.DictType():
            if isinstance(info.key_type, kinds.IntType):
                schema["propertyNames"] = {"pattern": "^(0|-?[1-9][0-9]*)$"}
            _sharpen(schema.get("additionalProperties", {}), info.value_type)
        case kinds.TupleType():
            for each, item in zip(schema["prefixItems"], info.item_types, strict=True):
                _sharpen(each, item)
        case _ if isinstance(info, _LISTS):
            _sharpen(schema.get("items", {}), info.item_type)


def _complete(schema: Schema, kind: _Object) -> None:
    """Require the fields that are always there when it is sent."""
    config = getattr(get_origin(kind.cls) or kind.cls, "__struct_config__", None)
    if config is not None and config.omit_defaults:
        return
    there = {
        each.encode_name
        for each in kind.fields
        # What may be unset has no default that could be sent.
        if each.default is not NODEFAULT or each.default_factory is not NODEFAULT
    }
    there.update(schema.get("required", ()))
    if there:
        schema["required"] = [name for name in schema["properties"] if name in there]


def _same(one: Any, other: Any) -> bool:
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
