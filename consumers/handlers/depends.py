"""FastAPI's ``Depends`` in hooks. Imported only where a hook uses it.

Dependencies are solved by FastAPI itself, for each call of the hook; so are ``Query``,
``Path``, ``Header`` and ``Cookie``. Its overrides (``app.dependency_overrides``) apply
where the connection belongs to a FastAPI application, and those of our own test client
everywhere. Dependencies get the connection as a Starlette ``WebSocket`` for reading:
accepting and sending are the consumer's.

Those of a router or an application (``include_router(router, dependencies=[...])``)
reach FastAPI's own routes alone: a consumer asks for what it needs in a hook.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any, NoReturn

from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_dependant, solve_dependencies
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket

from consumers.errors import InvalidParameters

from .providers import overrides

__all__ = ["Dependencies"]


class Dependencies:
    """The arguments of one hook that FastAPI fills."""

    def __init__(self, arguments: Sequence[inspect.Parameter]) -> None:
        """Read the dependencies of ``arguments``.

        Raises:
            Exception: Whatever FastAPI says to a dependency that it can't use.
        """

        def call(**values: Any) -> None:
            """Carry the signature; never called."""

        call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                argument.replace(kind=inspect.Parameter.KEYWORD_ONLY)
                for argument in arguments
            ]
        )
        self._call = call
        # {names of the path's parameters: what FastAPI made of the signature}
        self._dependants: dict[tuple[str, ...], Dependant] = {}
        self._dependant(())

    async def solve(
        self, connection: HTTPConnection[Any], stack: AsyncExitStack
    ) -> dict[str, Any]:
        """Return ``{argument: value}``; ``stack`` gets the teardown of generators.

        Raises:
            InvalidParameters: The client's fault: a header, cookie or parameter is
                wrong.
        """
        scope = {
            **connection.scope,
            "fastapi_inner_astack": stack,
            "fastapi_function_astack": stack,
        }
        solved = await solve_dependencies(
            request=WebSocket(scope, _not_here, _not_here),
            dependant=self._dependant(tuple(scope.get("path_params", ()))),
            dependency_overrides_provider=_Overrides(scope.get("app")),
            async_exit_stack=stack,
            embed_body_fields=False,
        )
        if solved.errors:
            raise InvalidParameters(
                {
                    ".".join(str(part) for part in error["loc"]): error["msg"]
                    for error in solved.errors
                }
            )
        return solved.values

    def _dependant(self, names: tuple[str, ...]) -> Dependant:
        """Return what FastAPI makes of the signature below a path with ``names``.

        It takes a parameter from the path if the path has it, and else from the query;
        one class may be routed to many paths.
        """
        if names not in self._dependants:
            path = "".join(f"/{{{name}}}" for name in names)
            self._dependants[names] = get_dependant(path=path, call=self._call)
        return self._dependants[names]


class _Overrides:
    """Stands for the application where FastAPI asks it for overrides."""

    def __init__(self, app: object) -> None:
        # Not every application that a connection belongs to is a FastAPI.
        self.dependency_overrides = {
            **getattr(app, "dependency_overrides", {}),
            **overrides.get(),
        }


async def _not_here(*_: Any) -> NoReturn:
    raise RuntimeError(
        "a dependency must not receive or send; do it in the consumer's hooks"
    )
