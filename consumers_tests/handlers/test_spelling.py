"""What is written in the place of a hook by mistake is told when the class is made."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from consumers import Group, receives, subscribes
from consumers_tests.typed import making, told


class Say(msgspec.Struct, tag="say"):
    text: str


async def on_receive(self: Any, message: str) -> None:
    """Do nothing."""


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("on_recieve", "on_receive"),
        ("on_receives", "on_receive"),
        ("on_conect", "on_connect"),
        ("on_connected", "on_connect"),
        ("on_disconect", "on_disconnect"),
        ("on_handshakes", "on_handshake"),
        ("on_open", "on_connect"),
        ("on_message", "on_receive"),
        ("on_close", "on_disconnect"),
    ],
)
def test_a_hook_is_spelled_as_it_is_called(name: str, meant: str) -> None:
    """A name that is nearly a hook's, or another framework's, would never be called."""
    assert told(**{name: on_receive}) == (
        "Chat: a hook must be one of on_handshake, on_connect, on_receive, "
        f"on_disconnect, on_presence, on_gap, got {name!r}; did you mean {meant!r}?"
    )


@pytest.mark.parametrize("name", ["on_tick", "on_typing", "only_once"])
def test_other_names_are_the_application_s_own(name: str) -> None:
    """A method may begin with `on_` where it resembles no hook."""
    assert making(**{name: on_receive})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("connect", "on_connect"),
        ("receive", "on_receive"),
        ("receive_json", "on_receive"),
        ("disconnect", "on_disconnect"),
    ],
)
def test_a_class_as_channels_has_them_is_told(name: str, meant: str) -> None:
    """Where nothing else would ever be called."""
    assert told(**{name: on_receive}).endswith(f"got {name!r}; did you mean {meant!r}?")


@receives
async def takes(self: Any, message: Say) -> None:
    """Take a message."""


@subscribes(Group("chat"))
async def watches(self: Any) -> None:
    """Let everybody."""


@pytest.mark.parametrize("hook", [on_receive, takes, watches])
def test_with_a_hook_such_names_are_its_own(hook: Callable[..., Any]) -> None:
    """One hook, of whatever kind, shows that the others' names are known."""
    assert making(**{hook.__name__: hook, "connect": on_receive})
