"""An honest client: says something every so often, until its input ends.

``python -m consumers_tests.attacks.bystander PORT PID``; then it prints how long
the answers took: ``{"echoes": 120, "longest": 0.004, "median": 0.001}``, in seconds.
``held`` is the longest without what this process and the server's stood in line for a
processor, which on a busy machine is the doing of others.
"""

from __future__ import annotations

import gc
import json
import select
import socket
import sys
import time
from statistics import median

from consumers_tests.conformance.frames import TEXT, frame
from consumers_tests.server.live import handshake
from consumers_tests.stopwatch import Stopwatch

PAUSE = 0.02  # seconds between two


def main() -> None:
    """Connect and go on."""
    sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=20)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(handshake())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += sock.recv(1)
    print("ready", flush=True)
    gc.disable()
    took, held, server = [], 0.0, int(sys.argv[2])
    while not select.select([sys.stdin], [], [], PAUSE)[0]:
        watch, began = Stopwatch(server), time.perf_counter()
        sock.sendall(frame(TEXT, b"hello"))
        left = 7
        while left:
            data = sock.recv(left)
            if not data:
                raise ConnectionError("the server has closed the bystander")
            left -= len(data)
            while data[:1] == b"\x89":  # a ping, whose answer nobody waits for
                left += 2 + data[1]
                data = b""
        took.append(time.perf_counter() - began)
        held = max(held, watch.seconds())
    figures = {"echoes": len(took), "longest": max(took), "held": held}
    figures["median"] = median(took)
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
