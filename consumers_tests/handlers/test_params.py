"""What path and query give to a hook's parameters, without an event loop."""

import inspect
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Any, Literal
from uuid import UUID

import annotated_types
import pydantic
import pytest
from msgspec import Meta
from starlette.datastructures import QueryParams

from consumers.errors import ConfigurationError, InvalidParameters
from consumers.handlers.params import Binder, Parameter, Required

Text = str | None


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    LOW = 1


class Version:
    """What no text converts to."""

    def __init__(self, text: str) -> None:
        self.text = text


def parameter(annotation: Any, default: Any = Required) -> Parameter:
    """Return the parameter `value`, declared as `Chat.on_connect` would."""
    empty = inspect.Parameter.empty
    declared = inspect.Parameter(
        "value",
        inspect.Parameter.KEYWORD_ONLY,
        default=empty if default is Required else default,
    )
    return Parameter.of("Chat.on_connect", declared, annotation)


def bind(
    annotation: Any, path: Any = None, query: str = "", default: Any = Required
) -> Any:
    """Return what one parameter gets from a path and a query."""
    found = {} if path is None else {"value": path}
    binder = Binder([parameter(annotation, default)])
    return binder.bind(found, QueryParams(query))["value"]


def errors_of(binder: Binder, path: dict[str, Any], query: str = "") -> dict[str, str]:
    """Return what a client is told."""
    with pytest.raises(InvalidParameters) as caught:
        binder.bind(path, QueryParams(query))
    return dict(caught.value.errors)


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (inspect.Parameter.empty, "5", "5"),
        (Any, "5", "5"),
        (object, "5", "5"),
        (str, "5", "5"),
        (int, "42", 42),
        (float, "4.2", 4.2),
        (bool, "true", True),
        (bool, "0", False),
        (Decimal, "4.20", Decimal("4.20")),
        (UUID, "12345678123456781234567812345678", UUID("12345678" * 4)),
        (date, "2024-02-29", date(2024, 2, 29)),
        (datetime, "2024-02-29T12:00:00Z", datetime(2024, 2, 29, 12, tzinfo=UTC)),
        (time, "12:30:00", time(12, 30)),
        (timedelta, "PT5M", timedelta(minutes=5)),
        (Colour, "red", Colour.RED),
        (Level, "1", Level.LOW),
        (Literal["a", 1], "1", 1),
        (Literal["a", 1], "a", "a"),
        (int | None, "3", 3),
        (Annotated[int, Meta(ge=1)], "1", 1),
        (bytes, "aGk=", b"hi"),
        (pydantic.PositiveInt, "3", 3),
        (Annotated[str, annotated_types.MinLen(2)], "ab", "ab"),
    ],
)
def test_text_becomes_what_the_annotation_says(
    annotation: Any, text: str, value: object
) -> None:
    """The path's text and the query's convert alike."""
    from_path = bind(annotation, path=text)
    from_query = bind(annotation, query=f"value={text}", default=None)

    assert (from_path, from_query) == (value, value)
    assert type(from_path) is type(value)


@pytest.mark.parametrize(
    ("annotation", "text", "why"),
    [
        (int, "4.2", "Expected `int`, got `str`"),
        (int, "", "Expected `int`, got `str`"),
        (float, "x", "Expected `float`, got `str`"),
        (bool, "yes", "Expected `bool`, got `str`"),
        (bool, "12", "Expected `bool`, got `str`"),
        (UUID, "1", "Invalid UUID"),
        (date, "2023-02-29", "Invalid RFC3339 encoded date"),
        (Decimal, "x", "Invalid decimal string"),
        (Colour, "blue", "Invalid enum value 'blue'"),
        (Literal["a"], "b", "Invalid enum value 'b'"),
        (int | None, "x", "Expected `int | null`, got `str`"),
        (Annotated[int, Meta(ge=1)], "0", "Expected `int` >= 1"),
        (pydantic.PositiveInt, "0", "Input should be greater than 0"),
        (
            Annotated[str, annotated_types.MinLen(2)],
            "a",
            "String should have at least 2 characters",
        ),
    ],
)
def test_text_that_does_not_convert_is_the_client_s_fault(
    annotation: Any, text: str, why: str
) -> None:
    """The client is told what was expected of which parameter."""
    assert errors_of(Binder([parameter(annotation)]), {"value": text}) == {"value": why}


