"""Binds path and query parameters to what a hook's signature asks for.

A :class:`Binder` is built once per class. Values are converted to their annotations by
``msgspec.convert`` in lax mode, so that the string ``"42"`` makes an ``int``.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, get_args, get_origin

import msgspec
from starlette.datastructures import QueryParams

from .errors import ConfigurationError, InvalidParameters

__all__ = ["Binder", "Parameter", "Required"]


class Required:
    """The default of a parameter that has none."""


_MANY: Final = (list, set, frozenset, tuple)
# What a URL says to a parameter without an annotation, or with one that says nothing.
_AS_TEXT: Final = (inspect.Parameter.empty, Any, object)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a hook that is filled from the URL."""

    name: str
    """As in the signature, in the path and in the query."""

    annotation: Any
    """What to convert to; ``str`` where the signature says nothing."""

    default: Any = Required
    """The value where the URL has none; ``Required``: the path must have it."""

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
        if self.annotation is str:
            # A convertor of the path ({id:int}) may have made something else of it.
            return value if isinstance(value, str) else str(value)
        return msgspec.convert(value, self.annotation, strict=False)

    def _check(self, owner: str) -> None:
        try:
            msgspec.convert("", self.annotation, strict=False)
        except msgspec.ValidationError:
            return
        except TypeError as error:
            raise ConfigurationError(
                f"{owner}: parameter {self.name!r} must have a type that a URL's text "
                f"converts to, got {self.annotation!r}; {error}"
            ) from error


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
                    f"hooks, got {known.annotation!r} and {parameter.annotation!r}"
                )

    def check_path(self, owner: str, path: str, names: Iterable[str]) -> None:
        """Check that a path has every parameter that has no default.

        Raises:
            ConfigurationError: It lacks one.
        """
        missing = [
            parameter.name
            for parameter in self.parameters.values()
            if parameter.default is Required and parameter.name not in set(names)
        ]
        if missing:
            listed = ", ".join(f"{name!r}" for name in missing)
            raise ConfigurationError(
                f"{owner} asks for {listed}, which must be in the path, got "
                f"{path!r}; add {{{missing[0]}}} to it, or give the parameter a "
                "default to take it from the query, or name in mounted_at= the prefix "
                "that has it"
            )

    def bind(self, path: Mapping[str, Any], query: QueryParams) -> dict[str, Any]:
        """Return ``{name: converted value}`` for all parameters.

        The path comes before the query. Of a repeated query key the last value counts,
        unless the annotation is a list, set or tuple. A default is not converted.

        Raises:
            InvalidParameters: The client's fault; it names every wrong parameter.
        """
        bound: dict[str, Any] = {}
        errors: dict[str, str] = {}
        for name, parameter in self.parameters.items():
            if name in path:
                value = path[name]
            elif name in query and parameter.default is not Required:
                value = query.getlist(name) if parameter.many else query[name]
            elif parameter.default is Required:
                errors[name] = "the path does not have it"
                continue
            else:
                bound[name] = parameter.default
                continue
            try:
                bound[name] = parameter.convert(value)
            except msgspec.ValidationError as error:
                errors[name] = str(error)
        if errors:
            raise InvalidParameters(errors)
        return bound
