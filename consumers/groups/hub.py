"""The hub: who is a member of what on this event loop, and the way to all members."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Hashable, Iterator
from dataclasses import dataclass
from operator import length_hint
from typing import Any, Protocol, TypeAlias
from weakref import WeakValueDictionary

from consumers.codecs import Codec, Event
from consumers.errors import MessageNotEncodable
from consumers.history import Position
from consumers.queues.backlog import Backlog
from consumers.queues.direct import Direct
from consumers.queues.outbox import SERVER_IS_DONE, Suspended, step

from .batch import Batch
from .publication import Kind, Publication

__all__ = ["Hub", "Member", "Membership"]

log = logging.getLogger("consumers")

Send: TypeAlias = "Callable[[Event], Coroutine[Any, Any, None]]"


class Member(Protocol):
    """What gets publications: a connection, or a subscription."""

    @property
    def id(self) -> str:
        """What names it, in every process."""
        ...

    @property
    def takes_batches(self) -> bool:
        """Whether it gets a `Batch` as one; else it gets the items one by one."""
        ...

    @property
    def user(self) -> Any:
        """Who it is: a Starlette ``BaseUser``."""
        ...

    @property
    def straight(self) -> tuple[Codec, Send] | None:
        """Its codec and its server's ``send``, while it gets all messages just by them.

        What that returns may be begun and suspended, if the rest of it is put off.
        """
        ...

    @property
    def framed(self) -> tuple[Hashable, Direct] | None:
        """What it shares its frames by, and its way for them, while it gets all so."""
        ...

    def deliver(self, publication: Publication) -> None:
        """Take a publication. Never waits, and never raises for its own reasons.

        Raises:
            MessageNotEncodable: Its codec can't send the message.
        """
        ...

    def put_off(self, rest: Suspended, publication: Publication) -> None:
        """Finish a sending that has to wait, before anything else is sent."""
        ...

    def hold(self, membership: Membership, publication: Publication) -> None:
        """Keep a publication back until its membership is released. Never waits."""
        ...

    def backlog(self) -> Backlog[Any]:
        """Return something to hold publications back in, with nothing in it."""
        ...

    def end(self, code: int, reason: str = "") -> None:
        """Begin to end. Never waits."""
        ...


@dataclass(slots=True, eq=False)
class Membership:
    """One member's part in one group."""

    held: Backlog[Any] | None = None
    """What waits while the connection gets its snapshot; ``None``: nothing is held."""
    after: Position | None = None
    """Where its part begins, if what it got already is still to come this way. Then
    nothing else is held."""
    holders: int = 0
    """How many blocks send a snapshot: it is released by the last one."""


class Hub:
    """The members of all groups on this event loop.

    ``{group name: {member: membership}}``, in the order of joining; a group without
    members is not there.
    """

    __slots__ = ("members", "named")

    def __init__(self) -> None:
        self.members: dict[str, dict[Any, Membership]] = {}
        self.named: WeakValueDictionary[str, Any] = WeakValueDictionary()
        """``{id: connection}``, of all whose id somebody has asked for."""

    def add(self, group: str, member: Member) -> Membership:
        """Make ``member`` one of the group's; return its part in it, new or not."""
        members = self.members.setdefault(group, {})
        membership = members.get(member)
        if membership is None:
            membership = members[member] = Membership()
        return membership

    def hold(self, membership: Membership, member: Member) -> None:
        """Hold what is published, until it was released as often."""
        if membership.held is None:
            membership.held = member.backlog()
        membership.after = None
        membership.holders += 1

    def remove(self, group: str, member: Member) -> bool:
        """Remove ``member``; return whether it was the group's last one here."""
        members = self.members.get(group)
        if members is None:
            return False
        membership = members.pop(member, None)
        if membership is not None and membership.held is not None:
            membership.held.give_up()
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
        if isinstance(publication, Batch):
            _deliver_batch(publication, list(members.items()))
            return
        exclude: object = publication.exclude
        if exclude is None and publication.connection is not None:
            exclude = self.named.get(publication.connection)
        if exclude in members:
            members = members.copy()
            del members[exclude]
        if publication.is_plain:
            _Walk(publication, members).run()
        else:
            _tell(publication, members)

    def disconnect(self, group: str, code: int, reason: str) -> int:
        """Close every member of a group; return how many there were."""
        members = list(self.get(group))
        for member in members:
            member.end(code, reason)
        return len(members)

    def direct(self, publication: Publication) -> None:
        """Hand a publication to the one connection that it is for, if that is here.

        Raises:
            MessageNotEncodable: Its codec can't send it.
        """
        member = self.named.get(publication.connection or "")
        if member is not None:
            member.deliver(publication)

    def release(
        self,
        membership: Membership,
        member: Member,
        after: Position | None = None,
        *,
        ahead: bool = False,
    ) -> None:
        """Deliver what was held for a member, and hold no longer, but for others.

        Args:
            membership: Its part.
            member: Who gets it.
            after: What is not after this position it has got already.
            ahead: Whether some of that is still to be delivered here.
        """
        membership.holders = max(membership.holders - 1, 0)
        if membership.holders:
            return  # what is published comes after the last snapshot
        held = membership.held
        membership.held = member.backlog() if ahead else None
        membership.after = after if ahead else None
        for publication in held.take_all() if held is not None else ():
            left: Publication | None = publication
            if isinstance(publication, Batch):
                left = publication.after(after)
            elif publication.kind is Kind.MESSAGE and publication.is_before(after):
                left = None
            if left is not None:
                _deliver_safely(left, member)


