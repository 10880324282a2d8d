"""Receivers: the methods of a class that `@receives` marks, read and checked once."""

from __future__ import annotations

import inspect
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Hashable,
    Iterable,
    Mapping,
)
from dataclasses import dataclass
from functools import reduce
from operator import or_
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

import msgspec

from consumers.errors import ConfigurationError

from .attributes import attributes_beside, check_is_own
from .messages import Receiving, check_kind, marked_by
from .providers import provider_of
from .signatures import Signature, is_named, read_hints, read_signature

__all__ = [
    "Receiver",
    "check_encodable",
    "message_of",
    "read_receivers",
    "receiver_of_all",
    "union_of",
]

_ITERATORS: Final = (AsyncIterator, AsyncGenerator, AsyncIterable)


@dataclass(frozen=True)
class Receiver:
    """One method that is called with messages."""

    name: str
    """The method's."""
    types: tuple[type[msgspec.Struct], ...]
    """The messages that it takes."""
    fields: tuple[str, ...] | None
    """Of its one type, those that are passed by name; ``None``: the message is passed
    itself."""
    signature: Signature
    """What else it asks for."""
    receiving: Receiving
    """How it is called."""
    reply: Any
    """The type of what it returns, or of a stream's items; ``None``: nothing."""
    streams: bool
    """Whether it answers with a stream."""
    doc: str
    """Its docstring."""

    @property
    def is_plain(self) -> bool:
        """Whether a call is ``await method(message)``, and nothing else."""
        receiving = self.receiving
        return (
            self.fields is None
            and self.signature.is_plain
            and not self.streams
            and not receiving.thread
            and receiving.timeout is None
            and receiving.concurrency is None
        )

    def key_of(self, message: Any) -> Hashable:
        """Return what messages have in common that are handled one after another."""
        key = self.receiving.key
        if key is None:
            return None
        value = getattr(message, key) if isinstance(key, str) else key(message)
        try:
            hash(value)
        except TypeError:  # a list, say: what is written alike is alike
            return repr(value)
        return value


def union_of(types: Iterable[Any]) -> Any:
    """Return the union of types."""
    return reduce(or_, types)


def message_of(receivers: Mapping[type[msgspec.Struct], Receiver]) -> Any:
    """Return what messages are, for a decoder."""
    kinds = list(receivers)
    if len(kinds) > 1 or kinds[0].__struct_config__.array_like:
        return union_of(kinds)
    # Where there is but one type, msgspec takes objects without a tag for it, and so
    # what cancels a message. There is a second one then, which no message fits.
    field = kinds[0].__struct_config__.tag_field
    nothing = ("nothing", Annotated[int, msgspec.Meta(gt=0, lt=0)])
    other = msgspec.defstruct("Other", [nothing], tag="", tag_field=field)
    return union_of([*kinds, other])


def read_receivers(
    cls: type, base: type, namespace: Mapping[str, Any]
) -> dict[type[msgspec.Struct], Receiver]:
    """Return ``{type of message: what takes it}``.

    Args:
        cls: The consumer class.
        base: The framework's own, whose names no method may have.
        namespace: Local names that annotations may use.

    Raises:
        ConfigurationError: The methods can't work, or not together.
        NameError: An annotation names what is not defined yet.
    """
    found: dict[type[msgspec.Struct], Receiver] = {}
    for name, method in attributes_beside(base, cls).items():
        receiving = _marked_in(cls, name, method)
        if receiving is None or name == "on_receive":
            continue
        receiver = _read(cls, base, name, receiving, namespace)
        for kind in receiver.types:
            if kind in found:
                raise ConfigurationError(
                    f"{cls.__qualname__} must have one method per type of message, got "
                    f"{found[kind].name!r} and {name!r} for {kind.__name__}"
                )
            found[kind] = receiver
    _check_tags(cls, found)
    return found


def receiver_of_all(signature: Signature, receiving: Receiving) -> Receiver:
    """Return ``on_receive`` as what takes all messages."""
    return Receiver("on_receive", (), None, signature, receiving, Any, False, "")


