"""Layers: what carries publications between the processes of one application."""

from .by_url import layers_by_url
from .contract import (
    Carried,
    Changes,
    Count,
    Entry,
    Kept,
    Layer,
    Overview,
    Parcel,
    Receiver,
    Renewal,
    Replay,
)
from .memory import MemoryLayer
from .memory_store import MemoryStore

__all__ = [
    "Carried",
    "Changes",
    "Count",
    "Entry",
    "Kept",
    "Layer",
    "MemoryLayer",
    "MemoryStore",
    "Overview",
    "Parcel",
    "Receiver",
    "Renewal",
    "Replay",
    "layers_by_url",
]
