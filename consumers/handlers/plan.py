"""What a consumer class asks for, read and checked once, when the class is made."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, get_args

import msgspec

from consumers.codecs import Codec, only, with_positions
from consumers.errors import ConfigurationError
from consumers.handshake.allow import Rule, rules_of
from consumers.limits import DEFAULT_SHAPE
from consumers.protocol.reading import FrameReader, PlainReader
from consumers.protocol.writing import FRAMED, Plain
from consumers.shape import Shape

from .attributes import attributes_beside, check_is_async, check_is_own
from .messages import Receiving, codecs_of, is_interceptor, receiving_of
from .params import Binder
from .providers import Provider, in_scope
from .receivers import (
    Receiver,
    check_encodable,
    message_of,
    read_receivers,
    receiver_of_all,
)
from .settings import SETTINGS
from .signatures import Signature, all_providers, read_signature
from .spelling import HOOKS, check_has_hooks, check_spelling
from .subscribers import Subscriber, read_subscribers

__all__ = ["HOOKS", "Plan", "make_plan"]

# What the runtime passes to them by position.
_GIVEN: Final = {
    "on_receive": ("message",),
    "on_disconnect": ("code",),
    "on_presence": ("group", "diff"),
    "on_gap": ("group", "recovery"),
}
# What a class may have of its own that is not used before the first message, and what
# is, though the framework has none of its own.
_ASKED_LATER: Final = {
    *("on_receive", "on_disconnect", "on_presence", "on_gap", *SETTINGS),
    *("_namespace", "_plan", "_publish_codec", "_receive_codec", "_send_codec"),
    *("_abc_impl", "_origins"),
}
_ASKED: Final = {
    *("__init__", "__new__", "__await__"),
    *("__getattr__", "__getattribute__", "__setattr__"),
}


@dataclass(frozen=True)
class Plan:
    """What the runtime has to know of a consumer class."""

    receive: Codec
    """By what it reads messages."""
    send: Codec
    """By what it writes messages."""
    publish: Codec
    """By what it writes publications."""
    binder: Binder
    """What it takes from the URL."""
    on_handshake: Signature | None
    """``None``, here and below: the class does not have the hook."""
    on_connect: Signature | None
    on_receive: Signature | None
    on_disconnect: Signature | None
    receiving: Receiving
    """How ``on_receive`` is called."""
    interceptors: Mapping[type, str]
    """``{type of publication: method}``."""
    providers: tuple[Provider, ...]
    """All that its hooks need, what is needed first coming first."""
    on_presence: Signature | None = None
    on_gap: Signature | None = None
    subscribers: Mapping[Any, Subscriber] = field(default_factory=dict)
    """``{declared group: method}``, of those that clients may subscribe to."""
    receivers: Mapping[type[msgspec.Struct], Receiver] = field(default_factory=dict)
    """``{type of message: method}``; empty where ``on_receive`` takes all of them."""
    sends: tuple[type, ...] | None = None
    """What may be sent; ``None``: anything."""
    message: Any = None
    """What messages are annotated as; ``None``: anything, of the codec's."""
    any_receiver: Receiver | None = None
    """``on_receive``, where it takes all messages."""
    speaks: bool = False
    """Whether it can speak `consumers.v1`: that carries what has a form in JSON."""
    allow: tuple[Rule, ...] = ()
    """Who may connect; all of them must say so."""
    begins_idle: bool = False
    """Whether no code of the application's runs for a connection before its first
    message, unless it authenticates."""
    owner: str = ""
    """The class's name, for errors."""
    _frame_readers: dict[Any, FrameReader] = field(default_factory=dict, init=False)
    _readers: dict[Shape, PlainReader] = field(default_factory=dict, init=False)

    @cached_property
    def holds_providers(self) -> bool:
        """Whether something that it needs has a teardown when the connection ends."""
        return any(each.is_generator for each in self.providers_of("connection"))

    def frame_reader(self, name: str, shape: Shape = DEFAULT_SHAPE) -> FrameReader:
        """Return what reads the frames of `consumers.v1` by a codec, made once."""
        reader = self._frame_readers.get((name, shape))
        if reader is None:
            kinds = [kind.__struct_config__ for kind in self.receivers]
            tag = next((kind.tag_field for kind in kinds), None) or ""
            tags = [kind.tag for kind in kinds]
            annotation = Any if self.message is None else self.message
            reader = FrameReader(name, annotation, (tag, tags), shape)
            self._frame_readers[name, shape] = reader
        return reader

    def framed(self, name: str) -> Codec:
        """Return what writes messages as frames of `consumers.v1`."""
        codec = FRAMED[name]
        return codec if self.sends is None else only(codec, self.sends, self.owner)

    @cached_property
    def quick(self) -> Mapping[type, str]:
        """``{type of message: method}`` of those that need nothing but the message."""
        return {
            kind: receiver.name
            for kind, receiver in self.receivers.items()
            if receiver.is_plain
        }

    @cached_property
    def answers(self) -> Plain:
        """What writes answers, where no subprotocol is spoken."""
        return Plain(self.send)

    def reader(self, shape: Shape = DEFAULT_SHAPE) -> PlainReader:
        """Return what reads its methods' messages, where no subprotocol is spoken."""
        if shape not in self._readers:
            reader = PlainReader(self.receive, tuple(self.receivers), shape)
            self._readers[shape] = reader
        return self._readers[shape]

    def providers_of(self, scope: str) -> tuple[Provider, ...]:
        """Return the providers of one scope, what is needed first coming first."""
        return in_scope(self.providers, scope)


