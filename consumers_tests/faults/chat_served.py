"""What the runs of the chat serve: the example itself, or without one of its guards.

It looks for dead clients more often, so that a stalled link is soon noticed.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import msgspec
from chat.app import Chat, app, groups, spoken
from chat.messages import Said, Say, Taken

from consumers import App, Limits, Position, WebSocketRoute, receives
from consumers.groups import Target
from consumers.history import Recovery

from .jobs import Settings

__all__ = ["served"]

settings = msgspec.json.decode(os.environ.get("FAULTS_SETTINGS", "{}"), type=Settings)


class Quick(Chat):
    limits = Limits(heartbeat=1.0, heartbeat_timeout=1.0)


class Forgetful(Quick):
    """Who comes back gets what is new from then on, wherever they were."""

    @asynccontextmanager
    async def joining(
        self,
        group: Target,
        presence: Any = None,
        *,
        since: Position | None = None,
        last: int | None = None,
    ) -> AsyncIterator[Recovery]:
        async with super().joining(group, presence) as recovery:
            yield recovery


class Gullible(Quick):
    """Whatever comes is taken for a line that was never said."""

    @receives
    async def say(self, message: Say) -> Taken:
        said = Said(self.name, message.text, uuid4().hex)
        return Taken(str(await self.groups.publish(spoken(self.room), said)))


CLASSES = {"": Quick, "positions": Forgetful, "keys": Gullible}
"""``{the guard that is taken out: what is left}``."""

served = App(
    [WebSocketRoute("/r/{room}", CLASSES[settings.without]), *app.routes],
    groups=groups,
)
