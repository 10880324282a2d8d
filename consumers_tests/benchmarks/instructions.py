"""How many instructions a message takes, counted by valgrind: nothing disturbs that.

    python -m consumers_tests.benchmarks.instructions
    python -m consumers_tests.benchmarks.instructions echo1 broadcast --server ours

A server's class is fed with frames in process, on asyncio's event loop, and writes to a
transport that does nothing: what is counted is Python's work, and not the kernel's.
Counting begins after some messages, when Python has specialised what it runs. What is
beyond raw ASGI is the framework's own, and the application's hook.

The same code gives the same figure within a few hundredths, so that changes can be seen
that are far too small for a clock: in a checkout of another commit it counts that one.
These are no times: an instruction that waits for memory counts as any other. Of
`churn` a hundredth is chance: what meets in Python's cache of methods. Needs valgrind
with its headers, and a C compiler.
"""

import argparse
import asyncio
import ctypes
import gc
import importlib
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.server import ServerState

from consumers.runtime import watchdog
from consumers_tests.benchmarks.catalogue import MESSAGE, SAY
from consumers_tests.benchmarks.frames import BYE, CLOSE, client_frame, request

PEERS = {"raw ASGI": "raw", "consumers": "consumers_app"}
SERVERS = {
    "stock": "uvicorn.protocols.websockets.websockets_sansio_impl:"
    "WebSocketsSansIOProtocol",
    "ours": "consumers.server.uvicorn:Protocol",
}
COUNTER = """
#include <valgrind/callgrind.h>
void begin(void) { CALLGRIND_START_INSTRUMENTATION; CALLGRIND_ZERO_STATS; }
void end(void) { CALLGRIND_DUMP_STATS; CALLGRIND_STOP_INSTRUMENTATION; }
"""


@dataclass(frozen=True)
class Load:
    """What is sent to a server."""

    path: str
    text: str = "jackdaws love my big sphinx of quartz"
    window: int = 1
    """Messages in one read of the server's."""
    members: int = 1
    """Connections that get each of them."""
    rounds: int = 300
    """So many reads are counted."""

    @property
    def count(self) -> int:
        """The messages, deliveries or connections that are counted."""
        return self.rounds * self.window * max(self.members, 1)


LOADS = {
    "echo1": Load("/echo"),
    "echo16": Load("/echo", window=16, rounds=20),
    "json": Load("/json", json.dumps(MESSAGE), window=16, rounds=20),
    "typed": Load("/typed", json.dumps(SAY), window=16, rounds=20),
    "view": Load("/view", window=16, rounds=20),
    "broadcast": Load("/broadcast", members=500, rounds=10),
    "churn": Load("/echo", members=0, rounds=60),
}


class Transport(asyncio.Transport):
    """Takes all, and sends nothing."""

    taken: Final = [0]
    """How often they were written to. No number: it is slow to change a class."""

    def __init__(self, protocol: Any) -> None:
        super().__init__()
        self._protocol = protocol
        self._closed = False

    def write(self, data: object) -> None:
        """Drop it."""
        self.taken[0] += 1

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            loop = asyncio.get_running_loop()
            loop.call_soon(self._protocol.connection_lost, None)

    abort = close

    def is_closing(self) -> bool:
        return self._closed

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        """Go on all the same: nothing comes that was not asked for."""

    def resume_reading(self) -> None:
        """Go on."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name in ("peername", "sockname") else default


class Counted:
    """An application on a server's class, in this process."""

    def __init__(self, peer: str, server: str) -> None:
        module = importlib.import_module(f"consumers_tests.benchmarks.peers.{peer}")
        self.config = Config(
            module.app,
            ws=SERVERS[server],
            log_level="warning",
            ws_per_message_deflate=False,
        )
        self.config.load()
        self.state = ServerState()

    def connect(self, path: str) -> Any:
        """Return the server's side of a new connection."""
        made: Any = self.config.ws_protocol_class
        protocol = made(config=self.config, server_state=self.state, app_state={})
        protocol.connection_made(Transport(protocol))
        protocol.data_received(request(8000, path))
        return protocol

    async def live(self, path: str) -> None:
        """Have a client come and leave."""
        protocol = self.connect(path)
        await turns()
        protocol.data_received(client_frame(BYE, CLOSE))
        await self.over()

    async def over(self) -> None:
        """Wait until all connections have ended."""
        while self.state.connections or self.state.tasks:  # noqa: ASYNC110  uvicorn's
            await asyncio.sleep(0)

    async def count(self, load: Load, counter: ctypes.CDLL) -> None:
        """Have counted what a load takes."""
        protocols = [self.connect(load.path) for _ in range(load.members)]
        await turns()
        frames = client_frame(load.text.encode()) * load.window

        async def go() -> None:
            if protocols:
                due = Transport.taken[0] + len(protocols)
                protocols[0].data_received(frames)
                await turns(3)
                while (
                    Transport.taken[0] < due
                ):  # those that have to wait for their turn
                    await turns(1)
            else:
                await self.live(load.path)

        for _ in range(5):
            await go()
        counter.begin()
        for _ in range(load.rounds):
            await go()
        counter.end()
        for protocol in protocols:
            protocol.connection_lost(None)
        await self.over()


