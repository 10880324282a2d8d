"""Groups: publications to many connections at once.

============ ===========================================================================
module       what it is about
============ ===========================================================================
declaration  `Group`, what is declared of one pattern; ``declaring``: of an application
groups       `Groups`: everything that can be done with them; ``sync`` for threads
joining      what connections ask of them; ``permission`` is who may
local        one event loop's part in them; ``loops`` are those of the process
hub          who is a member of what on this loop, and the way to all members
subscribing  which groups this loop gets from its layer, and follows
follower     what one group has published, each once and in order
recovery     what somebody who comes back, or comes late, has missed
publication  one message to one group; a ``batch`` is several, sent as one
coalescing   at most one delivery in so many seconds, in front of the members
presence     what is told of who is there; ``announcing`` tells it
source       what makes a group's publications; ``sources`` are those that run
subscription a member that is no connection, for workers and bridges
observed     groups whose publications somebody is told of; ``counters`` of them
============ ===========================================================================
"""

from .declaration import (
    Group,
    GroupName,
    Target,
    groups_of_user,
    name_of,
    session_group,
    user_group,
)
from .groups import STATE_KEY, Groups, Health
from .hub import Member, Membership
from .presence import Presence, PresenceDiff, Present
from .publication import Kind, Publication
from .recovery import Excerpt, Past
from .subscription import Subscription
from .sync import SyncGroups

__all__ = [
    "STATE_KEY",
    "Excerpt",
    "Group",
    "GroupName",
    "Groups",
    "Health",
    "Kind",
    "Member",
    "Membership",
    "Past",
    "Presence",
    "PresenceDiff",
    "Present",
    "Publication",
    "Subscription",
    "SyncGroups",
    "Target",
    "groups_of_user",
    "name_of",
    "session_group",
    "user_group",
]
