"""Tests of `consumers.v1`: its page, and what it makes of clients that err."""
