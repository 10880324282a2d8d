"""A program without an event loop: a script, a cron job, the body of a Celery task.

Run it: ``python -m store.importing TEA=3.5 MILK=1.2``.
"""

import sys
from collections.abc import Iterable

from store.groups import Price, groups, prices


def set_prices(rows: Iterable[tuple[str, float]]) -> None:
    groups.sync.publish_many(
        [(prices(symbol), Price(symbol, value)) for symbol, value in rows]
    )


if __name__ == "__main__":
    pairs = (argument.partition("=") for argument in sys.argv[1:])
    set_prices((symbol, float(value)) for symbol, _, value in pairs)
