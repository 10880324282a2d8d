"""An earlier commit beside what is here: its files, and what became of the costs."""

import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from consumers_tests.benchmarks.measure import Pair
from consumers_tests.benchmarks.processes import ROOT

__all__ = ["LEAST", "RevisionError", "checked_out", "verdict"]

LEAST = 0.02
"""A change that is smaller is none, however sure it is."""


class RevisionError(Exception):
    """There is no such commit; the text is git's."""


@contextmanager
def checked_out(revision: str, repository: Path = ROOT) -> Iterator[Path]:
    """Give a folder with `consumers` as it was, and today's benchmarks, for the block.

    The environment is today's as well: only the package differs.

    Raises:
        RevisionError: Git knows no such commit, or this is not a repository.
    """
    with tempfile.TemporaryDirectory() as folder:
        old, tree = Path(folder, "old"), Path(folder, "tree")
        _git(repository, "worktree", "add", "--detach", str(old), revision)
        try:
            tree.mkdir()
            (tree / "consumers").symlink_to(old / "consumers")
            (tree / "consumers_tests").symlink_to(repository / "consumers_tests")
            yield tree
        finally:
            _git(repository, "worktree", "remove", "--force", str(old))


def _git(repository: Path, *arguments: str) -> None:
    done = subprocess.run(
        ["git", *arguments], cwd=repository, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RevisionError(done.stderr.strip())


def verdict(changes: Sequence[Pair], noise: Sequence[Pair]) -> str:
    """Tell what became of a cost: "faster", "slower" or "same".

    It has changed if the median of the rounds lies outside of all that the same code
    measured beside itself gave, by 2 % at least, and all rounds but one in seven agree.

    Args:
        changes: What was, beside what is; a ratio above 1 is a gain.
        noise: What is, beside itself, in the same rounds.
    """
    ratios = [pair.ratio for pair in changes]
    middle = statistics.median(ratios)
    spread = [1 - LEAST, 1 + LEAST, *(pair.ratio for pair in noise)]
    doubtful = len(ratios) // 7
    if middle > max(spread) and sum(ratio <= 1 for ratio in ratios) <= doubtful:
        return "faster"
    if middle < min(spread) and sum(ratio >= 1 for ratio in ratios) <= doubtful:
        return "slower"
    return "same"
