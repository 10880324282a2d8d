"""TLS over a connection's bytes."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable

import pytest
import trio

from consumers.server.trio_tls import TlsTransport
from consumers.server.trio_transport import Transport
from consumers_tests.server.test_tls import PEM
from consumers_tests.server.wires import Receiver, read, run


def test_tls_is_spoken_in_any_pieces(caplog: pytest.LogCaptureFixture) -> None:
    """Byte by byte, both ways, to the end of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)

    async def test(
        transport: Transport, receiver: Receiver, peer: socket.socket
    ) -> None:
        # The same socket, with TLS over it.
        secure = TlsTransport(transport.sock.dup(), transport.loop, context)
        secure.receiver = told = Receiver()
        transport.abort()
        secure.start()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = ssl.create_default_context(cafile=PEM).wrap_bio(
            incoming, outgoing, server_hostname="localhost"
        )

        async def step(call: Callable[[], bytes | None]) -> bytes | None:
            while True:
                try:
                    result, waits = call(), False
                except ssl.SSLWantReadError:
                    waits = True
                for byte in outgoing.read():
                    peer.sendall(bytes([byte]))
                if not waits:
                    return result
                incoming.write(await trio.to_thread.run_sync(peer.recv, 65536))

        await step(client.do_handshake)
        await step(lambda: bytes(client.write(b"hello")))
        await told.until(lambda: told.data == b"hello")
        secure.write(b"first ")
        secure.gather(b"second")
        assert await step(lambda: client.read(6)) == b"first "
        assert await step(lambda: client.read(6)) == b"second"
        with pytest.raises(ssl.SSLWantReadError):
            client.unwrap()
        peer.sendall(outgoing.read())
        await told.until_told("eof")
        secure.close()
        assert told.told == ["eof", "lost"]
        assert read(peer)  # the end of TLS

    run(test)
    assert caplog.records == []
