"""Observing: being told what happens to connections and publications.

Who asks for nothing pays for nothing: what is told is decided when a connection begins,
and when the groups' layer is made for an event loop.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .close import CloseEvent
    from .consumer import WebSocketConsumer
    from .groups import Groups, Publication

__all__ = ["NOBODY", "Observer", "Observers", "observe", "observers_everywhere"]

log: Final = logging.getLogger("consumers")


class Observer:
    """Is told what happens. Subclass it, and pass it on: ``App(observers=[...])``.

    ::

        class Slow(Observer):
            def handled(self, connection, name, seconds, error):
                if seconds > 1:
                    log.warning("%s.%s took %.1f s", connection, name, seconds)

    The methods are called on the event loop, where things happen: they must not wait.
    What one raises is logged, once for each observer, and goes no further. Those that
    are not overridden cost nothing.
    """

    counts_traffic = False
    """Whether its connections' messages and bytes are counted: see ``traffic_of``."""

    is_broken = False
    """Whether one of its methods has raised, and that was logged."""

    def attached(self, groups: Groups) -> None:
        """Learn of groups that it observes: those of its `App`, or by ``observe``."""

    def opening(self, connection: WebSocketConsumer) -> None:
        """Learn of a handshake, before anything of it was decided.

        Called in the connection's main task: context variables that are set here are
        seen by its hooks.
        """

    def opened(self, connection: WebSocketConsumer, seconds: float) -> None:
        """Learn that a handshake was accepted; ``seconds``: how long it took."""

    def refused(
        self, connection: WebSocketConsumer, status: int | None, seconds: float
    ) -> None:
        """Learn that a handshake came to nothing.

        ``status``: what it was refused with; ``None``: the client left before that.
        """

    def closed(
        self, connection: WebSocketConsumer, event: CloseEvent, seconds: float
    ) -> None:
        """Learn that an accepted connection has ended, ``on_disconnect`` included.

        ``seconds``: how long it was open.
        """

    def failed(self, connection: WebSocketConsumer, error: BaseException) -> None:
        """Learn of an exception that has closed a connection with 1011, at its end."""

    def handling(self, connection: WebSocketConsumer, name: str) -> None:
        """Learn that a message is about to be handled, in the task that does it.

        ``name``: ``on_receive``, the name of a ``@receives`` method, or over
        `consumers.v1` ``@subscribe`` and ``@refresh``. Not of what a view receives.
        """

    def handled(
        self,
        connection: WebSocketConsumer,
        name: str,
        seconds: float,
        error: BaseException | None,
    ) -> None:
        """Learn that it was, in the same task.

        ``error``: what it raised; a ``MessageError`` answers the sender and is no
        failure, and a cancellation is none either.
        """

    def publishing(self, publications: Sequence[Publication]) -> None:
        """Learn of publications that are about to be given to the layer together.

        In the task that publishes. ``publication.carrier`` may be set: it travels
        along.
        """

    def published(
        self,
        publications: Sequence[Publication],
        seconds: float,
        error: BaseException | None,
    ) -> None:
        """Learn that they were, in the same task; this process's members have them."""

    def delivered(self, publication: Publication, members: int, seconds: float) -> None:
        """Learn that a publication was handed to a group's members in this process.

        It may be a batch: then its ``items`` are the publications.
        """


_ENDS: Final = {"refused", "closed", "handled", "published"}
"""What ends something: who was told first of its beginning is told last."""


class Observers:
    """Tells several observers, those that have overridden a method of it."""

    __slots__ = ("_told", "all", "counts_traffic")

    def __init__(self, observers: Iterable[Observer]) -> None:
        self.all = tuple(dict.fromkeys(observers))
        """The observers, each once."""
        self.counts_traffic = any(each.counts_traffic for each in self.all)
        """Whether one of them wants messages and bytes counted."""
        self._told: dict[str, list[tuple[Observer, Callable[..., None]]]] = {
            name: [
                (each, getattr(each, name))
                for each in (self.all[::-1] if name in _ENDS else self.all)
                if getattr(type(each), name) is not method
            ]
            for name, method in vars(Observer).items()
            if callable(method)
        }

    def wants(self, *names: str) -> bool:
        """Tell whether anybody has overridden one of these methods."""
        return any(self._told[name] for name in names)

    def tell(self, name: str, *given: Any) -> None:
        """Call a method of each that has it. Raises nothing."""
        for observer, method in self._told[name]:
            try:
                method(*given)
            except Exception:
                if not observer.is_broken:
                    observer.is_broken = True
                    log.exception("observer %r failed in %s; said once", observer, name)


NOBODY: Final = Observers(())
"""Tells nobody."""

_everywhere: Final[list[Observer]] = []


def observe(observer: Observer) -> Callable[[], None]:
    """Have an observer told of every connection of this process, whatever serves it.

    Also of consumers in somebody else's table, which have no `App`. Of connections that
    begin from now on; of publications by ``groups.observe(observer)``.

    Returns:
        What ends that when it is called, for connections that begin later.
    """
    _everywhere.append(observer)

    def end() -> None:
        if observer in _everywhere:
            _everywhere.remove(observer)

    return end


def observers_everywhere() -> list[Observer]:
    """Return those that are told of every connection."""
    return _everywhere
