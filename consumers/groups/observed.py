"""Observed groups: those whose publications somebody is told of.

Decided when the groups' part on an event loop is made. All others publish and deliver
without an instruction of this.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias

from .publication import Kind, Publication

if TYPE_CHECKING:
    from consumers.history import Position
    from consumers.observing import Observers

    from .hub import Hub

__all__ = ["observed_delivering", "observed_publishing", "observing"]

Publish: TypeAlias = (
    "Callable[[Sequence[Publication]], Coroutine[Any, Any, list[Position | None]]]"
)


@contextmanager
def observing(
    observers: Observers, publications: Sequence[Publication]
) -> Iterator[None]:
    """Tell of the messages among what is published in the block."""
    told = [each for each in publications if each.kind in (Kind.MESSAGE, Kind.DIRECT)]
    if not told:
        yield
        return
    error: BaseException | None = None
    observers.tell("publishing", told)
    began = perf_counter()
    try:
        yield
    except BaseException as raised:
        error = raised
        raise
    finally:
        observers.tell("published", told, perf_counter() - began, error)
        error = None  # else it would refer to itself, by this frame


def observed_publishing(publish: Publish, observers: Observers) -> Publish:
    """Return what publishes as ``publish`` does, and tells of it."""

    async def observed(publications: Sequence[Publication]) -> list[Position | None]:
        with observing(observers, publications):
            return await publish(publications)

    return observed


def observed_delivering(
    hub: Hub, observers: Observers
) -> Callable[[Publication], None]:
    """Return what delivers to a hub's members, and tells of it where somebody asks."""
    if not observers.wants("delivered"):
        return hub.deliver

    def observed(publication: Publication) -> None:
        members = len(hub.get(publication.group))
        began = perf_counter()
        try:
            hub.deliver(publication)
        finally:
            if members and publication.kind is Kind.MESSAGE:
                seconds = perf_counter() - began
                observers.tell("delivered", publication, members, seconds)

    return observed
