"""pydantic's types as messages, for those who have it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, get_args

import msgspec

__all__ = ["mentions_pydantic", "pydantic_loads"]


def mentions_pydantic(annotation: Any) -> bool:
    """Tell whether decoding needs pydantic, without importing it where not."""
    pydantic = sys.modules.get("pydantic")
    if pydantic is None:
        return False
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return True
    return any(mentions_pydantic(argument) for argument in get_args(annotation))


def pydantic_loads(name: str, annotation: Any) -> Callable[[Any], Any]:
    """Return what decodes a type by pydantic, from the format of this name."""
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
            raise msgspec.ValidationError(str(error)) from error

    return loads
