"""Tests of layers, and what any layer can be tested with."""