def test_all_errors_are_collected() -> None:
    """One refusal names every parameter that is wrong, and not those that are right."""
    binder = Binder(
        [
            Parameter("shop", int),
            Parameter("page", int, 1),
            Parameter("size", Annotated[int, Meta(le=100)], 10),
            Parameter("tag", str, ""),
        ]
    )

    errors = errors_of(binder, {"shop": "x"}, "page=y&size=101&tag=z")

    assert errors == {
        "shop": "Expected `int`, got `str`",
        "page": "Expected `int`, got `str`",
        "size": "Expected `int` <= 100",
    }
    assert str(InvalidParameters({"a": "no", "b": "nor this"})) == "a: no; b: nor this"


@pytest.mark.parametrize(
    ("annotation", "query", "value"),
    [
        (list[int], "value=1&value=2", [1, 2]),
        (list[int], "value=1", [1]),
        (set[str], "value=a&value=b&value=a", {"a", "b"}),
        (frozenset[int], "value=1", frozenset({1})),
        (tuple[int, ...], "value=1&value=2", (1, 2)),
        (tuple[int, str], "value=1&value=2", (1, "2")),
        (list, "value=1&value=2", ["1", "2"]),
        (list[int] | None, "value=1&value=2", [1, 2]),
        (Annotated[list[int], Meta(max_length=2)], "value=1&value=2", [1, 2]),
        (list[pydantic.PositiveInt], "value=1&value=2", [1, 2]),
    ],
)
def test_a_repeated_key_makes_a_list(annotation: Any, query: str, value: Any) -> None:
    """An annotation that holds many takes every value of its key."""
    assert bind(annotation, query=query, default=None) == value


def test_of_a_repeated_key_the_last_value_counts() -> None:
    """An annotation that holds one value takes the last."""
    assert bind(int, query="value=1&value=2", default=0) == 2


def test_an_error_in_a_list_says_where() -> None:
    """The client learns which of several values was wrong."""
    binder = Binder([parameter(list[int], None)])

    assert errors_of(binder, {}, "value=1&value=x") == {
        "value": "Expected `int`, got `str` - at `$[1]`"
    }


def test_the_path_comes_before_the_query() -> None:
    """A query key named like a parameter of the path changes nothing."""
    assert bind(int, path="1", query="value=2", default=0) == 1
    assert bind(int, path="1", query="value=2") == 1


def test_a_default_is_taken_as_it_is() -> None:
    """Where the URL has nothing the default counts, whatever its type."""
    assert bind(int, default="not a number") == "not a number"
    assert bind(int | None, default=None) is None


def test_connections_do_not_share_a_default() -> None:
    """A list that one connection changes is not another's default."""
    binder = Binder([parameter(list[int], [1])])

    first = binder.bind({}, QueryParams(""))["value"]
    first.append(2)

    assert binder.bind({}, QueryParams(""))["value"] == [1]


def test_what_a_convertor_of_the_path_made_is_taken() -> None:
    """`{value:int}` gives a number, and a convertor of one's own any object."""
    made = Version("1.2")

    assert bind(int, path=7) == 7
    assert bind(str, path=7) == "7"
    assert bind(float, path=7) == 7.0
    assert bind(Version, path=made) is made


def test_a_hook_s_parameters_are_one_binding() -> None:
    """Two hooks may ask for the same parameter, declared alike."""
    binder = Binder([Parameter("page", int, 1), Parameter("page", int, 1)])

    assert binder.bind({}, QueryParams("page=3")) == {"page": 3}


