"""What the pages share: where they may be, and how they are answered."""

import re

import pytest

from consumers.pages import is_page_path, page_response


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        ("/docs", True),
        ("/a/b", True),
        ("docs", False),
        ("/docs/", False),
        ("/", False),
        ("/{any}", False),
        (7, False),
    ],
)
def test_the_path_of_a_page(value: object, fits: bool) -> None:
    """It begins with a slash, does not end with one, and matches only itself."""
    assert is_page_path(value) is fits


def test_parts_come_in_the_order_in_which_they_are_given() -> None:
    """In the last one, which is the application's, nothing is replaced."""
    response = page_response("<!-- a --><!-- b -->", style="", a="A", b="<!-- a -->")

    assert response.body == b"A<!-- a -->"


def test_only_what_bears_the_nonce_is_let_in() -> None:
    """The policy names it, another one each time; the shared style comes first."""
    pages = [page_response("<!-- nonce --> <!-- style -->", style="own") for _ in "12"]

    nonces = [bytes(page.body).decode().partition(" ")[0] for page in pages]
    policies = [page.headers["content-security-policy"] for page in pages]
    assert nonces[0] != nonces[1]
    for nonce, policy, page in zip(nonces, policies, pages, strict=True):
        assert re.findall(r"'nonce-([\w-]+)'", policy) == [nonce, nonce]
        assert bytes(page.body).endswith(b"own")
        assert b":root {" in bytes(page.body)
