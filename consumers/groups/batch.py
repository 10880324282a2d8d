"""A batch: several publications to one group that are sent as one message."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from consumers.codecs import Codec, Event
from consumers.errors import MessageNotEncodable

from .publication import Publication, size_of

if TYPE_CHECKING:
    from consumers.history import Position

    from .hub import Member

__all__ = ["Batch"]

log = logging.getLogger("consumers")


class Batch(Publication):
    """The latest publications of a group by their keys, in the order of publishing.

    Each item is encoded once per codec, whatever batches it is part of. The position of
    a batch is that of its last item.
    """

    __slots__ = ("_connections", "_items", "_members")

    def __init__(self, items: Mapping[Hashable, Publication]) -> None:
        """Make one of ``{key: publication}``, which are at least one."""
        *_, last = items.values()
        super().__init__(
            last.group,
            [item.message for item in items.values()],
            declared=last.declared,
        )
        self.position = last.position
        self._items = items
        # Who does not get all of it.
        self._members = {
            id(item.exclude) for item in items.values() if item.exclude is not None
        }
        self._connections = {
            item.connection for item in items.values() if item.connection is not None
        }

    @property
    def items(self) -> Mapping[Hashable, Publication]:
        """The items by their keys."""
        return self._items

    def holding(self, items: Mapping[Hashable, Any]) -> Batch:
        """Return a batch of other items."""
        return Batch(items)

    def parts_for(self, member: Member) -> Iterable[Publication]:
        """Return what a member is to get: a batch, or the items one by one."""
        own: Batch | None = self
        name = member.id if self._connections else None
        if id(member) in self._members or name in self._connections:
            own = self._only(
                (key, item)
                for key, item in self._items.items()
                if item.exclude is not member
                and (item.connection is None or item.connection != name)
            )
        if own is None:
            return ()
        return (own,) if member.takes_batches else own.items.values()

    def after(self, position: Position | None) -> Batch | None:
        """Return what is left without that which is not after ``position``."""
        if position is None:
            return self
        return self._only(
            (key, item)
            for key, item in self._items.items()
            if not item.is_before(position)
        )

    def _only(self, items: Iterable[tuple[Hashable, Publication]]) -> Batch | None:
        left = dict(items)
        if len(left) == len(self._items):
            return self
        return Batch(left) if left else None

    def encoded(self, codec: Codec) -> tuple[Event, int]:
        """Return the event for members that get it by ``codec``, and its size in bytes.

        An item that the codec can't send is left out, and logged.

        Raises:
            MessageNotEncodable: It can send none of them.
        """
        encoded = self.forms.get(codec)
        if encoded is None:
            event = self._joined(codec)
            encoded = self.forms[codec] = (event, size_of(event))
        return encoded

    def _joined(self, codec: Codec) -> Event:
        assert codec.join is not None
        events: list[Event] = []
        error: MessageNotEncodable | None = None
        for item in self._items.values():
            try:
                events.append(item.encoded(codec)[0])
            except MessageNotEncodable as unencodable:
                error = unencodable
                log.error("a publication to %s is dropped: %s", self.group, error)
        if error is not None and not events:
            raise error
        return codec.join(events)
