"""A publication: one message to one group, encoded once per codec."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from enum import IntEnum
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import msgspec

from consumers.codecs import Codec, Event, pack
from consumers.errors import MessageNotEncodable, shorten
from consumers.handlers.messages import Internal
from consumers.handshake.connection import process_id
from consumers.queues.policies import DEFAULT_POLICY, Policy

from .presence import PresenceDiff

if TYPE_CHECKING:
    from consumers.history import History, Position

    from .declaration import Group

__all__ = ["Kind", "Publication", "Wire", "size_of"]

_VERSION: Final = 1
_ids = count(1)


class Kind(IntEnum):
    """What a publication is about. Its number travels; it must not change."""

    MESSAGE = 0
    """A message for the members: what users publish."""
    PRESENCE = 1
    """A `PresenceDiff`, for the members' hooks."""
    DISCONNECT = 2
    """``(code, reason)``: the members are to be closed."""
    DIRECT = 3
    """A message for one connection of a process, which ``connection`` names."""
    STOP = 4
    """The group's source is to stop."""
    FREE = 5
    """The group's source has no holder any more."""
    GAP = 6
    """A `Recovery`: publications before the next one are lost. Never travels."""


class Wire(msgspec.Struct, array_like=True, frozen=True):
    """What travels between processes, as a MessagePack array."""

    version: int
    kind: int
    id: str
    connection: str | None
    message: msgspec.Raw


class CarryingWire(Wire, array_like=True, frozen=True):
    """The same with what an observer has put in. Earlier releases do not read that."""

    carrier: dict[str, str] | None = None


_open: Final = msgspec.msgpack.Decoder(CarryingWire).decode
_decode_any: Final = msgspec.msgpack.Decoder().decode
_decode_diff: Final = msgspec.msgpack.Decoder(PresenceDiff).decode


