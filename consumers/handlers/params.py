"""Binds path and query parameters to what a hook's signature asks for.

A :class:`Binder` is built once per class. Values are converted to their annotations by
``msgspec.convert`` in lax mode, so that the string ``"42"`` makes an ``int``; by
pydantic where the annotation is pydantic's.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, get_args, get_origin

import msgspec
from msgspec import inspect as kinds
from starlette.datastructures import QueryParams

from consumers.errors import ConfigurationError, InvalidParameters
from consumers.history import Position
from consumers.pydantic_types import mentions_pydantic, pydantic_convert

__all__ = ["Binder", "Parameter", "Required"]


class Required:
    """The default of a parameter that has none."""


_MANY: Final = (list, set, frozenset, tuple)
# What a URL says to a parameter without an annotation, or with one that says nothing.
_AS_TEXT: Final = (inspect.Parameter.empty, Any, object)
# What msgspec makes of a text in lax mode.
_FROM_TEXT: Final = (
    kinds.BoolType,
    kinds.BytesType,
    kinds.DateTimeType,
    kinds.DateType,
    kinds.DecimalType,
    kinds.EnumType,
    kinds.FloatType,
    kinds.IntType,
    kinds.LiteralType,
    kinds.StrType,
    kinds.TimeDeltaType,
    kinds.TimeType,
    kinds.UUIDType,
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a hook that is filled from the URL."""

    name: str
    """As in the signature, in the path and in the query."""

    annotation: Any
    """What to convert to; ``str`` where the signature says nothing."""

    default: Any = Required
    """The value where the URL has none; ``Required``: the path must have it."""

    _convert: Callable[[Any], Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_convert", _converter(self.annotation))

    @classmethod
    def of(cls, owner: str, parameter: inspect.Parameter, annotation: Any) -> Parameter:
        """Make one from a signature.

        Raises:
            ConfigurationError: The annotation is not one that text can be converted to.
        """
        if annotation in _AS_TEXT:
            annotation = str
        required = parameter.default is inspect.Parameter.empty
        made = cls(
            parameter.name, annotation, Required if required else parameter.default
        )
        made._check(owner)
        return made

    @property
    def many(self) -> bool:
        """Whether it takes every value of a repeated query key, not only the last."""
        annotation = self.annotation
        while get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        for option in (annotation, *get_args(annotation)):
            kind = get_origin(option) or option
            if isinstance(kind, type) and issubclass(kind, _MANY):
                return True
        return False

    def convert(self, value: Any) -> Any:
        """Convert what the URL says.

        Raises:
            msgspec.ValidationError: The client's fault; the text says what it is.
        """
        # A convertor of the path ({id:int}) may have made something else of the text.
        if self.annotation is str:
            return value if isinstance(value, str) else str(value)
        if isinstance(self.annotation, type) and isinstance(value, self.annotation):
            return value
        return self._convert(value)

    @property
    def is_textual(self) -> bool:
        """Whether the query can have it; else a convertor of the path must make it."""
        if mentions_pydantic(self.annotation):
            return True
        return _is_from_text(kinds.type_info(self.annotation))

    def fresh_default(self) -> Any:
        """Return the default; a copy where one connection could change another's."""
        if isinstance(self.default, list | set | dict):
            return self.default.copy()
        return self.default

    def __str__(self) -> str:
        kind = self.annotation
        shown = kind.__name__ if isinstance(kind, type) else repr(kind)
        text = f"{self.name}: {shown}"
        return text if self.default is Required else f"{text} = {self.default!r}"

    def _check(self, owner: str) -> None:
        try:
            self._convert("")
        except msgspec.ValidationError:
            return
        except TypeError as error:
            raise ConfigurationError(
                f"{owner}: parameter {self.name!r} must have a type that a URL's text "
                f"converts to, got {self.annotation!r}; {error}"
            ) from error


def _parsed(kind: type, value: object) -> object:
    """Convert to what msgspec doesn't know: a class of ours that texts name."""
    if kind is Position and isinstance(value, str):
        return Position.parse(value)
    # As msgspec says it by itself, which makes a ValidationError of this.
    raise TypeError(f"Expected `{kind.__name__}`, got `{type(value).__name__}`")


def _converter(annotation: Any) -> Callable[[Any], Any]:
    if mentions_pydantic(annotation):
        return pydantic_convert(annotation)
    return lambda value: msgspec.convert(
        value, annotation, strict=False, dec_hook=_parsed
    )


def _is_from_text(kind: kinds.Type) -> bool:
    match kind:
        case kinds.Metadata():
            return _is_from_text(kind.type)
        case kinds.UnionType():
            return any(_is_from_text(option) for option in kind.types)
        case kinds.TupleType():
            return all(_is_from_text(item) for item in kind.item_types)
        case (
            kinds.ListType()
            | kinds.SetType()
            | kinds.FrozenSetType()
            | kinds.VarTupleType()
        ):
            item = kind.item_type
            return isinstance(item, kinds.AnyType) or _is_from_text(item)
        case kinds.CustomType():
            return kind.cls is Position
        case _:
            return isinstance(kind, _FROM_TEXT)


class Binder:
    """Fills the URL's part of one or more signatures, once per connection."""

    __slots__ = ("parameters",)

    def __init__(self, parameters: Iterable[Parameter]) -> None:
        """Take the parameters of all hooks that share one binding.

        Raises:
            ConfigurationError: Two hooks ask for one name in two ways.
        """
        self.parameters: dict[str, Parameter] = {}
        for parameter in parameters:
            known = self.parameters.setdefault(parameter.name, parameter)
            if known != parameter:
                raise ConfigurationError(
                    f"parameter {parameter.name!r} must be declared alike in all "
                    f"hooks, got '{known}' and '{parameter}'; give it one type and "
                    "default"
                )

    def check_path(self, owner: str, path: str, names: Iterable[str]) -> None:
        """Check that a path has every parameter that can't come from the query.

        Raises:
            ConfigurationError: It lacks one.
        """
        elsewhere = [
            parameter
            for parameter in self.parameters.values()
            if parameter.name not in set(names)
        ]
        missing = [each.name for each in elsewhere if each.default is Required]
        if missing:
            listed = ", ".join(f"{name!r}" for name in missing)
            raise ConfigurationError(
                f"{owner} asks for {listed}, which must be in the path, got "
                f"{path!r}; add {{{missing[0]}}} to it, or give the parameter a "
                "default to take it from the query, or name in mounted_at= the prefix "
                "that has it"
            )
        for each in elsewhere:
            if not each.is_textual:
                raise ConfigurationError(
                    f"{owner}: parameter {each.name!r} must have a type that a URL's "
                    f"text converts to, got {each.annotation!r}; take text and convert "
                    f"it in the hook, or put {{{each.name}:convertor}} into the path"
                )

    def bind(self, path: Mapping[str, Any], query: QueryParams) -> dict[str, Any]:
        """Return ``{name: converted value}`` for all parameters.

        The path comes before the query. Of a repeated query key the last value counts,
        unless the annotation is a list, set or tuple. A default is not converted.

        Raises:
            InvalidParameters: The client's fault; it names every wrong parameter.
            ConfigurationError: The path lacks one: the fault of a table that does not
                check it, such as Starlette's own.
        """
        bound: dict[str, Any] = {}
        errors: dict[str, str] = {}
        for name, parameter in self.parameters.items():
            if name in path:
                value = path[name]
            elif name in query and parameter.default is not Required:
                value = query.getlist(name) if parameter.many else query[name]
            elif parameter.default is Required:
                raise ConfigurationError(
                    f"parameter '{parameter}' must be in the route's path, got "
                    f"{list(path)!r} from it; add {{{name}}} to it, or give the "
                    "parameter a default to take it from the query"
                )
            else:
                bound[name] = parameter.fresh_default()
                continue
            try:
                bound[name] = parameter.convert(value)
            except msgspec.ValidationError as error:
                errors[name] = str(error)
        if errors:
            raise InvalidParameters(errors)
        return bound
