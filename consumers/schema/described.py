"""A plain description of an application: its channels, and what goes over each.

Types are Python's here; `asyncapi` and `typescript` say them in other words.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from operator import or_
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin
from uuid import UUID

from starlette.convertors import (
    FloatConvertor,
    IntegerConvertor,
    PathConvertor,
    UUIDConvertor,
)
from starlette.routing import BaseRoute, Host, Mount, WebSocketRoute, compile_path

from consumers.codecs import Codec
from consumers.consumer import WebSocketConsumer
from consumers.errors import ConfigurationError
from consumers.groups import Group
from consumers.handlers.messages import Internal
from consumers.handlers.params import Parameter, Required
from consumers.handlers.plan import Plan
from consumers.handlers.signatures import read_hints
from consumers.protocol import PROTOCOLS

from .docstrings import Doc, read_doc

__all__ = [
    "Channel",
    "Feed",
    "Handler",
    "PathParameter",
    "describe",
    "name_of",
    "tag_of",
    "types_sent",
    "types_taken",
]

_VIEWS: Final = {"text": str, "bytes": bytes, "json": Any, "msgpack": Any}
"""What a function view gets and sends, by the name of its codec."""

_CONVERTED: Final = {
    IntegerConvertor: int,
    FloatConvertor: float,
    UUIDConvertor: UUID,
}

_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Handler:
    """One method that takes messages."""

    name: str
    """The method."""
    takes: tuple[Any, ...]
    """The types of its messages."""
    doc: Doc
    """What its docstring says."""
    reply: Any = None
    """The type that it returns, or of each item of its stream; ``None``: nothing."""
    streams: bool = False
    """Whether its answer is a stream."""
    answers: bool = False
    """Whether a plain client gets its replies and errors: `on_receive` answers only
    requests of `consumers.v1`, and with nothing."""


@dataclass(frozen=True)
class Feed:
    """Groups that a client may subscribe to."""

    name: str
    """The method that decides who may."""
    group: Group
    """As it was declared."""
    doc: Doc
    """What the method's docstring says."""
    snapshot: Any = None
    """The type of what is sent first; ``None``: nothing."""

    @property
    def publications(self) -> tuple[Any, ...]:
        """The types that are published to them and go to clients."""
        return tuple(
            kind
            for kind in self.group.sends or (Any,)
            if kind is Any or not issubclass(kind, Internal)
        )


@dataclass(frozen=True)
class PathParameter:
    """One name in a path."""

    name: str
    """As in the path's braces."""
    annotation: Any
    """What a consumer makes of it; what the convertor says, where none asks for it."""
    slashes: bool
    """Whether it may have slashes."""


@dataclass(frozen=True)
class Channel:
    """One line of the URL table."""

    name: str
    """Its route's name, unique among the channels."""
    address: str
    """The path, with ``{parameters}``."""
    host: str | None
    """The host that it is at, if the table says so."""
    doc: Doc
    """What the class's, or the view's, docstring says."""
    path: tuple[PathParameter, ...]
    """What the path has, in its order."""
    query: tuple[Parameter, ...]
    """What the query may have."""
    receive: Codec
    """By what it reads messages."""
    send: Codec
    """By what it writes them."""
    protocols: tuple[str, ...]
    """The subprotocols that it speaks."""
    handlers: tuple[Handler, ...]
    """What takes messages, each method once."""
    pushes: tuple[Any, ...]
    """The types that it sends by itself."""
    feeds: tuple[Feed, ...]
    """What clients may subscribe to."""
    positions: bool
    """Whether publications come with their position on the plain wire."""
    authenticates: bool
    """Whether the application tells who connects."""


def describe(app: Any) -> tuple[Channel, ...]:
    """Return the channels of an application with a URL table, in its order.

    Raises:
        ConfigurationError: It has no URL table, or an example in a docstring is wrong.
    """
    routes = getattr(app, "routes", None)
    if not isinstance(routes, Iterable):
        raise ConfigurationError(
            f"an application with a URL table was expected, got {app!r}; "
            "name an App, a Starlette or a FastAPI"
        )
    channels: list[Channel] = []
    taken: set[str] = set()
    for found in _found(routes, _Place(authenticates=_authenticates(app, False))):
        channel = _channel(found, taken)
        taken.add(channel.name)
        channels.append(channel)
    return tuple(channels)


def types_taken(channels: Iterable[Channel]) -> Iterator[Any]:
    """Yield every type that clients send, in messages and in URLs."""
    for channel in channels:
        for handler in channel.handlers:
            yield from handler.takes
        yield from (each.annotation for each in channel.path)
        yield from (each.annotation for each in channel.query)


def types_sent(channels: Iterable[Channel]) -> Iterator[Any]:
    """Yield every type that clients get."""
    for channel in channels:
        yield from (handler.reply for handler in channel.handlers)
        yield from channel.pushes
        for feed in channel.feeds:
            yield from feed.publications
            yield feed.snapshot


def tag_of(kind: Any) -> str | None:
    """Return the tag that tells a type of message from others, if it has one."""
    config = getattr(kind, "__struct_config__", None)
    return config.tag if config is not None and type(config.tag) is str else None


def name_of(kind: Any) -> str:
    """Return what a message is called: by its tag, or else by its type."""
    name = tag_of(kind) or str(getattr(kind, "__name__", "message"))
    return {"Any": "message", "str": "text"}.get(name, name)