async def turns(count: int = 8) -> None:
    """Let the event loop turn."""
    for _ in range(count):
        await asyncio.sleep(0)


async def count_all(peer: str, server: str, loads: list[str], library: Path) -> None:
    """Have all loads of one application counted, in their order."""
    logging.disable()
    gc.disable()
    # It goes by the clock, which is fifty times as fast as what runs under valgrind.
    watchdog.PERIOD = 3600  # type: ignore[misc]
    counter, counted = ctypes.CDLL(str(library)), Counted(peer, server)
    for load in loads:
        await counted.count(LOADS[load], counter)


def started(peer: str, server: str, loads: list[str]) -> list[float]:
    """Return an application's figures, from a process of its own under valgrind."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        library, counts = folder / "counter.so", folder / "counts"
        (folder / "counter.c").write_text(COUNTER)
        compiler = ["cc", "-shared", "-fPIC", "-o", str(library), "counter.c"]
        subprocess.run(compiler, cwd=folder, check=True)
        tool = ["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no"]
        told = ["--library", str(library), "--peer", peer, "--server", server, *loads]
        assert __spec__ is not None
        module = [sys.executable, "-m", __spec__.name]
        subprocess.run(
            [*tool, f"--callgrind-out-file={counts}", *module, *told],
            env=os.environ | {"PYTHONHASHSEED": "0"},
            check=True,
        )
        return [
            _total(counts.with_suffix(f".{number}")) / LOADS[load].count
            for number, load in enumerate(loads, 1)
        ]


def _total(counts: Path) -> int:
    found = re.search(r"^totals: (\d+)", counts.read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("loads", nargs="*", metavar="LOAD", help=", ".join(LOADS))
    parser.add_argument("--server", choices=SERVERS, default="stock")
    parser.add_argument("--library", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    options = parser.parse_args()
    loads = options.loads or list(LOADS)
    if unknown := set(loads) - set(LOADS):
        parser.error(f"no such load: {', '.join(sorted(unknown))}")
    if options.library is not None:  # under valgrind
        asyncio.run(count_all(options.peer, options.server, loads, options.library))
        return
    with ThreadPoolExecutor() as pool:
        raw, ours = pool.map(
            lambda peer: started(peer, options.server, loads), PEERS.values()
        )
    print(f"{'':10}" + "".join(f"{name:>12}" for name in (*PEERS, "beyond", "%")))
    for load, ceiling, figure in zip(loads, raw, ours, strict=True):
        beyond = figure - ceiling
        row = (ceiling, figure, beyond)
        share = f"{100 * beyond / ceiling:12.1f}"
        print(f"{load:10}" + "".join(f"{each:12,.0f}" for each in row) + share)


if __name__ == "__main__":
    main()
