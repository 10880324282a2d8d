"""Serving an application: on asyncio with uvicorn, on trio by itself.

================= ======================================================================
module            what it is about
================= ======================================================================
options           every setting of a server, its default, and what may not be combined
run               the blocking call for a program's end; owns signals and the process
serve             the same inside a running event loop; for tests and for embedding
loading           from ``MODULE:APP`` to an application, or to a clear error
processes         several workers, and reloading
on_asyncio        uvicorn, started and ended by us; ``on_trio``: a server of our own
sockets           what both are given, with ``tls`` and ``logs``
lifespan          how either starts; ``shutdown``: how it is told to end
limiting          an upper bound on concurrent connections, the same on both
loops             which event loop, and the call that runs it
collecting        Python's garbage collector, kept from holding clients up
frames            the engine of WebSockets, and ``http1`` that of HTTP: bytes alone
exchange          one WebSocket between a peer and an application, without any I/O
keepalive         pings to all connections of a loop; ``pacing``: whose turn it is
uvicorn           our protocol class for its ``ws``; ``uvicorn_http``: for ``http``
entrance          which of the two a new connection of uvicorn's gets
asyncio_websocket a WebSocket on asyncio; ``asyncio_writing`` is what it has to write
corking           written once per turn of the loop; ``deadlines``: on one timer
trio_server       what its connections share: ``trio_poller``, ``trio_timers``
trio_transport    a connection's bytes; ``trio_tls`` over them
trio_http         HTTP/1.1 on trio; ``trio_websocket``: a WebSocket there
================= ======================================================================
"""

from consumers.server.options import Options
from consumers.server.run import run

__all__ = ["Options", "run"]