def make_plan(cls: type, base: type, namespace: Mapping[str, Any]) -> Plan:
    """Read a consumer class.

    Args:
        cls: The class.
        base: The framework's own class, whose hooks do nothing.
        namespace: Local names that annotations may use.

    Raises:
        ConfigurationError: Something about the class can't work.
        NameError: An annotation names what is not defined yet.
    """
    check_spelling(cls)
    _check_init(cls)
    hooks: dict[str, Signature | None] = {}
    for name in HOOKS:
        hook = inspect.getattr_static(cls, name, None)
        if hook is None or hook is inspect.getattr_static(base, name, None):
            hooks[name] = None
            continue
        hooks[name] = _read_hook(cls, name, hook, namespace)
    receiving = Receiving()
    annotation: Any = None
    if (on_receive := hooks["on_receive"]) is not None:
        written = inspect.getattr_static(cls, "on_receive")
        receiving = receiving_of(written, on_receive.owner)
        annotation = next(iter(on_receive.given.values()))
    receivers = read_receivers(cls, base, namespace)
    if receivers:
        annotation = message_of(receivers)
        if on_receive is not None:
            raise ConfigurationError(
                f"{cls.__qualname__} must have either on_receive, which takes all "
                "messages, or @receives methods for each type of them, got both "
                f"({next(iter(receivers.values())).name}); leave one out"
            )
    receive, send = codecs_of(
        cls.__qualname__,
        annotation,
        getattr(cls, "value_type", None),
        getattr(cls, "receive_type", None),
        getattr(cls, "send_type", None),
    )
    if receivers and send.name not in ("json", "msgpack"):
        raise ConfigurationError(
            f"{cls.__qualname__}: @receives methods answer in 'json' or 'msgpack', got "
            f"send_type {send.name!r}; leave it out, and use send_text or send_bytes "
            "for the rest"
        )
    any_receiver: Receiver | None = None
    if on_receive is not None:
        any_receiver = receiver_of_all(on_receive, receiving)
    publish = send
    if getattr(cls, "positions", False):
        try:
            publish = with_positions(send)
        except ConfigurationError as error:
            raise ConfigurationError(f"{cls.__qualname__}: {error}") from error
    sends = _sends(cls)
    if sends is not None:
        send = only(send, sends, cls.__qualname__)
    subscribers = read_subscribers(cls, base, namespace)
    check_has_hooks(cls, [*hooks.values(), *receivers, *subscribers])
    allow = rules_of(inspect.getattr_static(cls, "allow", None))
    signatures = [signature for signature in hooks.values() if signature is not None]
    signatures += [subscriber.signature for subscriber in subscribers.values()]
    signatures += [receiver.signature for receiver in receivers.values()]
    return Plan(
        receive=receive,
        send=send,
        publish=publish,
        binder=Binder(
            parameter
            for name in ("on_handshake", "on_connect")
            if (signature := hooks[name]) is not None
            for parameter in signature.parameters
        ),
        receiving=receiving,
        interceptors=_interceptors(cls, base, namespace),
        subscribers=subscribers,
        receivers=receivers,
        sends=sends,
        owner=cls.__qualname__,
        message=_message(annotation, receive),
        any_receiver=any_receiver,
        allow=allow,
        begins_idle=not allow and _begins_idle(cls, base),
        speaks={receive.name, send.name} <= {"json", "msgpack", "text"},
        providers=all_providers(signatures),
        **hooks,
    )


