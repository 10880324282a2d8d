"""Groups: publications to many connections at once."""

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