def _marked_in(cls: type, name: str, method: Any) -> Receiving | None:
    """Return what was said of a method, there or where it was first defined.

    A subclass that overrides one need not say it again.
    """
    if not inspect.isfunction(method):
        return None
    for base in cls.__mro__:
        if name in vars(base):
            receiving = marked_by(vars(base)[name])
            if receiving is not None:
                return receiving
    return None


def _read(
    cls: type,
    base: type,
    name: str,
    receiving: Receiving,
    namespace: Mapping[str, Any],
) -> Receiver:
    method = inspect.getattr_static(cls, name)
    owner = f"{cls.__qualname__}.{name}"
    check_is_own(owner, name, base)
    check_kind(method, receiving)  # it may have been overridden by another
    hints = read_hints(method, namespace)
    if "return" in inspect.get_annotations(method) and "return" not in hints:
        raise NameError(f"the return type of {owner}")
    fields: tuple[str, ...] | None = None
    if receiving.tag is None:
        signature = read_signature(
            method, owner, given=("self", "message"), namespace=namespace
        )
        types = _types(owner, list(signature.given.values())[1])
    else:
        fields = _fields(method, hints)
        signature = read_signature(
            method, owner, given=("self", *fields), namespace=namespace
        )
        types = (_message_of(owner, method, receiving.tag, fields, hints),)
    if isinstance(receiving.key, str):
        _check_key(owner, receiving.key, types)
    streams = inspect.isasyncgenfunction(method)
    return Receiver(
        name=name,
        types=types,
        fields=fields,
        signature=signature,
        receiving=receiving,
        reply=_reply(owner, hints.get("return", Any), streams),
        streams=streams,
        doc=inspect.getdoc(method) or "",
    )


def _types(owner: str, annotation: Any) -> tuple[type[msgspec.Struct], ...]:
    """Return the types of message that an annotation names."""
    union = get_origin(annotation) in (Union, UnionType)
    kinds = get_args(annotation) if union else (annotation,)
    for kind in kinds:
        if not isinstance(kind, type) or not issubclass(kind, msgspec.Struct):
            unsaid = kind is inspect.Parameter.empty
            got = "none" if unsaid else repr(annotation)
            raise ConfigurationError(
                f"{owner} must say by a msgspec.Struct, or a union of them, which "
                f"messages it takes, got {got}; write class Say("
                "msgspec.Struct, tag='say'), or @receives('say') and the message's "
                "fields as parameters"
            )
        if kind.__struct_config__.tag is None:
            raise ConfigurationError(
                f"{owner}: a message's type must have a tag that tells it from others, "
                f"got {kind.__name__}; write class {kind.__name__}(msgspec.Struct, "
                f"tag={kind.__name__.lower()!r})"
            )
    return kinds


def _fields(method: Any, hints: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the leading parameters that a message fills: all but the providers."""
    names = []
    for argument in list(inspect.signature(method).parameters.values())[1:]:
        if provider_of(hints.get(argument.name)) is not None:
            break
        names.append(argument.name)
    return tuple(names)


def _message_of(
    owner: str,
    method: Any,
    tag: str,
    fields: tuple[str, ...],
    hints: Mapping[str, Any],
) -> type[msgspec.Struct]:
    """Make the type of message whose fields are a method's parameters."""
    arguments = inspect.signature(method).parameters
    parts: list[Any] = []
    for name in fields:
        argument = arguments[name]
        if not is_named(argument):
            raise ConfigurationError(
                f"{owner}: a message's fields are passed by name, got {argument}; "
                "name each one, without '/'"
            )
        hint = hints.get(name, Any)
        if argument.default is inspect.Parameter.empty:
            parts.append((name, hint))
        else:
            parts.append((name, hint, _default(argument.default)))
    try:
        return msgspec.defstruct(
            method.__name__,
            parts,
            tag=tag,
            kw_only=True,
            module=method.__module__,
            namespace={"__doc__": inspect.getdoc(method)},
        )
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"{owner}: the parameters must make a message, got {list(fields)}; {error}"
        ) from error


