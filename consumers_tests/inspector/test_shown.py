"""What is shown of a message, and what is not."""

import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.inspector.shown import HIDDEN, show, show_text

SECRET = "s3cr3t-0f-ours"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2lnbmF0dXJlLW9m"


@pytest.mark.parametrize(
    "name",
    [
        *("token", "access_token", "refreshToken", "PASSWD", "client_secret", "apiKey"),
        *("Authorization", "sessionid", "set-cookie", "credentials", "otp", "x-csrf"),
    ],
)
def test_secrets_by_name(name: str) -> None:
    """What a field's name says is a secret is hidden, however deep and in any form."""
    message = {"of": [{name: SECRET, "text": "hello"}, {name: {"inner": SECRET}}]}

    for shown in (
        show(msgspec.json.encode(message).decode()),
        show(msgspec.msgpack.encode(message)),
        show(f"/path?{name}={SECRET}&text=hello"),
        show(f"{name}: {SECRET}\ntext: hello"),
        show(f'{{"text": "hello", "{name}": "{SECRET}'),
    ):
        assert SECRET not in shown
        assert HIDDEN in shown
        assert "hello" in shown


@pytest.mark.parametrize("text", [JWT, f"Bearer {SECRET}", f"basic {SECRET}"])
def test_secrets_by_their_looks(text: str) -> None:
    """Tokens are known where no name tells: in a list, or in the middle of a text."""
    for message in (text, f'["{text}"]', f"see {text} there"):
        shown = show(message)

        assert SECRET not in shown
        assert "eyJ" not in shown


def test_what_is_no_secret_is_shown() -> None:
    """Everything else is there, as JSON without spaces."""
    assert show("hello") == "hello"
    assert show('{"type": "say", "n": 1}') == '{"type":"say","n":1}'
    assert show(msgspec.msgpack.encode({"a": b"12"})) == '{"a":"… 2 bytes"}'


def test_long_messages_are_cut() -> None:
    """600 characters are shown, and of what is larger than 64 KiB only the size."""
    assert len(show("x" * 600)) == 600
    assert show("x" * 601) == "x" * 599 + "…"
    assert len(show("x" * 65536)) == 600
    assert show("x" * 65537) == "… 65537 characters"
    assert show(b"x" * 65537) == "… 65537 bytes"


def test_a_secret_at_the_cut() -> None:
    """A secret whose end is not shown is hidden as well."""
    for start in range(560, 600):
        assert "s3c" not in show_text("x" * start + f" token={SECRET}")


def test_bytes_without_a_meaning() -> None:
    """Of bytes that are no MessagePack only the size is told: they may be a key."""
    assert show(b"\xc1\xff\xfe") == "… 3 bytes"
    assert show("[" * 60_000).startswith("[[[")


@given(st.text() | st.binary())
def test_everything_can_be_shown(data: str | bytes) -> None:
    """Whatever a client sends becomes a short text."""
    assert len(show(data)) <= 600


@pytest.mark.parametrize("piece", ["x", "token", "eyJ", "basic ", "token=", '"', "-"])
def test_nobody_chooses_how_long_it_takes(piece: str) -> None:
    """No text takes much longer than others of its length."""
    text = piece * (60_000 // len(piece))
    began = time.process_time()

    show_text(text, 30_000)

    assert time.process_time() - began < 0.5
