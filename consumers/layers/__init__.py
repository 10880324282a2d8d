"""Layers: what carries publications between the processes of one application."""

from .contract import Deliver, Layer
from .memory import MemoryLayer

__all__ = ["Deliver", "Layer", "MemoryLayer"]
