"""The servers: how each is started, and what must be there for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

__all__ = ["OWN", "SERVERS", "STOCK", "Recipe", "absent", "alone"]

HOST = "127.0.0.1"
# Longer than a measurement, which takes no pings for answers.
PINGS = ("--ws-ping-interval", "600")
QUIET = ("--log-level", "warning", "--no-access-log")


@dataclass(frozen=True)
class Recipe:
    """A server, or a way to run one."""

    command: Callable[[str, int], Sequence[str]]
    """Makes the arguments after `python -m` that serve MODULE:APP on a port."""

    needs: Sequence[str] = ()
    """Modules that must be there."""


def uvicorn(ws: str, loop: str, *needs: str, http: str = "auto") -> Recipe:
    """Uvicorn's own command line; it compresses for clients that offer it."""
    flags = ("--http", http, "--ws", ws, "--loop", loop, *QUIET)

    def command(app: str, port: int) -> Sequence[str]:
        return ["uvicorn", app, "--host", HOST, "--port", str(port), *flags, *PINGS]

    return Recipe(command, ("uvicorn", *needs))


def hypercorn(worker: str, *needs: str) -> Recipe:
    """Hypercorn in one process."""
    flags = ("-w", "0", "-k", worker, "--log-level", "warning")

    def command(app: str, port: int) -> Sequence[str]:
        return ["hypercorn", app, "-b", f"{HOST}:{port}", *flags]

    return Recipe(command, ("hypercorn", *needs))


def granian(loop: str) -> Recipe:
    """Granian with one worker, which is a process beside the one that is started."""
    flags = ("--interface", "asgi", "--workers", "1", "--log-level", "warning")

    def command(app: str, port: int) -> Sequence[str]:
        where = ("--host", HOST, "--port", str(port), "--loop", loop)
        return ["granian", app, *where, *flags]

    return Recipe(command, ("granian",))


def daphne(app: str, port: int) -> Sequence[str]:
    """Channels' own server, on Twisted."""
    return ["daphne", "-b", HOST, "-p", str(port), "-v", "0", app]


def consumers(backend: str, *needs: str) -> Recipe:
    """Our own command line."""
    flags = (*("--host", HOST, "--backend", backend, "--log-level", "warning"), *PINGS)
    more = ("--no-access-log", "--ws-per-message-deflate")

    def command(app: str, port: int) -> Sequence[str]:
        return ["consumers", "run", app, "--port", str(port), *flags, *more]

    return Recipe(command, needs)


def alone(*flags: str) -> Recipe:
    """A peer that brings its own server: its module is run with the port."""

    def command(app: str, port: int) -> Sequence[str]:
        return [app, str(port), *flags]

    return Recipe(command)


OWN = "consumers.server.uvicorn"
ENTRANCE = "consumers.server.entrance:Entrance"
STOCK = "uvicorn-websockets-sansio-uvloop"
SERVERS = {
    **{
        f"uvicorn-{ws}-{loop}": uvicorn(ws, loop)
        for ws in ("websockets-sansio", "websockets", "wsproto")
        for loop in ("uvloop", "asyncio")
    },
    **{
        # As `consumers run` has it.
        f"uvicorn-own-{loop}": uvicorn(f"{OWN}:Protocol", loop, OWN, http=ENTRANCE)
        for loop in ("uvloop", "asyncio")
    },
    "consumers-asyncio": consumers("asyncio"),
    "consumers-trio": consumers("trio", "trio"),
    "hypercorn-uvloop": hypercorn("uvloop"),
    "hypercorn-asyncio": hypercorn("asyncio"),
    "hypercorn-trio": hypercorn("trio", "trio"),
    "granian-uvloop": granian("uvloop"),
    "granian-asyncio": granian("asyncio"),
    "daphne": Recipe(daphne, ("daphne",)),
}


def absent(needs: Sequence[str], tree: Path | None = None) -> list[str]:
    """Return the modules that are not there.

    Args:
        needs: Their full names.
        tree: Where this project's own are looked for, if not here.
    """
    return [name for name in needs if not _found(name, tree)]


@lru_cache
def _found(name: str, tree: Path | None) -> bool:
    if tree is not None and name.split(".", maxsplit=1)[0] == "consumers":
        place = tree.joinpath(*name.split("."))
        return place.is_dir() or place.with_suffix(".py").is_file()
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False