class Publication:
    """One message on its way to the members of a group."""

    __slots__ = (
        "_carrier",
        "_id",
        "_payload",
        "connection",
        "declared",
        "exclude",
        "forms",
        "frames",
        "group",
        "history",
        "idempotency_key",
        "internal",
        "is_plain",
        "kind",
        "message",
        "position",
    )

    def __init__(
        self,
        group: str,
        message: Any,
        exclude: object = None,
        *,
        kind: Kind = Kind.MESSAGE,
        declared: Group | None = None,
        connection: str | None = None,
        idempotency_key: str | None = None,
    ) -> None:
        self.group = group
        """The group's name."""
        self.message = message
        """What was published."""
        self.exclude = exclude
        """The member that does not get it."""
        self.kind = kind
        """What it is about."""
        self.declared = declared
        """What was declared about its group."""
        self.connection = connection
        """The id of the excluded member, or of the one that is meant alone."""
        self.idempotency_key = idempotency_key
        """A second one with this key is not published."""
        self.history: History | None = None
        """What the group keeps of it."""
        self.position: Position | None = None
        """Its own position, once it has one."""
        if declared is not None and kind is Kind.MESSAGE:
            self.history = declared.history
        self.internal = isinstance(message, Internal)
        """Whether no client may get it."""
        self.is_plain = not self.internal and kind in (Kind.MESSAGE, Kind.DIRECT)
        """Whether members send it as it is, where nothing intercepts it."""
        self.forms: dict[Codec, tuple[Event, int]] = {}
        """``{codec: (event, its size)}``, as :meth:`encoded` has made them."""
        self.frames: dict[Hashable, bytes] = {}
        """``{what members share: the frame that they are sent}``."""
        self._id = ""
        self._payload: bytes | None = None

    def __repr__(self) -> str:
        return f"<Publication to {self.group}: {shorten(self.message)}>"

    @property
    def policy(self) -> Policy:
        """What becomes of it where a member reads too slowly."""
        if self.declared is None or self.kind is not Kind.MESSAGE:
            return DEFAULT_POLICY
        return self.declared.outbox

    @property
    def items(self) -> Mapping[Hashable, Any] | None:
        """Of a batch, ``{key: publication}``; ``None``: it is none."""
        return None

    def holding(self, items: Mapping[Hashable, Any]) -> Publication:
        """Return a batch of other items. Only for batches."""
        raise AssertionError(self)

    @property
    def carrier(self) -> dict[str, str] | None:
        """What an observer of the publisher's has put in for those of the members.

        ``{name: value}``, few and small: it travels along, and histories keep it.
        """
        # Not set where it is made: publications have one only for observers.
        return getattr(self, "_carrier", None)

    @carrier.setter
    def carrier(self, carrier: dict[str, str]) -> None:
        self._carrier = carrier

    @property
    def pattern(self) -> str:
        """The pattern of its group: one of few, where names are many.

        ``"undeclared"`` for a plain string; ``"@user"`` and ``"@node"`` for what goes
        to the connections of a user, and to one of them.
        """
        if self.group.startswith("@"):
            return self.group.partition(".")[0]
        return "undeclared" if self.declared is None else self.declared.pattern

    @property
    def transient(self) -> bool:
        """Whether no history keeps it: all but messages."""
        return self.kind is not Kind.MESSAGE

    @property
    def id(self) -> str:
        """What tells it from every other publication of any process."""
        if not self._id:
            self._id = f"{process_id()}.{next(_ids)}"
        return self._id

    def payload(self) -> bytes:
        """Return it as bytes, for other processes.

        Raises:
            MessageNotEncodable: The message has no form in MessagePack.
        """
        if self._payload is None:
            message = msgspec.Raw(pack(self.message))
            fields = (_VERSION, self.kind, self.id, self.connection, message)
            carrier = self.carrier
            wire = Wire(*fields) if carrier is None else CarryingWire(*fields, carrier)
            self._payload = msgspec.msgpack.encode(wire)
        return self._payload

    @staticmethod
    def open(payload: bytes) -> CarryingWire:
        """Return what a payload holds, with its message unread.

        Raises:
            msgspec.MsgspecError: It holds no publication.
            ValueError: It holds one of a later release.
        """
        wire = _open(payload)
        if wire.version != _VERSION:
            raise ValueError(f"expected version {_VERSION}, got {wire.version}")
        return wire

    @classmethod
    def read(
        cls, group: str, wire: CarryingWire, declared: Group | None
    ) -> Publication:
        """Return the publication to ``group`` that was opened.

        Raises:
            msgspec.MsgspecError: Its message is not one that the group sends.
            ValueError: It is of a kind of a later release.
        """
        kind = Kind(wire.kind)
        decode: Callable[[Any], Any] = _decode_any
        if kind is Kind.PRESENCE:
            decode = _decode_diff
        elif declared is not None and kind in (Kind.MESSAGE, Kind.DIRECT):
            decode = declared.decode
        made = cls(
            group,
            decode(wire.message),
            kind=kind,
            declared=declared,
            connection=wire.connection,
        )
        made._id = wire.id
        if wire.carrier is not None:
            made.carrier = wire.carrier
        return made

    def encoded(self, codec: Codec) -> tuple[Event, int]:
        """Return the event for members that get it by ``codec``, and its size in bytes.

        The event is shared between them.

        Raises:
            MessageNotEncodable: The message does not fit; the publisher's fault.
        """
        encoded = self.forms.get(codec)
        if encoded is None:
            if codec.publish is None:
                event = codec.encode(self.message)
            else:
                event = codec.publish(self.group, self.position, self.message)
            encoded = self.forms[codec] = (event, size_of(event))
        return encoded

    def changed(self, message: Any) -> Publication:
        """Return one in its place, with another message, for one member."""
        made = Publication(self.group, message, kind=self.kind, declared=self.declared)
        made.position = self.position
        return made

    def is_before(self, position: Position | None) -> bool:
        """Tell whether who stands at ``position`` has got it."""
        own = self.position
        return (
            own is not None
            and position is not None
            and own.epoch == position.epoch
            and own.offset <= position.offset
        )


def size_of(event: Event) -> int:
    """Return how many bytes of message an event carries.

    Raises:
        MessageNotEncodable: It is a text that has no form in UTF-8.
    """
    text = event.get("text")
    try:
        return len(event["bytes"]) if text is None else len(text.encode())
    except UnicodeEncodeError as error:
        raise MessageNotEncodable(
            f"a text must have a form in UTF-8, got {shorten(text)}; {error}"
        ) from error
