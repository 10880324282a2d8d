"""What connections on trio have in common: the application's calls, the log."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.testing

from consumers.errors import mark_logged
from consumers.server.options import Options
from consumers.server.trio_poller import best_poller
from consumers.server.trio_server import Server, target_of
from consumers.server.trio_transport import Gone, Loop


def calling(app: Callable[..., Awaitable[Any]], *, cancelled: bool = False) -> bool:
    """Call an application; return whether it returned as it should."""

    async def main() -> bool:
        async with trio.open_nursery() as nursery:
            server = Server(app, Options(), {}, Loop(best_poller()), nursery)

            async def cancel() -> None:
                await trio.testing.wait_all_tasks_blocked()
                for call in server.calls:
                    call.cancel()

            if cancelled:
                nursery.start_soon(cancel)
            returned = await server.call({}, None, None)  # type: ignore[arg-type]
            assert server.calls == set()
        return returned

    return trio.run(main)


async def returns(scope: Any, receive: Any, send: Any) -> None:
    pass


async def fails(scope: Any, receive: Any, send: Any) -> None:
    raise ZeroDivisionError


async def group_fails(scope: Any, receive: Any, send: Any) -> None:
    async with trio.open_nursery():
        raise ZeroDivisionError


async def gone(scope: Any, receive: Any, send: Any) -> None:
    raise Gone


async def gone_inside(scope: Any, receive: Any, send: Any) -> None:
    try:
        raise Gone
    except OSError:
        raise ValueError from None


async def fails_and_says_so(scope: Any, receive: Any, send: Any) -> None:
    error = ValueError()
    mark_logged(error)
    raise error


async def sleeps(scope: Any, receive: Any, send: Any) -> None:
    await trio.sleep_forever()


@pytest.mark.parametrize(
    ("app", "returned", "logged"),
    [
        (returns, True, 0),
        (fails, False, 1),
        (group_fails, False, 1),
        (fails_and_says_so, False, 0),
        (gone, False, 0),
        (gone_inside, False, 0),
    ],
)
def test_an_application_that_fails_is_logged_once(
    app: Any, returned: bool, logged: int, caplog: pytest.LogCaptureFixture
) -> None:
    """With its traceback; not where it only learned that the client has left.

    And not again by the server, where it has logged that itself.
    """
    assert calling(app) is returned
    assert [r.levelname for r in caplog.records] == ["ERROR"] * logged
    assert all(r.exc_info for r in caplog.records)


def test_a_call_can_be_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    """It ends without a word, and did not return as it should."""
    assert calling(sleeps, cancelled=True) is False
    assert caplog.records == []


def test_an_exit_is_nobody_s_failure() -> None:
    """What ends the program is not held up."""

    async def exits(scope: Any, receive: Any, send: Any) -> None:
        raise SystemExit(3)

    with pytest.raises(BaseExceptionGroup) as caught:
        calling(exits)

    assert caught.group_contains(SystemExit)


@pytest.mark.parametrize(
    ("client", "on", "lines"),
    [
        (("::1", 80), True, ["::1:80 - GET /"]),
        (None, True, [" - GET /"]),
        (None, False, []),
    ],
)
def test_the_access_log(
    client: Any, on: bool, lines: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """A line begins with the client's address, if it has one."""
    caplog.set_level(logging.INFO, "consumers.access")

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            options = Options(access_log=on)
            server = Server(returns, options, {}, Loop(best_poller()), nursery)
            server.log_access(client, "GET %s", "/")

    trio.run(main)

    assert [r.getMessage() for r in caplog.records] == lines


@pytest.mark.parametrize(
    ("scope", "target"),
    [
        ({"path": "/a b", "query_string": b""}, "/a%20b"),
        ({"path": "/ä\n", "query_string": b"x=%0A"}, "/%C3%A4%0A?x=%0A"),
    ],
)
def test_a_target_has_no_line_end(scope: Any, target: str) -> None:
    """Nobody writes lines of his own into the log."""
    assert target_of(scope) == target