@pytest.mark.parametrize(
    ("other", "shown"),
    [
        (Parameter("page", str, 1), "page: str = 1"),
        (Parameter("page", int, 2), "page: int = 2"),
        (Parameter("page", int), "page: int"),
        (Parameter("page", int | None, 1), "page: int | None = 1"),
    ],
)
def test_two_hooks_declare_a_parameter_alike(other: Parameter, shown: str) -> None:
    """A parameter with two types or defaults is refused when the class is made."""
    with pytest.raises(ConfigurationError) as caught:
        Binder([Parameter("page", int, 1), other])

    assert str(caught.value) == (
        "parameter 'page' must be declared alike in all hooks, got 'page: int = 1' and "
        f"'{shown}'; give it one type and default"
    )


@pytest.mark.parametrize("annotation", ["int", Callable[[int], str] | dict])
def test_an_annotation_must_be_one_that_msgspec_knows(annotation: Any) -> None:
    """What can't be converted to at all is refused when the class is made."""
    with pytest.raises(ConfigurationError) as caught:
        parameter(annotation)

    expected = "Chat.on_connect: parameter 'value' must have a type that a URL's text "
    assert str(caught.value).startswith(f"{expected}converts to, got {annotation!r}; ")


@pytest.mark.parametrize(
    "annotation",
    [Version, dict[str, int], Version | None, list[Version], tuple[int, Version]],
)
def test_what_no_text_converts_to_must_come_from_the_path(annotation: Any) -> None:
    """The query can't have it; a convertor of the path can make it."""
    binder = Binder([parameter(annotation, None)])
    binder.check_path("route '/x' to Chat", "/x/{value:version}", ["value"])

    with pytest.raises(ConfigurationError) as caught:
        binder.check_path("route '/x' to Chat", "/x", [])

    assert str(caught.value) == (
        "route '/x' to Chat: parameter 'value' must have a type that a URL's text "
        f"converts to, got {annotation!r}; take text and convert it in the hook, or "
        "put {value:convertor} into the path"
    )


@pytest.mark.parametrize(
    "annotation",
    [
        int,
        list,
        set[int],
        tuple[int, str],
        Annotated[int, Meta(gt=0)],
        Annotated[int, Meta(title="how many")],
        pydantic.HttpUrl,
        pydantic.PositiveInt,
    ],
)
def test_what_text_converts_to_may_come_from_the_query(annotation: Any) -> None:
    """A default is all that a parameter needs to be the query's."""
    Binder([parameter(annotation, None)]).check_path("route", "/x", [])


def test_the_path_has_what_has_no_default() -> None:
    """The error names all that is missing, and three ways out."""
    binder = Binder(
        [Parameter("shop", int), Parameter("room", str), Parameter("page", int, 1)]
    )
    binder.check_path("route", "/{shop}/{room}", ["shop", "room"])

    with pytest.raises(ConfigurationError) as caught:
        binder.check_path("route '/x' to Chat", "/x", [])

    assert str(caught.value) == (
        "route '/x' to Chat asks for 'shop', 'room', which must be in the path, got "
        "'/x'; add {shop} to it, or give the parameter a default to take it from the "
        "query, or name in mounted_at= the prefix that has it"
    )


def test_a_path_without_the_parameter_is_not_the_client_s_fault() -> None:
    """A table that checks nothing, such as Starlette's, is told when a client comes."""
    with pytest.raises(ConfigurationError) as caught:
        Binder([Parameter("room", str)]).bind({"shop": 1}, QueryParams("room=lobby"))

    assert str(caught.value) == (
        "parameter 'room: str' must be in the route's path, got ['shop'] from it; add "
        "{room} to it, or give the parameter a default to take it from the query"
    )


def test_a_model_converts_what_a_convertor_made() -> None:
    """A model of pydantic's is filled from a mapping; its errors have one line."""

    class Point(pydantic.BaseModel):
        x: int
        y: int

    assert bind(Point, path={"x": "1", "y": "2"}) == Point(x=1, y=2)
    assert errors_of(Binder([parameter(Point)]), {"value": {"x": "no"}}) == {
        "value": (
            "Input should be a valid integer, unable to parse string as an integer "
            "- at `$.x`; Field required - at `$.y`"
        )
    }


def test_nobody_needs_pydantic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody has imported pydantic, nobody asks for it."""
    monkeypatch.delitem(sys.modules, "pydantic")

    assert bind(int, path="1") == 1
    assert "pydantic" not in sys.modules
