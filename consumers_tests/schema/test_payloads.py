"""Schemas of types: draft 7, exact, and what is always there required."""

from dataclasses import dataclass
from datetime import datetime, time
from typing import Annotated, Any

import msgspec
import pydantic
from msgspec import UNSET, Meta, UnsetType

from consumers.schema.payloads import Schemas


class Inner(msgspec.Struct):
    at: datetime | None = None


class Outer(msgspec.Struct):
    inner: Inner
    extra: int | UnsetType = UNSET
    more: list[int] = []


class Sparse(msgspec.Struct, omit_defaults=True):
    text: str = ""


@dataclass
class Plain:
    text: str
    count: int = 0


class Strange: ...


class Unknown: ...


class Mixed(msgspec.Struct):
    strange: Strange


class Around(msgspec.Struct):
    model: "Model"


class Model(pydantic.BaseModel):
    text: str


def test_what_is_sent_has_its_defaults() -> None:
    """Unless it leaves them out, or the field is one that may be unset."""
    components = Schemas([], [Outer, Sparse, Plain]).components

    assert components["Outer"]["required"] == ["inner", "more"]
    assert components["Inner"]["required"] == ["at"]
    assert components["Plain"]["required"] == ["text", "count"]
    assert components["Sparse"]["required"] == []


def test_what_is_taken_may_lack_its_defaults() -> None:
    """Also where the same type is sent: the schema is one for both."""
    components = Schemas([Outer], [list[Outer]]).components

    assert components["Outer"]["required"] == ["inner"]
    assert components["Inner"]["required"] == []


def test_times_have_their_formats() -> None:
    """Wherever they are; msgspec itself says only that they are texts."""
    kinds: list[Any] = [
        datetime,
        time,
        list[datetime],
        dict[str, time],
        tuple[int, datetime],
        Annotated[datetime | int, Meta(description="When")],
    ]
    schemas = Schemas(kinds)

    assert [schemas.of(kind) for kind in kinds] == [
        {"type": "string", "format": "date-time"},
        {"type": "string", "format": "time"},
        {"type": "array", "items": {"type": "string", "format": "date-time"}},
        {
            "type": "object",
            "additionalProperties": {"type": "string", "format": "time"},
        },
        {
            "type": "array",
            "minItems": 2,
            "maxItems": 2,
            "items": [{"type": "integer"}, {"type": "string", "format": "date-time"}],
            "additionalItems": False,
        },
        {
            "anyOf": [{"type": "string", "format": "date-time"}, {"type": "integer"}],
            "description": "When",
        },
    ]


def test_keys_that_are_numbers_are_told() -> None:
    """In JSON they are texts of digits."""
    schema = Schemas([dict[int, None]]).of(dict[int, None])

    assert schema["propertyNames"] == {"pattern": "^(0|-?[1-9][0-9]*)$"}


def test_a_named_type_is_referred_to() -> None:
    """Each once, from wherever it is."""
    schemas = Schemas([Outer, Outer | None, Model])

    assert schemas.of(Outer) == {"$ref": "#/components/schemas/Outer"}
    assert schemas.resolve(schemas.of(Outer)) is schemas.components["Outer"]
    assert schemas.resolve(schemas.of(Outer | None)) is schemas.of(Outer | None)
    assert schemas.of(Model) == {"$ref": "#/components/schemas/Model"}
    assert schemas.components["Model"]["required"] == ["text"]
    around = Schemas([Around]).components
    assert around["Around"]["properties"]["model"] == schemas.of(Model)
    assert around["Model"] == schemas.components["Model"]


def test_the_docstring_that_a_dataclass_makes_says_nothing() -> None:
    """It is the signature once more."""
    assert "description" not in Schemas([Plain]).components["Plain"]


def test_what_nothing_describes_may_be_anything() -> None:
    """A schema that promises too little is better than no document."""
    schemas = Schemas([Strange, Inner | Outer, Mixed, Inner | Unknown])

    assert schemas.of(Inner | Unknown) == {
        "anyOf": [{"$ref": "#/components/schemas/Inner"}, {"title": "Unknown"}]
    }
    assert schemas.of(Strange) == {"title": "Strange"}
    assert schemas.of(Inner | Outer) == {
        "anyOf": [
            {"$ref": "#/components/schemas/Inner"},
            {"$ref": "#/components/schemas/Outer"},
        ]
    }
    assert schemas.components["Mixed"]["properties"]["strange"] == schemas.of(Strange)


def test_a_name_stands_for_one_type() -> None:
    """Also where msgspec and pydantic have one name for two, or a module has it too."""
    foreign = pydantic.create_model("Inner", inner=(Model, ...), text=(str, ...))
    other = pydantic.create_model("Inner", text=(str, ...))

    class Local:
        class Inner(msgspec.Struct):
            text: str

    schemas = Schemas([Inner, foreign, other, Local.Inner, foreign])

    refs = [schemas.of(kind)["$ref"] for kind in (Inner, foreign, other, Local.Inner)]
    assert len({*refs}) == 4
    assert schemas.resolve(schemas.of(foreign))["required"] == ["inner", "text"]
    assert schemas.resolve(schemas.of(other))["required"] == ["text"]
    assert schemas.resolve(schemas.of(Inner))["properties"].keys() == {"at"}