def _read_hook(
    cls: type, name: str, hook: Any, namespace: Mapping[str, Any]
) -> Signature:
    owner = f"{cls.__qualname__}.{name}"
    if not inspect.isfunction(hook):
        raise ConfigurationError(
            f"{owner} must be a method, got {hook!r}; write 'async def {name}(self)'"
        )
    if inspect.isasyncgenfunction(hook):
        raise ConfigurationError(
            f"{owner} must not yield, got an async generator; await self.send(...) for "
            "each item, or answer with a stream by a @receives method"
        )
    if name == "on_receive":
        receiving_of(hook, owner)
    else:
        check_is_async(owner, hook, f"async def {name}(self)")
    given = _GIVEN.get(name, ())
    signature = read_signature(
        hook,
        owner,
        given=("self", *given),
        from_url=name in ("on_handshake", "on_connect"),
        namespace=namespace,
    )
    return Signature(
        owner,
        {name: hint for name, hint in signature.given.items() if name != "self"},
        signature.parameters,
        signature.providers,
        signature.dependencies,
    )


def _interceptors(
    cls: type, base: type, namespace: Mapping[str, Any]
) -> dict[type, str]:
    found: dict[type, str] = {}
    for name, method in attributes_beside(base, cls).items():
        if not is_interceptor(method):
            continue
        owner = f"{cls.__qualname__}.{name}"
        check_is_own(owner, name, base)
        check_is_async(
            owner, method, f"async def {name}(self, publication: T) -> T | None"
        )
        more = list(inspect.signature(method).parameters.values())[2:]
        if any(each.default is each.empty for each in more):
            raise _not_alone(owner, more)
        signature = read_signature(
            method, owner, given=("self", "publication"), namespace=namespace
        )
        if not signature.is_plain:
            raise _not_alone(owner, more)
        annotation = list(signature.given.values())[1]
        for kind in get_args(annotation) or (annotation,):
            if not isinstance(kind, type) or kind is inspect.Parameter.empty:
                raise ConfigurationError(
                    f"{owner} must say by a class, or a union of classes, which "
                    f"publications it takes, got {annotation!r}; "
                    f"write {name}(self, publication: Said)"
                )
            if found.setdefault(kind, name) != name:
                raise ConfigurationError(
                    f"{cls.__qualname__} must have one method per publication type, "
                    f"got {found[kind]!r} and {name!r} for {kind.__name__}"
                )
    return found


def _not_alone(owner: str, more: list[inspect.Parameter]) -> ConfigurationError:
    return ConfigurationError(
        f"{owner} must take 'self' and 'publication' alone, got "
        f"{[each.name for each in more]!r} too; ask for it in on_connect, and keep it "
        "on self"
    )


def _begins_idle(cls: type, base: type) -> bool:
    own = attributes_beside(base, cls).keys() - _ASKED_LATER
    known = (name for name in own if not name.startswith("__"))
    asked = not own.isdisjoint(_ASKED) or any(hasattr(base, name) for name in known)
    return not asked and bool(getattr(cls, "auto_accept", True))


def _message(annotation: Any, receive: Codec) -> Any:
    """Return what a message is, for a decoder of frames around it."""
    if receive.name == "text":
        return str
    return None if annotation is inspect.Parameter.empty else annotation


def _sends(cls: type) -> tuple[type, ...] | None:
    sends = getattr(cls, "sends", None)
    if sends is None:
        return None
    kinds: tuple[Any, ...] = get_args(sends) or (sends,)
    if not all(isinstance(kind, type) for kind in kinds):
        raise ConfigurationError(
            f"{cls.__qualname__}: sends must be a class, or a union of classes, got "
            f"{sends!r}; write sends = Said | Joined"
        )
    check_encodable(cls.__qualname__, sends, "what it sends")
    return kinds


def _check_init(cls: type) -> None:
    """Check that an ASGI server can make an instance."""
    if "__init__" not in vars(cls):
        return
    signature = inspect.signature(vars(cls)["__init__"])
    try:
        signature.bind("self", "scope", "receive", "send")
    except TypeError as error:
        raise ConfigurationError(
            f"{cls.__qualname__}.__init__ must take the arguments of an ASGI "
            f"application, got {signature}; write __init__(self, scope, receive, "
            "send), or begin in on_connect"
        ) from error
