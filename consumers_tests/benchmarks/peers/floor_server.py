"""The floor: what the kernel takes for a message, and hardly more. `… PORT`.

No server, but a bound for all of them. The answer to a read is worked out when these
bytes come for the first time, and looked up from then on. So what remains is `epoll`,
`recv` and `send`, and what Python needs to call them: what a framework would cost if
parsing, dispatch and framing were free. A read that ends within a frame is waited for
until it is whole, since the load's frames come whole or in long runs.
"""

import json
import select
import socket
import sys
from collections.abc import Iterator

from consumers_tests.benchmarks.frames import ACCEPT, CLOSE, server_frame

MOST_ANSWERS = 1000
HEADER = 6  # bytes before a short payload, mask included
UPGRADE = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + ACCEPT + b"\r\n\r\n"
)


class Peer:
    """A connection: its socket, its route once that is known, and what it began."""

    __slots__ = ("begun", "path", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.path = ""
        self.begun = b""


class Floor:
    """Everything there is: one thread that waits for all sockets."""

    def __init__(self, port: int) -> None:
        self.listener = socket.create_server(("127.0.0.1", port), backlog=2048)
        self.poll = select.epoll()
        self.poll.register(self.listener, select.EPOLLIN)
        self.peers: dict[int, Peer] = {}
        self.members: dict[int, socket.socket] = {}
        self.answers: dict[tuple[str, bytes], bytes] = {}

    def run(self) -> None:
        accepting = self.listener.fileno()
        while True:
            for number, _ in self.poll.poll():
                if number == accepting:
                    self.accept()
                else:
                    self.read(number, self.peers[number])

    def accept(self) -> None:
        sock, _ = self.listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.peers[sock.fileno()] = Peer(sock)
        self.poll.register(sock, select.EPOLLIN)

    def read(self, number: int, peer: Peer) -> None:
        try:
            data = peer.sock.recv(262144)
        except ConnectionError:
            data = b""
        if data and not peer.path:
            peer.path = data.split(b" ", 2)[1].decode()
            peer.sock.sendall(UPGRADE)
            if peer.path == "/broadcast":
                self.members[number] = peer.sock
            return
        if peer.begun:
            data, peer.begun = peer.begun + data, b""
        answer = self.answers.get((peer.path, data)) or self.learn(peer, data)
        if answer:
            self.write(peer, answer)
        if not data or answer.startswith(bytes([0x80 | CLOSE])):
            self.members.pop(number, None)
            del self.peers[number]
            peer.sock.close()

    def write(self, peer: Peer, answer: bytes) -> None:
        if peer.path == "/broadcast" and not answer.startswith(bytes([0x80 | CLOSE])):
            for sock in self.members.values():
                sock.sendall(answer)
        else:
            peer.sock.sendall(answer)

    def learn(self, peer: Peer, data: bytes) -> bytes:
        frames = [*whole_frames(data)]
        used = sum(size for size, _, _ in frames)
        peer.begun = data[used:]
        answer = b"".join(
            server_frame(answered(peer.path, opcode, payload), opcode)
            for _, opcode, payload in frames
        )
        if used == len(data) and len(self.answers) < MOST_ANSWERS:
            self.answers[peer.path, data] = answer
        return answer


def whole_frames(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield (size, opcode, payload) of each masked frame that is there whole."""
    at = 0
    while len(data) - at >= HEADER:
        length, wide = data[at + 1] & 0x7F, 0
        if length > 125:
            wide = 2 if length == 126 else 8
            length = int.from_bytes(data[at + 2 : at + 2 + wide], "big")
        size = HEADER + wide + length
        if len(data) - at < size:
            return
        mask = data[at + 2 + wide : at + HEADER + wide]
        masked = data[at + HEADER + wide : at + size]
        payload = bytes(byte ^ mask[n % 4] for n, byte in enumerate(masked))
        yield size, data[at] & 0x0F, payload
        at += size


def answered(path: str, opcode: int, payload: bytes) -> bytes:
    """Return what the answer to a payload carries."""
    if path != "/json" or opcode == CLOSE:
        return payload
    message = json.loads(payload)
    message["type"] = "chat.reply"
    return json.dumps(message).encode()


if __name__ == "__main__":
    Floor(int(sys.argv[1])).run()
