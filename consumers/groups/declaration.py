"""`Group`: what is declared about groups of one pattern, and the names it makes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from hashlib import sha256
from itertools import pairwise
from operator import or_
from string import Formatter
from typing import TYPE_CHECKING, Any, Final, TypeAlias, get_args
from urllib.parse import quote, unquote

import msgspec

from consumers.errors import ConfigurationError
from consumers.history import History
from consumers.queues.policies import DEFAULT_POLICY, Policy

from .permission import permissions
from .presence import Presence

if TYPE_CHECKING:
    from starlette.authentication import BaseUser

    from .source import Source

__all__ = [
    "Group",
    "GroupName",
    "Target",
    "groups_of_user",
    "name_of",
    "node_group",
    "session_group",
    "user_group",
]

_NAME: Final = re.compile(r"[!-~]{1,255}")
_USERS: Final = "@user."
_SESSIONS: Final = "@session."
_NODES: Final = "@node."
# What an escaped value may hold: behind a parameter it would not tell where that ends.
_IN_VALUES: Final = re.compile(r"[A-Za-z0-9_~%-]")


def _parameters(pattern: str) -> tuple[str, ...]:
    try:
        parts = list(Formatter().parse(pattern))
    except ValueError as error:
        raise ConfigurationError(
            f"a group's pattern must have matching braces, got {pattern!r}; {error}"
        ) from error
    fields = [part[1:] for part in parts if part[1] is not None]
    names = tuple(name for name, _, _ in fields if name is not None)
    if len(set(names)) != len(names) or not all(
        name is not None and name.isidentifier() and not spec and not conversion
        for name, spec, conversion in fields
    ):
        raise ConfigurationError(
            f"a group's parameters must be different names, got {pattern!r}; "
            "write 'chat.{channel}'"
        )
    for (_, name, _, _), (following, _, _, _) in pairwise(parts):
        if name is not None and (not following or _IN_VALUES.match(following)):
            raise ConfigurationError(
                "a separator must come after each parameter of a group, "
                f"got {pattern!r}; write 'hall.{{row}}.{{seat}}'"
            )
    return names


def _expression(pattern: str) -> re.Pattern[str]:
    """Return what matches the names that a pattern makes."""
    parts = []
    for text, name, _, _ in Formatter().parse(pattern):
        parts.append(re.escape(text))
        if name is not None:
            parts.append(f"(?P<{name}>{_IN_VALUES.pattern}+)")
    return re.compile("".join(parts))


def _decoder(sends: tuple[type, ...] | None) -> Callable[[Any], Any]:
    kind: Any = Any if sends is None else reduce(or_, sends)
    try:
        return msgspec.msgpack.Decoder(kind).decode
    except TypeError:  # types without tags, or of other libraries
        return msgspec.msgpack.Decoder().decode


def _checked_policy(
    pattern: str, policy: Policy | None, history: History | None
) -> Policy:
    if policy is None:
        return DEFAULT_POLICY
    if not isinstance(policy, Policy):
        raise ConfigurationError(
            f"the outbox of group {pattern!r} must be CloseWhenFull(), DropOldest(), "
            f"DropNewest() or Coalesce(), got {policy!r}; None is CloseWhenFull()"
        )
    if policy.lossy and history is not None:
        raise ConfigurationError(
            f"the outbox of group {pattern!r} must not lose what its history promises, "
            f"got {policy!r}; write CloseWhenFull(), so that a slow client comes back "
            "and gets what it missed, or Coalesce(), which keeps the last per key"
        )
    return policy


@dataclass(frozen=True, slots=True)
class GroupName:
    """One group: the name that publications and memberships go by."""

    name: str
    """``"chat.lobby"``."""
    group: Group
    """What was declared about it."""

    def __str__(self) -> str:
        return self.name


class Group:
    """Declares groups: ``room = Group("chat.{channel}", sends=Said)``.

    ``room("lobby")`` or ``room(channel="lobby")`` is the group ``chat.lobby``. Values
    are escaped: different values make different names, and whatever a path parameter
    holds, it stays between its separators.
    """

    def __init__(
        self,
        pattern: str,
        *,
        sends: Any = None,
        history: History | None = None,
        presence: bool | Presence = False,
        outbox: Policy | None = None,
        allow: object = None,
    ) -> None:
        """Declare the groups of a pattern.

        Args:
            pattern: A name with ``{parameters}``; letters, digits and punctuation.
            sends: The type, or union of types, of all that is published to them;
                ``None``: anything.
            history: What is kept for those who come back, or come late.
            presence: Whether ``groups.presence`` tells who the members are.
            outbox: What becomes of publications to a member that reads too slowly;
                ``None``: ``CloseWhenFull()``.
            allow: A rule, or a tuple of rules, that says who may join: ``async def
                rule(connection, channel)``, or plain, with those of the pattern's
                parameters that it wants. ``None``: whoever the application has join.

        Raises:
            ConfigurationError: The pattern can't make names, or an argument can't work.
        """
        self.pattern = pattern
        self.history = history
        self.presence: Presence | None = None
        if isinstance(presence, Presence):
            self.presence = presence
        elif presence:
            self.presence = Presence()
        if history is not None and not isinstance(history, History):
            raise ConfigurationError(
                f"the history of group {pattern!r} must be a History or None, got "
                f"{history!r}; write History(size=100, ttl=3600)"
            )
        self.outbox = _checked_policy(pattern, outbox, history)
        self.sends: tuple[type, ...] | None = None
        if sends is not None:
            self.sends = get_args(sends) or (sends,)
            if not all(isinstance(kind, type) for kind in self.sends):
                raise ConfigurationError(
                    f"what group {pattern!r} sends must be a class or a union of "
                    f"classes, got {sends!r}"
                )
        self.groups: object = None
        """The ``Groups`` that it is declared in, if in any."""
        self.sources: list[Source] = []
        """What runs while one of these groups has members."""
        self.parameters = _parameters(pattern)
        if not _NAME.fullmatch(pattern) or pattern.startswith("@"):
            raise ConfigurationError(
                "a group's pattern must be 1-255 visible ASCII characters and not "
                f"begin with '@', got {pattern!r}; write 'chat.{{channel}}'"
            )
        self.allow = permissions(self, allow)
        """What is asked of a connection that joins."""
        self._matches = _expression(pattern).fullmatch
        self._decode: Callable[[Any], Any] | None = None

    def __call__(self, *values: object, **named: object) -> GroupName:
        """Return one group.

        Raises:
            TypeError: A value is missing or too much.
            ValueError: The name becomes longer than 255 characters.
        """
        given = dict(zip(self.parameters, values, strict=False)) | named
        count = len(values) + len(named)
        if count != len(self.parameters) or set(given) != set(self.parameters):
            raise TypeError(
                f"group {self.pattern!r} takes {list(self.parameters)}, "
                f"got {[*values, *named]}"
            )
        name = self.pattern.format(
            **{key: escape(str(value)) for key, value in given.items()}
        )
        if len(name) > 255:
            raise ValueError(
                f"a group's name must be at most 255 characters, got {len(name)}; "
                "limit what a client may ask for"
            )
        return GroupName(name, self)

    def __repr__(self) -> str:
        return f"Group({self.pattern!r})"

    def values_of(self, name: str) -> dict[str, str] | None:
        """Return the parameters that make ``name``; ``None``: it is not one of these.

        The reverse of calling the group, with texts for all values.
        """
        match = self._matches(name)
        if match is None:
            return None
        return {key: _unescape(value) for key, value in match.groupdict().items()}

    def decode(self, message: bytes) -> Any:
        """Return what :meth:`check` let pass, from its MessagePack.

        As the types that the group sends, where these can be told apart by their tags;
        else as builtins.

        Raises:
            msgspec.MsgspecError: It is something else.
        """
        if self._decode is None:
            self._decode = _decoder(self.sends)
        return self._decode(message)

    def check(self, message: object) -> None:
        """Check that a message is one of those the group sends.

        Raises:
            TypeError: It is not.
        """
        if self.sends is not None and not isinstance(message, self.sends):
            expected = " or ".join(kind.__name__ for kind in self.sends)
            raise TypeError(
                f"group {self.pattern!r} sends {expected}, "
                f"got {type(message).__name__}; add it to sends="
            )


Target: TypeAlias = "GroupName | Group | str"
"""What names a group: ``room("lobby")``, a `Group` without parameters, or a string."""

_DEFAULT: Final = Group("undeclared")


def name_of(target: Target) -> GroupName:
    """Return the group that ``target`` names.

    Raises:
        TypeError: A pattern lacks its values.
        ValueError: The string can't be a name.
    """
    if isinstance(target, GroupName):
        return target
    if isinstance(target, Group):
        return target()
    if not isinstance(target, str):
        raise TypeError(
            f"a group must be a Group or a string, got {target!r}; "
            "the order is publish(group, message)"
        )
    if not _NAME.fullmatch(target) or target.startswith("@"):
        raise ValueError(
            "a group's name must be 1-255 visible ASCII characters and not begin with "
            f"'@', got {target!r}; Group('room.{{name}}') escapes its values"
        )
    return GroupName(target, _DEFAULT)


def user_group(key: str) -> GroupName:
    """Return the group of all connections of one user. Only the framework joins it."""
    return GroupName(_USERS + escape(key), _DEFAULT)


def session_group(session: str) -> GroupName:
    """Return the group of all connections of one session. Only the framework joins it.

    What names a session lets in whoever has it, and a group's name can be seen: in the
    broker, and in tools. So it is a hash.
    """
    return GroupName(_SESSIONS + sha256(session.encode()).hexdigest(), _DEFAULT)


def groups_of_user(user: BaseUser) -> list[GroupName]:
    """Return the groups that a known user's connection can be found by."""
    session: str = getattr(user, "session", "")
    names = [user_group(user.identity)]
    return [*names, session_group(session)] if session else names


def node_group(process: str) -> GroupName:
    """Return the group of one process, for what goes to one of its connections."""
    return GroupName(_NODES + process, _DEFAULT)


def _unescape(value: str) -> str:
    return "" if value == "%" else unquote(value)


def escape(value: str) -> str:
    """Return ``value`` so that it can stand between a pattern's separators.

    One to one: different values make different names.
    """
    return quote(value, safe="").replace(".", "%2E") or "%"
