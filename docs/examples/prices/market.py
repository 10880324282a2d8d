"""What is traded, at made-up prices. In earnest they would come from elsewhere."""

import random
from itertools import product

from msgspec import Struct

PLANTS = """
    Alder Birch Cedar Elder Hazel Larch Linden Maple Myrtle Oak Olive Pine Poplar Rowan
    Sorrel Spruce Sumac Willow Yarrow Yew
""".split()  # noqa: SIM905, as a list it would fill the page
TRADES = "Air Bank Foods Grid Labs Media Rail Soft Tools Water".split()  # noqa: SIM905


class Price(Struct, tag="price"):
    """What a share costs from now on."""

    symbol: str
    price: float
    change: int
    """How many times it has changed. Who does not see a number has skipped a price."""


class Share(Struct):
    """What is traded."""

    symbol: str
    name: str
    opening: float
    """What it cost when the market opened."""
    price: float
    change: int
    trend: list[float]
    """The prices before, the latest last."""


POINTS = 40
"""The length of a trend."""


class Market:
    """200 shares, and what each costs now."""

    def __init__(self, seed: int = 7) -> None:
        self._random = random.Random(seed)
        self.shares: dict[str, Share] = {}
        for plant, trade in product(PLANTS, TRADES):
            symbol = (plant[:2] + plant[-1] + trade[0]).upper()
            opening = round(self._random.lognormvariate(4, 0.8), 2)
            self.shares[symbol] = Share(
                symbol, f"{plant} {trade}", opening, opening, 0, [opening]
            )
        self._symbols = list(self.shares)
        for _ in range(2 * POINTS):
            self.move(len(self.shares) // 2)  # it has been open for a while

    def move(self, count: int) -> list[Price]:
        """Change the prices of so many shares."""
        changed = []
        for symbol in self._random.sample(self._symbols, count):
            share = self.shares[symbol]
            factor = 1 + self._random.gauss(0, 0.003)
            share.price = max(round(share.price * factor, 2), 0.01)
            share.change += 1
            share.trend = [*share.trend, share.price][-POINTS:]
            changed.append(Price(symbol, share.price, share.change))
        return changed
