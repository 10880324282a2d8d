"""Rules: who may connect, asked once it is known who that is.

A rule is a function of the connection that tells whether it may. Groups have rules too:
see ``groups/permission.py``.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from .refusals import count_refusal

__all__ = [
    "Rule",
    "are_rules",
    "ask",
    "authenticated",
    "check_rules",
    "has_scopes",
    "rules_of",
]

Rule: TypeAlias = Callable[..., bool | Awaitable[bool]]
"""``rule(connection)``, plain or ``async``: whether it may."""


def authenticated(connection: HTTPConnection[Any]) -> bool:
    """Allow who is known: ``allow = authenticated``."""
    return bool(connection.user.is_authenticated)


def has_scopes(*scopes: str) -> Rule:
    """Return a rule that allows who has these scopes, all of them.

    ``allow = has_scopes("admin")``. They are those of ``connection.auth``, as in
    Starlette: set by its ``AuthenticationMiddleware``, or by ``authenticate`` with
    ``connection.auth = AuthCredentials(["admin"])``.

    Raises:
        TypeError: One is no text.
    """
    if not scopes or not all(isinstance(scope, str) for scope in scopes):
        raise TypeError(
            f"has_scopes must get the names of scopes, got {scopes!r}; "
            "write has_scopes('admin')"
        )

    def rule(connection: HTTPConnection[Any]) -> bool:
        granted = getattr(connection.auth, "scopes", ())
        return all(scope in granted for scope in scopes)

    return rule


def rules_of(allow: Any) -> tuple[Rule, ...]:
    """Return the rules that a setting names: one, several, or none."""
    if allow is None:
        return ()
    return tuple(allow) if isinstance(allow, tuple | list) else (allow,)


def are_rules(allow: Any) -> bool:
    """Tell whether a setting names rules, each of which takes a connection."""
    return all(_takes_one(rule) for rule in rules_of(allow))


async def check_rules(connection: HTTPConnection[Any], rules: tuple[Rule, ...]) -> None:
    """Refuse a connection that one of the rules does not allow.

    Raises:
        starlette.exceptions.HTTPException: It does not: 401 where nobody is known, who
            might be allowed with a credential, else 403.
    """
    for rule in rules:
        if await ask(rule, connection):
            continue
        if connection.user.is_authenticated:
            count_refusal("allow")
            raise HTTPException(403)
        count_refusal("auth")
        # "The server generating a 401 response MUST send a WWW-Authenticate header
        # field" (RFC 9110 11.6.1). No browser shows a form for this one.
        raise HTTPException(401, headers={"www-authenticate": "Bearer"})


async def ask(rule: Rule, *given: Any, **named: Any) -> bool:
    """Return what a rule says. It may raise what refuses in its own words."""
    answer = rule(*given, **named)
    return bool(await answer if inspect.isawaitable(answer) else answer)


def _takes_one(rule: Any) -> bool:
    if not callable(rule) or isinstance(rule, type):
        return False
    try:
        inspect.signature(rule).bind(None)
    except TypeError:
        return False
    return True
