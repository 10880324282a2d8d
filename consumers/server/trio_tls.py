"""TLS over a connection's bytes."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from typing import Final

from consumers.server.trio_transport import Loop, Transport

__all__ = ["TlsTransport"]

_READ: Final = 64 * 1024


class TlsTransport(Transport):
    """A connected socket whose client speaks TLS. What is written waits for it."""

    __slots__ = ("_incoming", "_outgoing", "_tls", "_trusted")

    def __init__(
        self, sock: socket.socket, loop: Loop, context: ssl.SSLContext
    ) -> None:
        super().__init__(sock, loop)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._trusted = False  # the TLS handshake is done

    def write(self, data: bytes) -> None:
        """See :class:`Transport`."""
        if not self.is_gone:
            self._tls.write(data)
            super().write(self._outgoing.read())

    def gather(self, data: bytes) -> None:
        """See :class:`Transport`."""
        if not self.is_gone:
            self._tls.write(data)
            super().gather(self._outgoing.read())

    def close(self, *, linger: bool = False) -> None:
        """See :class:`Transport`. Does not wait for the client's end of TLS."""
        if not self.is_gone and self._trusted:
            with suppress(ssl.SSLError):
                self._tls.unwrap()
            super().write(self._outgoing.read())
        super().close(linger=linger)

    def _received(self, data: bytes) -> None:
        self._incoming.write(data)
        try:
            if not self._trusted:
                self._tls.do_handshake()
                self._trusted = True
            while not self.is_gone:
                plain = self._tls.read(_READ)
                if not plain:
                    self.receiver.eof_received()
                    return
                self.receiver.data_received(plain)
        except ssl.SSLWantReadError:
            pass
        finally:
            # A handshake that fails has an answer too: what is wrong.
            if self._outgoing.pending:
                super().write(self._outgoing.read())
