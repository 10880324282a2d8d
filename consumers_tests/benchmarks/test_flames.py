"""Flame graphs: what is read from a sampler's stacks, and drawn."""

from consumers_tests.benchmarks.flames import drawn, frames

STACKS = [
    "run (loop.c:1);Runtime.run (/home/consumers/runtime.py:64);write (libc.so.6) 30",
    "run (loop.c:1);Runtime.run (/home/consumers/runtime.py:64) 10",
    "run (loop.c:1);Py_DECREF (object.h:5);read (libc.so.6) 60",
    "run (loop.c:1);epoll_pwait (libc.so.6) 900",
]


def test_stacks_are_counted_by_what_calls_what() -> None:
    """A frame has the samples of all that it called, and waiting is not counted."""
    root = frames(STACKS)

    assert (root.name, root.samples) == ("run (loop.c:1)", 100)
    assert {name: each.samples for name, each in root.calls.items()} == {
        "Runtime.run (consumers/runtime.py:64)": 40,
        "read (libc.so.6)": 60,
    }


def test_what_all_stacks_share_is_left_out() -> None:
    """The picture begins where there is something to tell apart."""
    root = frames([f"main (a.py);{stack}" for stack in STACKS])

    assert root.name == "run (loop.c:1)"


def test_a_picture_has_a_box_for_each_frame() -> None:
    """Its width is the frame's share, which a tip tells; no folder is told."""
    picture = drawn("An echo", frames(STACKS))

    assert "<title>Runtime.run (consumers/runtime.py:64): 40.0%</title>" in picture
    assert 'width="368.0"' in picture
    assert "home" not in picture


def test_what_cannot_be_seen_is_not_drawn() -> None:
    """A frame of less than a five-hundredth has no box."""
    picture = drawn("An echo", frames([*STACKS, "run (loop.c:1);rare (a.py:1) 0"]))

    assert "rare" not in picture
