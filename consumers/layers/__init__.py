"""Layers: what carries publications between the processes of one application.

============ ===========================================================================
module       what it is about
============ ===========================================================================
contract     what a layer promises, what it is given and what it gives
memory       the layer of an application that is one process
memory_store what such layers share: ``memory_history`` and ``memory_presence``
redis        the layer of several processes, on a Redis or Valkey server
by_url       which of them a URL names
============ ===========================================================================
"""

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
