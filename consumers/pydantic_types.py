"""pydantic's types in messages and parameters, for those who have it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, get_args

import msgspec

if TYPE_CHECKING:
    import pydantic

__all__ = ["mentions_pydantic", "pydantic_convert", "pydantic_loads"]


def mentions_pydantic(annotation: Any) -> bool:
    """Tell whether a type, or a constraint in it, is one for pydantic.

    pydantic is not imported for that: who has such a type has imported it.
    """
    pydantic = sys.modules.get("pydantic")
    if pydantic is None:
        return False
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return True
    for each in (annotation, *getattr(annotation, "__metadata__", ())):
        kind = each if isinstance(each, type) else type(each)
        if kind.__module__.partition(".")[0] in ("pydantic", "annotated_types"):
            return True
    return any(mentions_pydantic(argument) for argument in get_args(annotation))


def pydantic_loads(name: str, annotation: Any) -> Callable[[Any], Any]:
    """Return what decodes a type by pydantic, from the format of this name.

    It raises msgspec's errors: a ``ValidationError`` for a value that does not fit.
    """
    import pydantic

    adapter = pydantic.TypeAdapter(annotation)
    untyped = msgspec.json.decode if name == "json" else msgspec.msgpack.decode

    def loads(data: Any) -> Any:
        # Decoded by msgspec first, so that a syntax error is told from a wrong schema.
        value = untyped(data)
        try:
            if name == "json":
                return adapter.validate_json(data)
            return adapter.validate_python(value)
        except pydantic.ValidationError as error:
            raise _misfit(error) from error

    return loads


def pydantic_convert(annotation: Any) -> Callable[[Any], Any]:
    """Return what converts a value, such as a URL's text, to a type by pydantic.

    It raises msgspec's ``ValidationError`` for a value that does not fit.
    """
    import pydantic

    adapter = pydantic.TypeAdapter(annotation)

    def convert(value: Any) -> Any:
        try:
            return adapter.validate_python(value)
        except pydantic.ValidationError as error:
            raise _misfit(error) from error

    return convert


def _misfit(error: pydantic.ValidationError) -> msgspec.ValidationError:
    """Say what is wrong as msgspec does; pydantic's own text has lines, and links."""
    texts = []
    for each in error.errors():
        steps = (f"[{at}]" if isinstance(at, int) else f".{at}" for at in each["loc"])
        where = f" - at `${''.join(steps)}`" if each["loc"] else ""
        texts.append(f"{each['msg']}{where}")
    return msgspec.ValidationError("; ".join(texts))
