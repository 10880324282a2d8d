"""Testing applications: in process and in virtual time, or over real sockets.

- ``client``: an application, its lifespan, its time, and connections to it
- ``connection``: one connection, as the client's end of it; ``link``: both ends
- ``dialling``: the Python client of ``consumers.client``, in process
- ``outcomes``: what a test is told when it did not go as expected
- ``transport``, ``lifespan``, ``http``, ``scopes``: the server's side, in process
- ``calls``, ``background``, ``settling``: tasks, and when they are done
- ``live``: a server on a free port of this machine
- ``fixtures``: for ``pytest_plugins``
"""

from .client import TestClient
from .connection import ClientConnection
from .http import Response
from .live import LiveServer
from .outcomes import Closed, Refused
from .transport import ServerStyle

__all__ = [
    "ClientConnection",
    "Closed",
    "LiveServer",
    "Refused",
    "Response",
    "ServerStyle",
    "TestClient",
]
