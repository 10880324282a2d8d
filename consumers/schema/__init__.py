"""Schema: what an application's clients may send and get, for other programs to read.

Read from the URL table and the consumers' plans; no connection and no event loop.
"""

from .asyncapi import asyncapi
from .typescript import typescript

__all__ = ["asyncapi", "typescript"]
