"""What is known of a connection from its handshake: who is there, what was asked for.

The url, headers, query_params, cookies, session, state and so on come from Starlette's
``HTTPConnection``.
"""

from __future__ import annotations

import os
from itertools import count
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from starlette.authentication import BaseUser, UnauthenticatedUser
from starlette.datastructures import QueryParams
from starlette.requests import HTTPConnection

from consumers.errors import StateError

from .credentials import offered_token, without_tokens

if TYPE_CHECKING:
    from .crowd import Place

__all__ = ["Connection", "process_id"]

_ids = count(1)
_process = uuid4().hex[:12]
_NOBODY: Final = UnauthenticatedUser()


def process_id() -> str:
    """Return what the ids of this process's connections begin with: 12 characters."""
    return _process


def _forked() -> None:
    global _process  # noqa: PLW0603  there is one per process
    _process = uuid4().hex[:12]


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_forked)


class Connection(HTTPConnection[Any]):
    """The handshake's side of a connection."""

    _id = ""
    _place: Place | None = None  # among the connections, where these are counted
    _token: str | None = None  # from a refresh, which counts before the handshake's

    @property
    def id(self) -> str:
        """What names this connection in logs and in ``groups.presence``."""
        if not self._id:
            self._id = f"{_process}-{next(_ids)}"
        return self._id

    @property
    def query_parameters(self) -> QueryParams:
        """The query's parameters; also ``query_params``, as Starlette has it."""
        return self.query_params

    @property
    def subprotocols(self) -> list[str]:
        """What the client offers, in its order of preference. Untrusted.

        Without ``bearer.<token>``, which is none: see :attr:`token`.
        """
        return without_tokens(self.scope.get("subprotocols") or ())

    @property
    def token(self) -> str | None:
        """The client's credential, for ``authenticate``; ``None``: there is none.

        From ``Authorization: Bearer ...``; or else from what browsers can send, which
        is a subprotocol ``bearer.<token>`` that is offered beside others, or the
        query's ``token``. Over `consumers.v1` the latest that it has refreshed it with.
        Untrusted.
        """
        if self._token is not None:
            return self._token
        kind, _, token = self.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and token:
            return token.strip()
        offered = offered_token(self.scope.get("subprotocols") or ())
        return self.query_params.get("token") if offered is None else offered

    @property
    def session(self) -> dict[str, Any]:
        """The session, where ``SessionMiddleware`` is installed.

        Raises:
            StateError: It is not.
        """
        if "session" not in self.scope:
            raise StateError(
                "a session needs Starlette's SessionMiddleware around the application; "
                "write App([...], middleware=[Middleware(SessionMiddleware, "
                "secret_key=...)])"
            )
        return super().session

    @property
    def user(self) -> Any:
        """Who it is: an ``Identity``, what a middleware set, or somebody unknown."""
        return self.scope.get("user") or _NOBODY

    @user.setter
    def user(self, user: BaseUser) -> None:
        self.scope["user"] = user

    @property
    def auth(self) -> Any:
        """The credentials that a middleware set, else ``None``."""
        return self.scope.get("auth")

    @auth.setter
    def auth(self, auth: object) -> None:
        self.scope["auth"] = auth
