"""A program with an event loop: it gets one group's publications, and publishes.

Run it: ``python -m store.alarms TEA 4``.
"""

import sys

import anyio

from consumers import PublicationsLost
from store.groups import groups, prices


async def watch(symbol: str, limit: float) -> None:
    async with groups, groups.subscribe(prices(symbol), last=1) as subscription:
        while True:
            try:
                async for publication in subscription:
                    price = publication.message
                    if price.value > limit:
                        alarm = {"symbol": symbol, "value": price.value}
                        await groups.publish("alarms", alarm)
            except PublicationsLost as error:
                print(error, file=sys.stderr)  # and on with what comes next


if __name__ == "__main__":
    anyio.run(watch, sys.argv[1], float(sys.argv[2]))
