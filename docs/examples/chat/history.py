"""What was said lately. Kept in the process: a restart forgets it."""

from collections import OrderedDict, deque

from .messages import Said


class History:
    """The latest messages of the latest rooms.

    Anybody may open a room, so rooms are bounded too: the one in which nothing was
    said for the longest time is forgotten first.
    """

    def __init__(self, rooms: int = 100, messages: int = 100) -> None:
        self._rooms: OrderedDict[str, deque[Said]] = OrderedDict()
        self._max_rooms = rooms
        self._max_messages = messages

    def add(self, room: str, said: Said) -> None:
        self._rooms.setdefault(room, deque(maxlen=self._max_messages)).append(said)
        self._rooms.move_to_end(room)
        if len(self._rooms) > self._max_rooms:
            self._rooms.popitem(last=False)

    def of(self, room: str) -> list[Said]:
        return list(self._rooms.get(room, ()))
