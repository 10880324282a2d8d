"""Credentials: the token among the subprotocols, and what a log must not have."""

from __future__ import annotations

import pytest

from consumers.handshake.credentials import offered_token, redacted, without_tokens


@pytest.mark.parametrize(
    ("offered", "token", "rest"),
    [
        ([], None, []),
        (["chat"], None, ["chat"]),
        (["consumers.v1+json", "bearer.abc"], "abc", ["consumers.v1+json"]),
        (["bearer.eyJ.b-_c.d", "chat"], "eyJ.b-_c.d", ["chat"]),
        (["bearer.a%2Fb%3D%3D"], "a/b==", []),
        (["bearer.one", "bearer.two"], "one", []),
        (["bearer."], None, []),
        (["Bearer.abc", "bearer"], None, ["Bearer.abc", "bearer"]),
    ],
)
def test_a_token_is_offered_among_subprotocols(
    offered: list[str], token: str | None, rest: list[str]
) -> None:
    """The first one counts, decoded; none of them is a subprotocol."""
    assert offered_token(offered) == token
    assert without_tokens(offered) == rest


SECRET = "pl4nted-S3cret.of_2~00%2F%2B"


@pytest.mark.parametrize(
    "text",
    [
        f'127.0.0.1:1 - "WebSocket /chat?token={SECRET}" [accepted]',
        f'127.0.0.1:1 - "GET /a?b=c&access_token={SECRET}&d=e HTTP/1.1" 200',
        f"/a?API-Key={SECRET}#d",
        f"/a?session_id={SECRET}",
        f"/a?password={SECRET}&code={SECRET}",
        f"{{'query_string': b'token={SECRET}'}}",
        f"['consumers.v1+json', 'bearer.{SECRET}']",
        f"Sec-WebSocket-Protocol: chat, bearer.{SECRET}",
        f"authorization: Bearer {SECRET}",
        f"(b'authorization', b'Basic {SECRET}')",
        f"Cookie: a=b; session={SECRET}",
        f"(b'cookie', b'session={SECRET}; a=b')",
        f"set-cookie: id={SECRET}; Path=/",
        f"{{'theme': 'dark', 'session': '{SECRET}'}}",
    ],
)
def test_what_looks_like_a_credential_is_taken_out(text: str) -> None:
    """Wherever it came with the request, as that or as Python shows it."""
    shown = redacted(text)

    assert SECRET not in shown
    assert "[redacted]" in shown
    assert redacted(shown).count("[redacted]") == shown.count("[redacted]")


@pytest.mark.parametrize(
    "text",
    [
        '127.0.0.1:1 - "WebSocket /chat?room=lobby&last=3" [accepted]',
        "    identity = await check(token=connection.token)",
        "    cookie = self.cookies.get(name)",
        "    if name in {'token': str, 'code': int}:",
        "the token must be a text, got None",
        "a basic authentication",
        "'tokens=1' and /?author=me&authors=",
        "",
    ],
)
def test_all_else_stays(text: str) -> None:
    """Lines of code too: a traceback must tell what it is about."""
    assert redacted(text) == text


def test_the_rest_of_a_query_stays() -> None:
    """What was asked for can still be told."""
    line = "/a?room=1&token=abc&last=2 [accepted]"

    assert redacted(line) == "/a?room=1&token=[redacted]&last=2 [accepted]"
