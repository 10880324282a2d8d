"""`Keyboard`: the lines that a user types, or that come through a pipe."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import CancelledError
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import anyio
from anyio.from_thread import BlockingPortal
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

__all__ = ["PROMPT", "Keyboard", "editing"]

PROMPT: Final = "> "
_CLOSED: Final = (anyio.BrokenResourceError, anyio.ClosedResourceError)
_REMEMBERED: Final = 1000
"""Lines of history that are kept."""


class Keyboard:
    """Reads lines in a thread of its own, which nobody has to wait for."""

    def __init__(self, *, interactive: bool) -> None:
        self.waiting = False
        """Whether the prompt stands at the end of the screen."""
        self.prompting = threading.Lock()
        """Held while the prompt is written, and by whoever else writes."""
        self._interactive = interactive
        self._put: MemoryObjectSendStream[str]
        self._lines: MemoryObjectReceiveStream[str]

    async def next(self) -> str | None:
        """Wait for the next line; ``None``: there is none any more."""
        try:
            return await self._lines.receive()
        except anyio.EndOfStream:
            return None

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """Read while the block runs."""
        self._put, self._lines = anyio.create_memory_object_stream[str](0)
        async with BlockingPortal() as portal:
            threading.Thread(target=self._read, args=(portal,), daemon=True).start()
            try:
                yield
            finally:
                self._lines.close()
                self._put.close()
                await portal.stop(cancel_remaining=True)

    def _read(self, portal: BlockingPortal) -> None:
        source = self._typed() if self._interactive else _piped()
        # What ends this early is the end of the portal, while a line was on its way.
        with suppress(RuntimeError, CancelledError, *_CLOSED):
            for line in source:
                if line.strip():
                    portal.call(self._put.send, line.strip())
            portal.call(self._put.aclose)

    def _prompts(self) -> None:
        self.prompting.acquire()

    def _prompted(self) -> None:
        self.waiting = True
        self.prompting.release()

    def _typed(self) -> Iterator[str]:
        with suppress(ImportError, AttributeError):
            import readline

            # Right before the prompt, and right behind it.
            readline.set_pre_input_hook(self._prompted)
            readline.set_startup_hook(self._prompts)
        while True:
            try:
                line = input(PROMPT)
            except EOFError:
                sys.stdout.write("\n")
                return
            finally:
                self.waiting = False
            yield line


def _piped() -> Iterator[str]:
    # Not by sys.stdin: a thread that waits in it holds a lock that Python wants to have
    # when it exits.
    rest = b""
    while data := os.read(sys.stdin.fileno(), 65_536):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace")
    yield rest.decode(errors="replace")


def _history() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "consumers" / "connect_history"


@contextmanager
def editing() -> Iterator[None]:
    """Let lines be edited, and remembered for the next time; tidy up the terminal."""
    try:
        import readline
        import termios
    except ImportError:  # where there is none, the terminal's own editing has to do
        yield
        return
    path = _history()
    with suppress(OSError):
        readline.read_history_file(path)
    terminal: list[Any] = termios.tcgetattr(sys.stdin)
    try:
        yield
    finally:
        # The thread that reads may be in the middle of a line, with echo turned off.
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, terminal)
        readline.set_history_length(_REMEMBERED)
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            readline.write_history_file(path)
