"""Queues: what waits, in which order, and what becomes of it."""