class _Walk:
    """A message on its way from member to member.

    One coroutine awaits the sendings of all members, one after the other, and is
    stepped: to step each of them by itself costs more than the rest of the way. Where a
    sending has to wait, that coroutine is left to its member, to be finished without
    going on, and another one goes on with the members that are left.
    """

    __slots__ = ("_begun", "_error", "_left", "_members", "_publication", "_turn")

    def __init__(
        self, publication: Publication, members: dict[Any, Membership]
    ) -> None:
        self._publication = publication
        # Two lists: a list of pairs would be hundreds of objects for the collector.
        self._members = list(members)
        self._begun = iter(self._members)
        self._left = zip(self._begun, list(members.values()), strict=True)
        self._turn = 0  # of the coroutine that goes on
        self._error: MessageNotEncodable | None = None

    def run(self) -> None:
        """Go to all members.

        Raises:
            MessageNotEncodable: A member has not got it, whose codec can't send it.
        """
        while (rest := step(self._go_on())) is not None:
            self._turn += 1
            # Whose sending was begun last.
            member = self._members[-1 - length_hint(self._begun)]
            member.put_off(rest, self._publication)
        if self._error is not None:
            raise self._error

    async def _go_on(self) -> None:
        publication, turn = self._publication, self._turn
        forms, frames = publication.forms, publication.frames
        # Most members have these in common with the one before them.
        form = event = shape = frame = None
        for member, membership in self._left:
            if membership.held is not None and _holds(membership, member, publication):
                continue
            straight = member.straight
            try:
                if straight is None:
                    framed = member.framed
                    if framed is not None:
                        shares, direct = framed
                        if shares is not shape:
                            frame = frames.get(shares)
                            shape = None if frame is None else shares
                        if frame is not None and direct.post(frame):
                            continue
                    member.deliver(publication)  # who is the first of its kind, too
                    continue
                codec, send = straight
                if codec is not form:
                    event, _ = forms.get(codec) or publication.encoded(codec)
                    form = codec
            except MessageNotEncodable as unencodable:
                self._error = unencodable
                continue
            try:
                await send(event)
            except SERVER_IS_DONE:
                if turn != self._turn:
                    raise
                # Whoever reads will learn that the client left.
            if turn != self._turn:
                return


def _tell(publication: Publication, members: dict[Any, Membership]) -> None:
    """Hand members what is no message, each of which judges what becomes of it."""
    error: MessageNotEncodable | None = None
    for member, membership in list(members.items()):
        if membership.held is not None and _holds(membership, member, publication):
            continue
        try:
            member.deliver(publication)
        except MessageNotEncodable as unencodable:
            error = unencodable
    if error is not None:
        raise error


def _holds(membership: Membership, member: Member, publication: Publication) -> bool:
    """Keep a publication from a member, if this is to be; tell whether."""
    if membership.after is None:
        member.hold(membership, publication)
        return True
    if publication.is_before(membership.after):
        return True
    if publication.position is not None:
        membership.held = membership.after = None
    return False


def _deliver_batch(batch: Batch, members: list[tuple[Any, Membership]]) -> None:
    for member, membership in members:
        left: Batch | None = batch
        if membership.after is not None:
            left = batch.after(membership.after)
            if left is not None:
                membership.held = membership.after = None
        for part in left.parts_for(member) if left is not None else ():
            if membership.held is not None:
                member.hold(membership, part)
            else:
                _deliver_safely(part, member)


def _deliver_safely(publication: Publication, member: Member) -> None:
    """Deliver what has no publisher any more who could be told."""
    try:
        member.deliver(publication)
    except MessageNotEncodable as error:
        log.error("a publication to %s is dropped: %s", publication.group, error)
