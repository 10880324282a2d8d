"""What Channels did around Django: users from its session, and queries in threads."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeVar

import anyio.to_thread
from django.conf import settings
from django.contrib.auth import get_user
from django.db import close_old_connections, connection
from django.http import HttpRequest

from consumers import Identity, WebSocket

T = TypeVar("T")


@contextmanager
def database() -> Iterator[None]:
    """In a thread: let queries have a connection that works, and close it."""
    close_old_connections()
    try:
        yield
    finally:
        connection.close()


async def in_database(query: Callable[[], T]) -> T:
    """Run a function with queries in a thread."""

    def run() -> T:
        with database():
            return query()

    return await anyio.to_thread.run_sync(run)


def user_of(session_key: str | None) -> Any:
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    return get_user(request)


async def authenticate(ws: WebSocket) -> Identity | None:
    key = ws.cookies.get(settings.SESSION_COOKIE_NAME)
    user = await in_database(lambda: user_of(key))
    if not user.is_authenticated:
        return None
    return Identity(
        str(user.pk), data=user, name=user.get_username(), session=key or ""
    )
