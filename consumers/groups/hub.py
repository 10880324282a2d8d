"""The hub: who is a member of what in this process, and the way to all members."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from consumers.errors import MessageNotEncodable

from .publication import Publication

__all__ = ["Hub", "Member", "Membership"]

log = logging.getLogger("consumers")


class Member(Protocol):
    """What gets publications: a connection."""

    def deliver(self, publication: Publication) -> None:
        """Take a publication. Never waits, and never raises for its own reasons.

        Raises:
            MessageNotEncodable: Its codec can't send the message.
        """
        ...

    def hold(self, membership: Membership, publication: Publication) -> None:
        """Keep a publication back until its membership is released. Never waits."""
        ...


@dataclass(slots=True)
class Membership:
    """One connection's part in one group."""

    metadata: Any = None
    """What presence tells of it."""
    held: list[Publication] | None = None
    """What waits while the connection gets its snapshot; ``None``: nothing is held."""


class Hub:
    """The members of all groups in this process.

    ``{group name: {member: membership}}``, in the order of joining; a group without
    members is not there.
    """

    __slots__ = ("members",)

    def __init__(self) -> None:
        self.members: dict[str, dict[Any, Membership]] = {}

    def add(self, group: str, member: Member) -> Membership:
        """Make ``member`` one of the group's; return its part in it, new or not."""
        members = self.members.setdefault(group, {})
        membership = members.get(member)
        if membership is None:
            membership = members[member] = Membership()
        return membership

    def remove(self, group: str, member: Member) -> bool:
        """Remove ``member``; return whether the group has no members left here."""
        members = self.members.get(group)
        if members is None:
            return False
        members.pop(member, None)
        if members:
            return False
        del self.members[group]
        return True

    def get(self, group: str) -> dict[Any, Membership]:
        """Return ``{member: membership}`` of a group."""
        return self.members.get(group, {})

    def names(self) -> Iterator[str]:
        """Yield the names of the groups that have members here."""
        yield from list(self.members)

    def deliver(self, publication: Publication) -> None:
        """Hand a publication to every member.

        Raises:
            MessageNotEncodable: A member's codec can't send it. All others have got it.
        """
        members = self.members.get(publication.group)
        if not members:
            return
        error: MessageNotEncodable | None = None
        exclude = publication.exclude
        for member, membership in list(members.items()):
            if member is exclude:
                continue
            if membership.held is not None:
                member.hold(membership, publication)
                continue
            try:
                member.deliver(publication)
            except MessageNotEncodable as unencodable:
                error = unencodable
        if error is not None:
            raise error

    def release(self, membership: Membership, member: Member) -> None:
        """Deliver what was held for a member, and hold no longer."""
        held: Iterable[Publication] = membership.held or ()
        membership.held = None
        for publication in held:
            try:
                member.deliver(publication)
            except MessageNotEncodable as error:
                # Its publisher is told by the other members, and is not here.
                log.error(
                    "a publication to %s is dropped: %s", publication.group, error
                )
