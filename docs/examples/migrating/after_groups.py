"""The groups: what was the channel layer, and the types of what goes through it."""

import os

from msgspec import Struct

from consumers import Group, Groups


class Said(Struct, tag="said"):
    name: str
    text: str


room_group = Group("chat.{room}", sends=Said)
groups = Groups(os.environ.get("REDIS_URL", "memory://"), [room_group])
