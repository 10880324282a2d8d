"""Members that keep what they get, for tests of groups without a connection."""

from itertools import count
from typing import Any

from starlette.authentication import UnauthenticatedUser

from consumers.codecs import CODECS, Codec
from consumers.groups import Groups, Membership, Publication, Target
from consumers.limits import DEFAULT_LIMITS
from consumers.queues.backlog import Backlog, Entry, Ledger
from consumers.queues.policies import Loss

_ids = count(1)


class Recorder:
    """A member that keeps what it gets, encoded as a connection would."""

    @property
    def straight(self) -> Any:
        """There is nobody to send to."""
        return None

    @property
    def framed(self) -> Any:
        """Nor to give frames to."""
        return None

    def __init__(self, codec: Codec | None = None, user: Any = None) -> None:
        self.codec = codec or CODECS["json"]
        self.user = user or UnauthenticatedUser()
        self.id = f"connection-{next(_ids)}"
        self.events: list[Any] = []
        self.ends: list[tuple[int, str]] = []
        self.lost: dict[Loss, int] = {}

    @property
    def texts(self) -> list[str]:
        """The texts that it got."""
        return [event["text"] for event in self.events]

    def deliver(self, publication: Publication) -> None:
        self.events.append(publication.encoded(self.codec)[0])

    def put_off(self, rest: object, publication: Publication) -> None:
        raise AssertionError(publication)

    def hold(self, membership: Membership, publication: Publication) -> None:
        assert membership.held is not None
        assert membership.held.add(Entry(None, 1, publication), DEFAULT_LIMITS)

    def backlog(self) -> Backlog[Entry]:
        return Backlog(
            Ledger(),
            lambda publication: publication.encoded(self.codec),
            self.lost.__setitem__,
        )

    @property
    def takes_batches(self) -> bool:
        """Whether its codec has arrays."""
        return self.codec.join is not None

    def end(self, code: int, reason: str = "") -> None:
        self.ends.append((code, reason))


async def join(
    groups: Groups,
    target: Target,
    member: Recorder,
    *,
    hold: bool = False,
    presence: Any = None,
) -> Membership:
    """Make a member of a group, as a connection's `join` does."""
    name = groups.resolve(target)
    [membership] = await groups.join([name], member, hold=hold)
    if name.group.presence is not None:
        await groups.enter(name, member, presence)
    return membership


def leave(groups: Groups, target: Target, member: Recorder) -> None:
    """End a membership."""
    groups.leave([groups.resolve(target).name], member)
