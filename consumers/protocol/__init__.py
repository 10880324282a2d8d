"""The `consumers.v1` subprotocol: its frames, and how they are written and read.

Specified in `docs/reference/protocol.md`. Pure: `consumers.runtime.session` speaks it.
"""

from .frames import PROTOCOLS, VERSION, spoken

__all__ = ["PROTOCOLS", "VERSION", "spoken"]
