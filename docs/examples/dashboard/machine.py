"""What a Linux machine is busy with, read from ``/proc``."""

import time
from collections.abc import Callable
from pathlib import Path

PROC = Path("/proc")


def meter(figure: str) -> Callable[[], float]:
    """Return a function that tells a figure: as it is, or since the last call."""
    return {
        "processors": processors,
        "memory": lambda: memory,
        "load": lambda: load,
        "network": network,
    }[figure]()


def processors() -> Callable[[], float]:
    """Return what tells how busy the processors were, in per cent."""
    before = ticks()

    def measure() -> float:
        nonlocal before
        now = ticks()
        worked, passed = (new - old for new, old in zip(now, before, strict=True))
        before = now
        return 100 * worked / max(passed, 1)

    return measure


def network() -> Callable[[], float]:
    """Return what tells how much was received, in KiB a second."""
    before, then = received(), time.monotonic()

    def measure() -> float:
        nonlocal before, then
        total, now = received(), time.monotonic()
        rate = (total - before) / 1024 / max(now - then, 0.001)
        before, then = total, now
        return rate

    return measure


def memory() -> float:
    """Return how much of the memory is in use, in per cent."""
    lines = (line.split(":") for line in (PROC / "meminfo").read_text().splitlines())
    kib = {name: int(value.split()[0]) for name, value in lines}
    return 100 * (1 - kib["MemAvailable"] / kib["MemTotal"])


def load() -> float:
    """Return how many processes wanted to run, over the last minute."""
    return float((PROC / "loadavg").read_text().split()[0])


def ticks() -> tuple[int, int]:
    """Return how long all processors have worked, and how long there was."""
    _, *words = (PROC / "stat").read_text().splitlines()[0].split()
    numbers = [int(word) for word in words[:8]]
    idle, waiting = numbers[3:5]
    return sum(numbers) - idle - waiting, sum(numbers)


def received() -> int:
    """Return how many bytes all network interfaces have received."""
    lines = (PROC / "net/dev").read_text().splitlines()[2:]
    return sum(int(line.split(":")[1].split()[0]) for line in lines)