@dataclass(frozen=True)
class _Place:
    """Where in the URL table a route is."""

    prefix: str = ""
    names: tuple[str, ...] = ()
    host: str | None = None
    authenticates: bool = False


def _authenticates(app: Any, otherwise: bool) -> bool:
    """Tell who authenticates: of nested applications the innermost."""
    if hasattr(app, "authenticate"):
        return app.authenticate is not None
    return otherwise


@dataclass(frozen=True)
class _Found:
    """A route to a consumer class."""

    consumer: type[WebSocketConsumer]
    path: str
    name: str
    place: _Place


def _found(routes: Iterable[BaseRoute], place: _Place) -> Iterator[_Found]:
    for route in routes:
        if isinstance(route, Mount | Host):
            names = (*place.names, route.name) if route.name else place.names
            inner = _Place(
                place.prefix + (route.path if isinstance(route, Mount) else ""),
                names,
                route.host if isinstance(route, Host) else place.host,
                _authenticates(route.app, place.authenticates),
            )
            yield from _found(route.routes or (), inner)
        elif isinstance(route, WebSocketRoute):
            if not getattr(route, "include_in_schema", True):
                continue
            consumer = getattr(route, "consumer", route.endpoint)
            if isinstance(consumer, type) and issubclass(consumer, WebSocketConsumer):
                path = place.prefix + route.path
                yield _Found(consumer, path, route.name, place)


def _channel(found: _Found, taken: set[str]) -> Channel:
    consumer = found.consumer
    plan = consumer.prepare()
    _, address, convertors = compile_path(found.path)
    parameters = plan.binder.parameters
    wanted = _NOT_IN_NAMES.sub("_", "-".join([*found.place.names, found.name]))
    return Channel(
        name=_unique(wanted.strip("_") or "channel", taken),
        address=address,
        host=found.place.host,
        doc=_doc_of(consumer.__qualname__, consumer, WebSocketConsumer),
        path=tuple(
            PathParameter(
                name,
                parameters[name].annotation
                if name in parameters
                else _CONVERTED.get(type(convertor), str),
                isinstance(convertor, PathConvertor),
            )
            for name, convertor in convertors.items()
        ),
        query=tuple(
            each
            for name, each in parameters.items()
            if name not in convertors and each.default is not Required
        ),
        receive=plan.receive,
        send=plan.send,
        protocols=tuple(PROTOCOLS) if plan.speaks else (),
        handlers=tuple(_handlers(consumer, plan)),
        pushes=_pushes(plan),
        feeds=tuple(_feeds(consumer, plan)),
        positions=consumer.positions,
        authenticates=found.place.authenticates,
    )


def _unique(name: str, taken: set[str]) -> str:
    number, made = 1, name
    while made in taken:
        number += 1
        made = f"{name}{number}"
    return made


def _doc_of(owner: str, thing: Any, base: type | None = None) -> Doc:
    """Read a docstring of its own: `inspect.getdoc` would give that of a base class."""
    text = thing.__doc__
    return read_doc(owner, None if base is not None and text == base.__doc__ else text)


def _handlers(consumer: type[WebSocketConsumer], plan: Plan) -> Iterator[Handler]:
    seen = set()
    for receiver in plan.receivers.values():
        if receiver.name in seen:  # one method for a union of types
            continue
        seen.add(receiver.name)
        doc = read_doc(f"{consumer.__qualname__}.{receiver.name}", receiver.doc)
        yield Handler(
            receiver.name,
            receiver.types,
            doc,
            receiver.reply,
            receiver.streams,
            answers=True,
        )
    if plan.on_receive is not None:
        (annotation,) = plan.on_receive.given.values()
        doc = _doc_of(plan.on_receive.owner, consumer.on_receive)
        yield Handler("on_receive", _options(_said(annotation)), doc)
    elif _is_view(plan) and plan.receive.name in _VIEWS:
        yield Handler("receive", (_VIEWS[plan.receive.name],), Doc())


def _pushes(plan: Plan) -> tuple[Any, ...]:
    if _is_view(plan) and plan.send.name in _VIEWS:
        return (_VIEWS[plan.send.name],)
    return plan.sends or ()


def _is_view(plan: Plan) -> bool:
    """Tell whether a function serves the connection, whose messages nobody declares."""
    return plan.on_connect is not None and "ws" in plan.on_connect.given


def _options(annotation: Any) -> tuple[Any, ...]:
    """Return the types of a union, each of which is a message of its own."""
    union = get_origin(annotation) in (Union, UnionType)
    return get_args(annotation) if union else (annotation,)


def _feeds(consumer: type[WebSocketConsumer], plan: Plan) -> Iterator[Feed]:
    for group, subscriber in plan.subscribers.items():
        method = getattr(consumer, subscriber.name)
        doc = _doc_of(subscriber.signature.owner, method)
        hint = read_hints(method, {}).get("return", Any)
        yield Feed(subscriber.name, group, doc, _without_none(hint))


def _without_none(annotation: Any) -> Any:
    """Return what a snapshot is if there is one; ``None``: there never is."""
    rest = [kind for kind in _options(annotation) if kind not in (None, NoneType)]
    return reduce(or_, rest) if rest else None


def _said(annotation: Any) -> Any:
    """Return an annotation, ``Any`` where there is none."""
    return Any if annotation is inspect.Parameter.empty else annotation
