"""The inspector: a page that shows what an application's connections do, live.

- ``inspector``: where the page is, who may look, and its routes
- ``tap``: counts and keeps the frames of one connection, between it and the server
- ``record``: what is left of connections that have ended
- ``looking``: the consumer behind the page: what it is told, and what it may ask for
- ``survey``: one look at all connections and groups, which lets others run meanwhile
- ``shown``: what is shown of a message: short, and without secrets
"""

from .inspector import Inspector

__all__ = ["Inspector"]
