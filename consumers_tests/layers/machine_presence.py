"""The machine's other half: any order of calls about presence and leases."""

from hypothesis import strategies as st
from hypothesis.stateful import rule

from consumers.layers import Entry
from consumers_tests.layers.conformance.tools import LONG
from consumers_tests.layers.machine import BRIEF, GONE, Layers, processes
from consumers_tests.layers.model import ReferenceEntry, ReferencePresence

ROOM = "room"

names = st.sampled_from(("x", "y"))
connections = st.integers(0, 3)
tellings = st.sampled_from((b"\x01", b"\x02"))


class Presence(Layers):
    """Who is present, who joined and left, and who holds which lease."""

    def __init__(self) -> None:
        super().__init__()
        self.presence = ReferencePresence()
        self.holders: dict[str, int] = {}
        self.lapsed: set[int] = set()
        """The processes whose lease was lost, and who do not know it yet."""

    @rule()
    def wipe(self) -> None:
        """Lose all data."""
        self.place.wipe()
        self.lapsed |= self._entered()
        self.presence = ReferencePresence()
        self.holders.clear()

    # -- presence

    @rule(process=processes, connection=connections, metadata=tellings)
    def enter(self, process: int, connection: int, metadata: bytes) -> None:
        """Enter a connection, new or not; two users have two at each process."""
        name, user = f"{process}-{connection}", f"user-{connection % 2}"
        changes = self.call(
            self.layers[process].enter, ROOM, [Entry(name, user, metadata)], LONG
        )
        change = self.presence.enter(name, ReferenceEntry(user, metadata, process))
        entries = (Entry(name, user, metadata),)
        assert changes.joined == (entries if change == "joined" else ())
        assert changes.updated == (entries if change == "updated" else ())
        self._compare_presence()

    @rule(process=processes, connection=connections, linger=st.booleans())
    def exit(self, process: int, connection: int, *, linger: bool) -> None:
        """Exit a connection that may not be there; its user may linger."""
        name = f"{process}-{connection}"
        seconds = LONG if linger else 0.0
        self.call(self.layers[process].exit, ROOM, [name], seconds)
        self.presence.exit(name, due=not linger)
        if process not in self._entered():
            self.lapsed.discard(process)
        self._compare_presence()

    @rule(process=processes)
    def renew(self, process: int) -> None:
        """Renew, and be told who left; enter again if it is due."""
        renewal = self.call(self.layers[process].renew, {ROOM: LONG})[ROOM]
        assert set(renewal.left) == self.presence.told()
        assert len(set(renewal.left)) == len(renewal.left)
        if process in self.lapsed or process in self._entered():
            assert renewal.held == (process not in self.lapsed)
        if process in self.lapsed:
            self.lapsed.remove(process)
            again = [
                Entry(name, entry.user, entry.metadata)
                for name, entry in self.presence.entries.items()
                if entry.process == process
            ]
            for entry in again:
                self.call(self.layers[process].enter, ROOM, [entry], LONG)
                self.presence.metadata[entry.user] = entry.metadata

    @rule(process=processes)
    def die(self, process: int) -> None:
        """Let the lease of a process run out."""
        self.renew(process)
        self.call(self.layers[process].renew, {ROOM: BRIEF})
        self.place.pass_time(GONE)
        if process in self._entered():
            self.lapsed.add(process)
        self.presence.die(process)
        self._compare_presence()

    def _entered(self) -> set[int]:
        return {entry.process for entry in self.presence.entries.values()}

    def _compare_presence(self) -> None:
        expected = [
            Entry(name, entry.user, entry.metadata)
            for name, entry in self.presence.entries.items()
        ]
        for layer in self.layers:
            assert self.call(layer.present, ROOM) == expected
            count = self.call(layer.count, ROOM)
            assert count.connections == len(expected)
            assert count.users == len(self.presence.users())

    # -- leases

    @rule(process=processes, name=names)
    def hold(self, process: int, name: str) -> None:
        """Take a lease, if nobody has it."""
        held = self.call(self.layers[process].hold, name, LONG)
        assert held == (self.holders.setdefault(name, process) == process)

    @rule(process=processes, name=names, gone=st.booleans())
    def release(self, process: int, name: str, *, gone: bool) -> None:
        """Give a lease back, or let it run out."""
        if gone and self.call(self.layers[process].hold, name, BRIEF):
            self.place.pass_time(GONE)
            self.holders.pop(name, None)
        elif not gone:
            self.call(self.layers[process].release, name)
            if self.holders.get(name) == process:
                del self.holders[name]
