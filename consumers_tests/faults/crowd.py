"""A process full of clients.

It reads commands from its standard input and answers on its standard output, a line of
JSON each.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
import uvloop

from .jobs import Answer, Command, Judged, Note, Open, Status, Wait, Watch
from .keeping import Keeping
from .members import Member, Surroundings
from .verdict import Kept, Verdict, judge

__all__ = ["Crowd"]

_commands = msgspec.json.Decoder(Command)
_JOINING = 60.0
"""Seconds in which all have to have joined for the first time."""
_AT_ONCE = 50
"""How many join at the same time at first: a stampede is not what is tested."""


class Crowd:
    """The clients, by their groups."""

    def __init__(self) -> None:
        self.members: dict[str, list[Member]] = {}
        self.around: list[Surroundings] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def perform(self, command: Command) -> Answer:
        """Do what a command says."""
        match command:
            case Open():
                await self.open(command)
                return Answer(note=self.note())
            case Watch():
                return self.watch(command)
            case Wait():
                return Answer(judged=await self.wait(command))
            case Status():
                return Answer(note=self.note())

    async def open(self, command: Open) -> None:
        """Bring clients in, and wait until all are members."""
        around = Surroundings(command.ports, command.seed, command.resume)
        self.around.append(around)
        new = []
        for i in range(command.clients):
            group = command.groups[i % len(command.groups)]
            first = i // len(command.groups) + i
            path = command.path.format(group=group, client=i)
            if command.notes:
                file = Path(command.notes, f"{group}-{i}")
                member: Member = Keeping(around, path, first, file)
            else:
                member = Member(around, path, first, command.buffer)
            self.members.setdefault(group, []).append(member)
            new.append(member)
        async with asyncio.timeout(_JOINING):
            for at in range(0, len(new), _AT_ONCE):
                some = new[at : at + _AT_ONCE]
                for member in some:
                    task = asyncio.create_task(member.live())
                    self._tasks.add(task)
                    task.add_done_callback(self._ended)
                for member in some:
                    await member.joined.wait()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error

    def watch(self, command: Watch) -> Answer:
        """Return the delays since they were forgotten, or forget them."""
        delays = sorted(delay for around in self.around for delay in around.delays)
        if command.forget or not delays:
            for around in self.around:
                del around.delays[:]
            return Answer(delays=[])
        last = len(delays) - 1
        return Answer(delays=[delays[round(last * k / 100)] for k in range(101)])

    def note(self) -> Note:
        """Count what happened so far."""
        note = Note()
        for members in self.members.values():
            for member in members:
                member.add_to(note)
        for around in self.around:
            for code, count in around.closes.items():
                note.closes[str(code)] = note.closes.get(str(code), 0) + count
        return note

    async def wait(self, command: Wait) -> Judged:
        """Wait until each has got all, or nothing comes any more; then judge."""
        begun = time.monotonic()
        while time.monotonic() < begun + command.seconds:
            late = [
                member
                for group, sent in command.sent.items()
                for member in self.members[group]
                if not self._has_all(member, sent, command.histories[group])
            ]
            if not late:
                break
            latest = max(around.last for around in self.around)
            if time.monotonic() - max(latest, begun) > command.quiet:
                break
            await asyncio.sleep(0.05)
        took = max(around.last for around in self.around) - begun
        return self.judge(command, max(0.0, took))

    @staticmethod
    def _has_all(member: Member, sent: Mapping[int, int], history: Kept | None) -> bool:
        if not member.joined.is_set():
            return False
        if history is not None:
            return member.position() == f"{history.offsets[-1]}.{history.epoch}"
        return member.received >= sum(sent.values())

    def judge(self, command: Wait, seconds: float) -> Judged:
        """Return the verdict on what all have got."""
        whole = Verdict()
        wronged = disagreeing = 0
        example = ""
        for group, sent in command.sent.items():
            # Most have got the same: that is judged once.
            known: dict[object, Verdict] = {}
            for member in self.members[group]:
                key = tuple(
                    (
                        *(one.epoch, one.start, one.strangers),
                        *(one.offsets.tobytes(), one.numbers.tobytes()),
                    )
                    for one in member.segments
                )
                verdict = known.get(key)
                if verdict is None:
                    verdict = judge(member.segments, sent, command.histories[group])
                    known[key] = verdict
                whole += verdict
                if verdict:
                    wronged += 1
                    example = example or f"{member.path} at {member.position()}"
            right = [key for key, verdict in known.items() if not verdict]
            single = [key for key in right if isinstance(key, tuple) and len(key) == 1]
            disagreeing += len(single) > 1
        return Judged(self.note(), whole, wronged, disagreeing, seconds, example)


async def main() -> None:
    """Perform the commands on standard input until it ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 24)
    await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    crowd = Crowd()
    while line := await reader.readline():
        try:
            answer = await crowd.perform(_commands.decode(line))
        except Exception as error:  # The other side can't see a traceback.
            answer = Answer(failure=f"{type(error).__name__}: {error}")
        sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
        sys.stdout.flush()


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    gc.disable()
    uvloop.run(main())
    # Tearing the connections down one by one takes long, and shows nothing.
    os._exit(0)
