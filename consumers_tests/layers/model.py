"""A reference for layers: what they must do, in lists and dictionaries.

Here nothing runs out by itself. Who tests a layer against it lets time pass, and tells
the reference what ran out by that.
"""

from dataclasses import dataclass, field

from consumers.history import Position


@dataclass
class ReferenceHistory:
    """One group's history, and all that was ever in it."""

    size: int
    epoch: str | None = None
    """Learned from the layer when it begins; ``None``: there is no history."""
    said: list[object] = field(default_factory=list)
    """All publications of this epoch: the offset of the first is 1."""
    kept: int = 0
    """How many of the latest are kept."""

    def say(self, message: object) -> int:
        """Publish; return the offset."""
        self.said.append(message)
        self.kept = min(self.kept + 1, self.size)
        return len(self.said)

    def begin(self, epoch: str) -> None:
        """Begin anew."""
        self.epoch, self.said, self.kept = epoch, [], 0

    def complete(self, since: Position) -> bool:
        """Tell whether all that came after a position is kept."""
        missed = len(self.said) - since.offset
        return since.epoch == self.epoch and 0 <= missed <= self.kept

    def latest(self, count: int) -> list[tuple[int, object]]:
        """Return the latest so many of those that are kept, with their offsets."""
        first = len(self.said) - min(count, self.kept)
        return list(enumerate(self.said[first:], first + 1))


@dataclass(frozen=True)
class ReferenceEntry:
    """One connection that is present."""

    user: str
    metadata: bytes
    process: int


class ReferencePresence:
    """Who is present in one group."""

    def __init__(self) -> None:
        self.entries: dict[str, ReferenceEntry] = {}
        self.metadata: dict[str, bytes] = {}
        """What users told last who are present, or linger."""
        self.due: set[str] = set()
        """Users who are gone and to be told."""

    def users(self) -> set[str]:
        """Return who is present."""
        return {entry.user for entry in self.entries.values()}

    def enter(self, connection: str, entry: ReferenceEntry) -> str:
        """Enter; return whether the user has ``joined``, is ``updated`` or neither."""
        user = entry.user
        before = self.metadata.get(user) if user not in self.due else None
        self.due.discard(user)
        is_back = before is not None and user not in self.users()
        self.entries[connection] = entry
        self.metadata[user] = entry.metadata
        if before is None:
            return "joined"
        return "" if before == entry.metadata and not is_back else "updated"

    def exit(self, connection: str, *, due: bool) -> None:
        """Exit; ``due``: the linger has passed."""
        entry = self.entries.pop(connection, None)
        if entry is not None and entry.user not in self.users() and due:
            self.due.add(entry.user)

    def die(self, process: int) -> None:
        """Remove all that one process entered."""
        for connection, entry in list(self.entries.items()):
            if entry.process == process:
                self.exit(connection, due=True)

    def told(self) -> set[str]:
        """Return who is to be told, who then is forgotten."""
        told, self.due = self.due, set()
        for user in told:
            del self.metadata[user]
        return told