def _default(value: Any) -> Any:
    """Return a default as msgspec takes it: a mutable one is copied for each."""
    if isinstance(value, list | dict | set | bytearray) and value:
        return msgspec.field(default_factory=value.copy)
    return value


def _check_key(owner: str, key: str, types: Iterable[type[msgspec.Struct]]) -> None:
    for kind in types:
        if key not in kind.__struct_fields__:
            raise ConfigurationError(
                f"{owner}: key must name a field of {kind.__name__}, got {key!r}; its "
                f"fields are {', '.join(kind.__struct_fields__) or 'none'}"
            )


def _reply(owner: str, annotation: Any, streams: bool) -> Any:
    """Return the type of a method's reply, or of its stream's items."""
    if get_origin(annotation) in _ITERATORS or annotation in _ITERATORS:
        if not streams:
            raise ConfigurationError(
                f"{owner} must be an async generator to answer with a stream, got "
                f"'async def' that returns {annotation!r}; yield the items in it"
            )
        annotation = (get_args(annotation) or (Any,))[0]
    elif streams and annotation is not Any:
        raise ConfigurationError(
            f"{owner} yields, so it must be annotated with what it yields, got "
            f"{annotation!r}; write -> AsyncIterator[{_name(annotation)}]"
        )
    if annotation is None or annotation is type(None):
        return None
    check_encodable(owner, annotation, "its reply")
    return annotation


def _name(annotation: Any) -> str:
    return getattr(annotation, "__name__", None) or repr(annotation)


def check_encodable(owner: str, annotation: Any, what: str) -> None:
    """Check that values of a type can be sent.

    Raises:
        ConfigurationError: They have no form in JSON and MessagePack.
    """
    if annotation is Any:
        return
    try:
        strange = _strangers(msgspec.inspect.type_info(annotation), set())
    except TypeError as error:
        raise ConfigurationError(
            f"{owner}: {what} must be of a type that can be encoded, got "
            f"{annotation!r}; {error}"
        ) from error
    for kind in strange:
        raise ConfigurationError(
            f"{owner}: {what} must be of a type that can be encoded, got "
            f"{_name(kind)} in {annotation!r}; use a msgspec.Struct, a dataclass or "
            "builtins"
        )


def _strangers(info: Any, seen: set[int]) -> list[Any]:
    """Return the types in a description that have no form of their own."""
    if id(info) in seen:
        return []
    seen.add(id(info))
    if isinstance(info, msgspec.inspect.CustomType):
        known = hasattr(info.cls, "model_dump") or info.cls.__name__ == "Position"
        return [] if known else [info.cls]
    if isinstance(info, list | tuple):
        return [kind for each in info for kind in _strangers(each, seen)]
    if isinstance(info, msgspec.inspect.Type | msgspec.inspect.Field):
        return [
            kind
            for name in info.__struct_fields__
            if name not in ("default", "default_factory", "cls", "extra")
            for kind in _strangers(getattr(info, name), seen)
        ]
    return []


def _check_tags(cls: type, found: Mapping[type[msgspec.Struct], Receiver]) -> None:
    """Check that a message tells by its tag which method it is for."""
    seen: dict[object, type[msgspec.Struct]] = {}
    names = {kind.__struct_config__.tag_field for kind in found}
    if len(names) > 1:
        raise ConfigurationError(
            f"{cls.__qualname__}: all messages must have their tag in one field, got "
            f"{', '.join(sorted(map(repr, names)))}; leave tag_field out"
        )
    for kind in found:
        tag = kind.__struct_config__.tag
        if type(tag) is not str:
            raise ConfigurationError(
                f"{cls.__qualname__}: a message's tag must be a text, got {tag!r} of "
                f"{kind.__name__}; write tag={kind.__name__.lower()!r}"
            )
        other = seen.setdefault(tag, kind)
        if other is not kind:
            raise ConfigurationError(
                f"{cls.__qualname__}: each type of message must have a tag of its own, "
                f"got {tag!r} for {other.__name__} ({found[other].name}) and "
                f"{kind.__name__} ({found[kind].name}); change one"
            )
