"""The `consumers.v1` subprotocol: its ``frames``, ``reading`` and ``writing`` of them.

Specified in `docs/reference/protocol.md`. Pure: `consumers.runtime.session` speaks it.
"""

from .frames import PROTOCOLS, VERSION, spoken

__all__ = ["PROTOCOLS", "VERSION", "spoken"]
