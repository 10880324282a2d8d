"""pydantic's types as messages: found wherever they are, decoded by pydantic."""

import datetime as dt
import re
from typing import Annotated, Any

import msgspec
import pydantic
import pytest

from consumers.codecs import CODECS
from consumers.pydantic_types import mentions_pydantic, pydantic_convert, pydantic_loads


class Order(pydantic.BaseModel):
    item: str
    count: Annotated[int, pydantic.Field(gt=0)] = 1
    due: dt.date | None = None


class Say(msgspec.Struct):
    text: str


@pytest.mark.parametrize(
    ("annotation", "mentioned"),
    [
        (Order, True),
        (list[Order], True),
        (dict[str, Order | None], True),
        (Annotated[Order, "x"], True),
        (Annotated[int, pydantic.Field(gt=0)], True),
        (list[pydantic.PositiveInt], True),
        (pydantic.HttpUrl | None, True),
        (Say, False),
        (list[Say], False),
        (int, False),
        (Annotated[int, msgspec.Meta(gt=0)], False),
        (Any, False),
    ],
)
def test_it_is_found_in_a_type(annotation: Any, mentioned: bool) -> None:
    """Wherever a model, or a constraint, stands in it."""
    assert mentions_pydantic(annotation) is mentioned


@pytest.mark.parametrize("name", ["json", "msgpack"])
def test_it_decodes(name: str) -> None:
    """A model from either format, dates as texts."""
    encode = msgspec.json.encode if name == "json" else msgspec.msgpack.encode
    loads = pydantic_loads(name, list[Order])

    made = loads(encode([{"item": "tea", "due": "2030-01-02"}]))

    assert made == [Order(item="tea", due=dt.date(2030, 1, 2))]


def test_what_is_wrong_is_a_mistake_of_the_schema_or_of_the_syntax() -> None:
    """They close with different codes."""
    loads = pydantic_loads("json", Order)

    misfit = "Input should be greater than 0 - at `$.count`"
    with pytest.raises(msgspec.ValidationError, match=f"^{re.escape(misfit)}$"):
        loads('{"item": "tea", "count": 0}')
    with pytest.raises(msgspec.DecodeError, match=r"malformed|truncated"):
        loads('{"item": ')


def test_a_model_inside_something_else_is_encoded() -> None:
    """Models of pydantic may stand anywhere in a message, with what they allow."""
    event = CODECS["json"].encode({"order": Order(item="tea", due=dt.date(2030, 1, 2))})

    assert event["text"] == '{"order":{"item":"tea","count":1,"due":"2030-01-02"}}'


def test_each_misfit_is_told_with_its_place() -> None:
    """In one line, in msgspec's words for where it is."""
    convert = pydantic_convert(list[Order])

    with pytest.raises(msgspec.ValidationError) as caught:
        convert([{"item": "tea"}, {"item": 1, "count": 0}])
    assert str(caught.value) == (
        "Input should be a valid string - at `$[1].item`; "
        "Input should be greater than 0 - at `$[1].count`"
    )
