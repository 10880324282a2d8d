"""Schema: what an application's clients may send and get, for other programs to read.

Read from the URL table and the consumers' plans; no connection and no event loop.

========== =============================================================================
module     what it is about
========== =============================================================================
described  the plain description that all others are made of; ``docstrings`` in it
payloads   JSON schemas of the types of messages
asyncapi   a document of AsyncAPI 3; ``words`` where that takes no schema
typescript the types of messages, and a client for each channel
page       the page that shows all of it, and tries it
========== =============================================================================
"""

from .asyncapi import asyncapi
from .typescript import typescript

__all__ = ["asyncapi", "typescript"]
