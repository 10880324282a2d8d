"""Tests of `consumers`: `test_<module>.py` for each module, and whole-package ones."""
