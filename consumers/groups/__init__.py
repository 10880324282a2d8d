"""Groups: publications to many connections at once."""

from .declaration import Group, GroupName, Target, name_of, user_group
from .groups import STATE_KEY, Groups, Present
from .hub import Member, Membership
from .publication import Publication
from .sync import SyncGroups

__all__ = [
    "STATE_KEY",
    "Group",
    "GroupName",
    "Groups",
    "Member",
    "Membership",
    "Present",
    "Publication",
    "SyncGroups",
    "Target",
    "name_of",
    "user_group",
]
