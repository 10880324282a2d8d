"""Tests of layers, and what any layer can be tested with."""

import pytest

# No test module by its name, yet its assertions should say what they compared.
pytest.register_assert_rewrite("consumers_tests.layers.conformance")
