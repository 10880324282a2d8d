"""The layer of one process, against the suite for every layer."""

import pytest

from consumers.layers import Layer, MemoryLayer
from consumers_tests.layers.conformance import *  # noqa: F403  the tests
from consumers_tests.layers.conformance import MakeLayer


@pytest.fixture
def make_layer() -> MakeLayer:
    """Return what makes a layer of this process."""
    return MemoryLayer


def test_it_is_local() -> None:
    """It ends at this process, so nothing is encoded for it."""
    layer: Layer = MemoryLayer()

    assert layer.local
