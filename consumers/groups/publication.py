"""A publication: one message to one group, encoded once per codec."""

from __future__ import annotations

from typing import Any

from consumers.codecs import Codec, Event
from consumers.errors import MessageNotEncodable, shorten
from consumers.messages import Internal

__all__ = ["Publication"]


class Publication:
    """One message on its way to the members of a group."""

    __slots__ = ("_encoded", "exclude", "group", "internal", "message")

    def __init__(self, group: str, message: Any, exclude: object = None) -> None:
        self.group = group
        """The group's name."""
        self.message = message
        """What was published."""
        self.exclude = exclude
        """The member that does not get it."""
        self.internal = isinstance(message, Internal)
        """Whether no client may get it."""
        self._encoded: dict[Codec, tuple[Event, int]] = {}

    def encoded(self, codec: Codec) -> tuple[Event, int]:
        """Return the event for members that send by ``codec``, and its size in bytes.

        The event is shared between them.

        Raises:
            MessageNotEncodable: The message does not fit; the publisher's fault.
        """
        encoded = self._encoded.get(codec)
        if encoded is None:
            event = codec.encode(self.message)
            text = event.get("text")
            try:
                size = len(event["bytes"]) if text is None else len(text.encode())
            except UnicodeEncodeError as error:
                raise MessageNotEncodable(
                    f"a text must have a form in UTF-8, got {shorten(text)}; {error}"
                ) from error
            encoded = self._encoded[codec] = (event, size)
        return encoded
