"""Groups: publications to many connections at once."""

from .declaration import Group, GroupName, Target, name_of, user_group
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
    "name_of",
    "user_group",
]
