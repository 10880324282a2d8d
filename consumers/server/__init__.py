"""Serving an application: on asyncio with uvicorn, on trio by itself.

- ``options``: every setting of a server, its default, and what may not be combined
- ``run``: the blocking call for a program's end; owns signals and the process
- ``serve``: the same inside a running event loop; for tests and for embedding
- ``loading``: from ``MODULE:APP`` to an application, or to a clear error
- ``sockets``, ``tls``, ``logs``: what both servers are given
- ``lifespan``, ``shutdown``: how a server starts and ends, the same on both
- ``limiting``: an upper bound on concurrent connections, the same on both
- ``on_asyncio``, ``on_trio``: the two servers
- ``loops``: which event loop, and the call that runs it
- ``processes``: several workers, and reloading
"""

from consumers.server.options import Options
from consumers.server.run import run

__all__ = ["Options", "run"]
