"""What attackers do: each returns what is wrong, nothing if it was fended off."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from consumers_tests.conformance.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    TEXT,
    bomb,
    frame,
    opened,
    push,
)
from consumers_tests.server.hostile import HANDSHAKES, RESET, attack, random_bytes
from consumers_tests.server.live import Server, handshake

__all__ = ["ASSAULTS", "Assault"]


def close_code(sock: socket.socket) -> int:
    """Read to the end; return the code of the close frame there, or 1006."""
    data = b""
    with suppress(OSError):
        while more := sock.recv(65536):
            data = data[-200:] + more
    start = data.rfind(b"\x88")
    return struct.unpack_from("!H", data, start + 2)[0] if start >= 0 else 1006


def expect(code: int, *allowed: int) -> str:
    """Return what is wrong with a code."""
    return "" if code in allowed else f"closed with {code}, expected {allowed}"


def handshakes(server: Server, scale: float) -> str:
    """Send all listed malformed handshakes, random ones, and one without an end."""
    address = (server.host, server.port)
    attack(address, HANDSHAKES.values())
    made = random_bytes(int(1000 * scale), seed=6)
    for start in range(0, len(made), 100):
        attack(address, made[start : start + 100])
    with server.raw(handshake()[:-2]) as sock:
        piece = (b"X: " + b"x" * 1019 + b"\r\n") * 1024
        push(sock, piece, max(64, int(200 * scale)))
        time.sleep(0.1)
    return ""


def payloads(server: Server, scale: float) -> str:
    """Send what no codec should choke on."""
    from consumers_tests.integration.test_hostile import payloads as made

    for payload, is_text in made(seed=6):
        with opened(server, "/echo" if is_text else "/binary") as sock:
            sock.settimeout(2)
            with suppress(OSError):
                sock.sendall(frame(TEXT if is_text else BINARY, payload))
                sock.sendall(frame(CLOSE, struct.pack("!H", 1000)))
            code = close_code(sock)
            if wrong := expect(code, 1000, 1003, 1006, 1007, 1008, 1009):
                return wrong
    with opened(server, "/json") as sock:
        sock.sendall(frame(TEXT, b"[" + b"[]," * 300_000 + b"1]"))
        if sock.recv(1) != b"\x88":
            return "300,001 values were taken"
    return ""


def decompression(server: Server, scale: float) -> str:
    """Send 200 MiB of zeros in 200 KiB, ten times."""
    packed = bomb(max(32, int(200 * scale)) << 20)
    for _ in range(max(2, int(10 * scale))):
        offer = "permessage-deflate"
        with opened(server, "/binary", Sec_WebSocket_Extensions=offer) as sock:
            sock.settimeout(2)
            with suppress(OSError):
                sock.sendall(packed)
            if wrong := expect(close_code(sock), 1009):
                return wrong
    return ""


def fragments(server: Server, scale: float) -> str:
    """Send a million empty fragments of one message."""
    with opened(server) as sock:
        sock.sendall(frame(TEXT, final=False))
        push(sock, frame(CONTINUATION, final=False) * 1000, max(20, int(1000 * scale)))
        sock.settimeout(2)
        return expect(close_code(sock), 1008)


def slow_headers(server: Server, scale: float) -> str:
    """Begin handshakes, and add a byte to each now and then."""
    data = handshake()
    socks = [server.raw(data[:20]) for _ in range(int(1000 * scale))]
    for turn in range(5):
        for sock in socks:
            with suppress(OSError):
                sock.sendall(data[20 + turn : 21 + turn])
        time.sleep(0.2 * min(1, scale * 2))
    late, left = time.monotonic() + 3, 0
    for sock in socks:
        with sock, suppress(ConnectionError):
            sock.settimeout(max(0.001, late - time.monotonic()))
            try:
                while sock.recv(4096):
                    pass
            except TimeoutError:
                left += 1
    return f"{left} of {len(socks)} are still connected" if left else ""


def slow_readers(server: Server, scale: float) -> str:
    """Have the server send a lot, and read nothing of it."""
    count = max(4, int(200 * scale))
    socks = [server.raw(handshake("/flood")) for _ in range(count)]
    time.sleep(max(2, 5 * scale))
    for sock in socks:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        sock.close()
    return ""


def pings(server: Server, scale: float) -> str:
    """Ping as fast as the answers come, then 16 at once, then without reading them."""
    with opened(server) as sock:
        for _ in range(int(2000 * scale)):
            sock.sendall(frame(PING, b"x" * 100) * 50)
            if not got(sock, 50 * 102):
                return "the server has closed who pings"
        with ExitStack() as others:
            socks = [sock, *(others.enter_context(opened(server)) for _ in range(15))]
            for _ in range(max(1, int(10 * scale))):
                for each in socks:
                    each.sendall(frame(PING) * 20_000)
                if not all(got(each, 20_000 * 2) for each in socks):
                    return "the server has closed one of many who ping"
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        sock.settimeout(1)
        with suppress(OSError):
            for _ in range(64):
                sock.sendall(frame(PING, b"x" * 119) * 8192)
        time.sleep(0.1)
    return ""


def got(sock: socket.socket, size: int) -> bool:
    """Read so many bytes; tell whether they came."""
    while size > 0 and (more := len(sock.recv(min(size, 65536)))):
        size -= more
    return size == 0


def closes(server: Server, scale: float) -> str:
    """Connect, close with what comes to mind, and go on sending."""
    payloads = (b"", b"\x03", struct.pack("!H", 4000), struct.pack("!H", 1005))
    for n in range(int(2000 * scale)):
        answer = b""
        with opened(server) as sock, suppress(OSError):
            payload = payloads[n // 2 % 4]
            sock.sendall(frame(CLOSE, payload) * 20 + frame(TEXT, b"x") * 20)
            if n % 2:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                continue
            sock.settimeout(2)
            while more := sock.recv(4096):
                answer += more
        if len(answer) > 1 and len(answer) != 2 + answer[1]:
            return f"a close frame was answered with {answer[:20]!r}"
    return ""


def storm(server: Server, scale: float) -> str:
    """Let 5,000 connect, drop them, and let them come back at once."""
    count = int(5000 * scale)
    for _ in range(2):
        socks = []
        for start in range(0, count, 100):
            batch = [server.raw(handshake()) for _ in range(min(100, count - start))]
            for sock in batch:
                if sock.recv(12) != b"HTTP/1.1 101":
                    return "somebody was not let in"
            socks += batch
        for sock in socks:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            sock.close()
    return ""


def hindering(server: Server, scale: float) -> str:
    """Have the application hold its event loop: the bystander must notice."""
    with opened(server, "/hindering"):
        pass
    return ""


@dataclass(frozen=True)
class Assault:
    """One kind of attack."""

    run: Callable[[Server, float], str]
    memory: int = 64
    """MiB by which the server may grow at most."""
    options: tuple[str, ...] = ()
    """For `consumers run`."""
    unguarded: tuple[str, ...] = ()
    """The same for the control, which must fail."""
    without: str = ""
    """Or what the control goes without: a function of `unguarded`."""
    control: float = 0.1
    """How much of the attack its control has. Mostly a tenth does: what all of it would
    cost is what the guard is for."""

    @property
    def what(self) -> str:
        """In a sentence."""
        return (self.run.__doc__ or "").strip()

    @property
    def has_control(self) -> bool:
        """Whether there is a guard that can be taken out."""
        return bool(self.unguarded or self.without)


_DEFLATE = "--ws-per-message-deflate"

ASSAULTS = {
    "handshakes": Assault(handshakes, memory=24, without="headers"),
    "payloads": Assault(payloads, without="items"),
    "decompression": Assault(
        decompression,
        memory=24,
        options=(_DEFLATE,),
        unguarded=(_DEFLATE, "--ws-max-size=999999999"),
    ),
    "fragments": Assault(fragments, unguarded=("--ws-max-frames=999999999",)),
    "slow headers": Assault(
        slow_headers,
        options=("--header-timeout=1",),
        unguarded=("--header-timeout=off",),
    ),
    "slow readers": Assault(slow_readers, memory=48, without="waiting"),
    "pings": Assault(pings, memory=24, without="waiting"),
    "closes": Assault(closes, without="closing"),
    "storm": Assault(
        storm, memory=256, unguarded=("--no-short-collections",), control=1.0
    ),
}
"""``{name: attack}``."""

CONTROL = Assault(hindering)
"""What the bystander has to notice."""
