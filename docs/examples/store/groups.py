"""What all programs of the store share: its groups."""

import os

from msgspec import Struct

from consumers import Group, Groups, History


class Price(Struct, tag="price"):
    symbol: str
    value: float


prices = Group("prices.{symbol}", sends=Price, history=History(size=10))
groups = Groups(os.environ.get("GROUPS_URL", "memory://"), [prices])
