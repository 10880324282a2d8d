"""What the chat serves beside its consumer: pages, scripts, a description."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from chat.app import PAGE, app
from chat.messages import Back, Here, Moves, Said, Say, SomebodyTypes, Taken, Typing

from consumers.testing import TestClient

SCRIPTS = sorted(PAGE.glob("*.js"))
PAGES = sorted(PAGE.glob("*.html"))


@pytest.fixture
async def client() -> AsyncIterator[TestClient]:
    async with TestClient(app) as client:
        yield client


def references(page: Path) -> Iterator[str]:
    """Yield the address of each file that a page names."""
    yield from re.findall(r'(?:src|href)="([^"#]+)"', page.read_text())


@pytest.mark.parametrize("path", ["/", "/r/lobby"])
async def test_pages_allow_nothing_but_their_own_files(
    client: TestClient, path: str
) -> None:
    """The policy lets in no inline script or style, and no text is taken for HTML."""
    response = await client.request("GET", path)
    policy = response.headers["content-security-policy"].split("; ")

    assert response.status == 200
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert not [rule for rule in policy if "unsafe" in rule or "*" in rule]


async def test_every_file_that_a_page_names_is_served(client: TestClient) -> None:
    """All of them are ours: addresses without a host."""
    named = {address for page in PAGES for address in references(page)}

    assert named >= {"/static/style.css", "/static/room.js", "/consumers.js"}
    for address in named:
        assert (await client.request("GET", address)).status == 200


async def test_its_messages_are_described(client: TestClient) -> None:
    """At `/docs`, where they can be tried."""
    described = (await client.request("GET", "/docs/asyncapi.json")).json()

    assert (await client.request("GET", "/docs")).status == 200
    for message in (Say, Taken, Said, Here, Moves, Back, Typing, SomebodyTypes):
        assert message.__name__ in json.dumps(described)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.name))
def test_scripts_write_text_and_never_html(script: Path) -> None:
    """No script has a word by which text could become HTML or code."""
    words = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|Function\("
    )

    assert re.findall(words, script.read_text()) == []
