"""A server is killed: its clients, its presence and its source go to the other one."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

from websockets.sync.client import ClientConnection

from .broker import Load, Run
from .jobs import Settings
from .report import Outcome
from .stage import Stage, connected

__all__ = ["killed"]

GRACE = 1.5
"""Seconds, beyond what is stated, for a busy machine, and to look."""


def tick(client: ClientConnection, seconds: float) -> dict[str, Any]:
    """Return what the source tells next."""
    found: dict[str, Any] = json.loads(client.recv(timeout=seconds))
    return found


def killed(backend: str, seed: int, load: Load, control: str = "") -> Outcome:
    """Kill one of two servers: that of the source, or in every third run the other."""
    random = Random(seed)
    # A control: who comes back does not say where it stands.
    resume = control != "positions"
    lease = 600.0 if control == "leases" else load.lease
    presence_bound, source_bound = load.lease * 4 / 3 + GRACE, load.lease + GRACE
    with Stage(backend, Settings(without=control, lease=lease)) as stage:
        stage.start_broker()
        stage.start_servers(2)
        first, second = stage.servers
        with (
            connected(first, "/watcher/x") as one,
            connected(second, "/watcher/x") as two,
        ):
            run = Run(stage, load, random, seed, resume=resume, path="/present/{group}")
            holder = tick(one, 20)["pid"]
            victim, survivor = first, second
            if (holder == first.pid) == (seed % 3 == 2):
                victim, survivor = second, first
            watcher = two if survivor is second else one
            run.start(servers=[survivor])
            at = run.reach(random.uniform(0.3, 0.6))
            victim.kill()
            dead = time.monotonic()
            stage.servers.remove(victim)
            with ThreadPoolExecutor(1) as pool:
                moves = holder == victim.pid
                source = pool.submit(
                    taken_over, watcher, dead, moves, victim.pid, source_bound
                )
                query = f"present=&group={run.groups[0]}"
                gone = 0.0
                while str(victim.pid) in survivor.state(query).present:
                    gone = time.monotonic() - dead
                    if gone > 2 * presence_bound:
                        break
                    time.sleep(0.05)
                silent = source.result()
            judged = run.finish()
            outcome = run.outcome(judged, seed, control)
            outcome.cells |= {
                "killed": "source's" if holder == victim.pid else "other",
                "broken at": at,
                "presence gone, s": gone,
                "source silent, s": silent,
            }
            if gone > presence_bound:
                outcome.problems.append(f"presence of the dead stays for {gone:.1f} s")
            if silent > source_bound:
                outcome.problems.append(f"the source is silent for {silent:.1f} s")
            if judged.note.told and resume:
                outcome.problems.append(f"{judged.note.told} were told recovered=False")
            present = survivor.state(query).present
            if present != {str(survivor.pid): judged.note.clients}:
                outcome.problems.append(f"in the end {present} are present")
        return outcome


def taken_over(
    watcher: ClientConnection, dead: float, moves: bool, victim: int, bound: float
) -> float:
    """Return for how long the source was silent after a moment.

    Where it lived in the dead server, until it speaks from another; else the longest
    pause that it made.
    """
    limit = 2 * bound
    longest, last = 0.0, dead
    try:
        while time.monotonic() < dead + (limit if moves else bound):
            said = tick(watcher, limit)
            now = time.monotonic()
            if said["at"] < dead:
                continue
            longest, last = max(longest, now - last), now
            if moves and said["pid"] != victim:
                return longest
    except TimeoutError:
        return limit
    return longest
