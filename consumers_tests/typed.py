"""What tests of handlers share: types of messages, and classes made of methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from consumers import ConfigurationError, WebSocketConsumer
from consumers.handlers.receivers import Receiver


class Say(msgspec.Struct, tag="say"):
    text: str


class Ask(msgspec.Struct, tag="ask"):
    text: str
    room: str = ""


class Receipt(msgspec.Struct, tag="receipt"):
    number: int


async def provided() -> str:
    """Stand for what a provider makes."""
    return "provided"


def making(*methods: Callable[..., Any], **attributes: Any) -> type[WebSocketConsumer]:
    """Make the class `Chat` with these methods."""
    named = {method.__name__: method for method in methods}
    return type("Chat", (WebSocketConsumer,), {**named, **attributes})


def read(*methods: Callable[..., Any], **attributes: Any) -> dict[str, Receiver]:
    """Return ``{tag: receiver}`` of a class with these methods."""
    receivers = making(*methods, **attributes).prepare().receivers
    return {
        str(kind.__struct_config__.tag): receiver
        for kind, receiver in receivers.items()
    }


def told(*methods: Callable[..., Any], **attributes: Any) -> str:
    """Return what making the class raises."""
    with pytest.raises(ConfigurationError) as caught:
        making(*methods, **attributes)
    return str(caught.value)
