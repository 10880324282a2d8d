"""picows alone: callbacks in place of tasks, frames in Cython. `python -m … PORT`.

With `once` a publication's frame is built once, and its bytes are written to every
transport; else picows builds one for each member. With `plain` the transports are
uvloop's, and not those of aiofastnet, which picows takes where it is installed.
"""

import sys
from typing import TYPE_CHECKING, Any

import msgspec
import uvloop
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_create_server,
)

from consumers_tests.benchmarks.frames import server_frame

decode = msgspec.json.Decoder(dict[str, object]).decode
encode = msgspec.json.Encoder().encode
members: set[WSTransport] = set()
once = "once" in sys.argv


class Listener(WSListener):
    """What all kinds do; each says by `on_text` what becomes of a text."""

    if TYPE_CHECKING:

        def on_text(self, transport: WSTransport, frame: WSFrame) -> None: ...

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            self.on_text(transport, frame)
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()


class Echo(Listener):
    def on_text(self, transport: WSTransport, frame: WSFrame) -> None:
        transport.send(WSMsgType.TEXT, frame.get_payload_as_utf8_text())


class JsonEcho(Listener):
    def on_text(self, transport: WSTransport, frame: WSFrame) -> None:
        message = decode(frame.get_payload_as_utf8_text())
        message["type"] = "chat.reply"
        transport.send(WSMsgType.TEXT, encode(message))


class Broadcast(Listener):
    def on_ws_connected(self, transport: WSTransport) -> None:
        members.add(transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        members.discard(transport)

    def on_text(self, transport: WSTransport, frame: WSFrame) -> None:
        payload = frame.get_payload_as_bytes()
        if once:
            whole = server_frame(payload)
            for member in members:
                member.underlying_transport.write(whole)
        else:
            for member in members:
                member.send(WSMsgType.TEXT, payload)


routes: dict[bytes, type[Listener]] = {
    b"/echo": Echo,
    b"/json": JsonEcho,
    b"/broadcast": Broadcast,
}


def listener(request: WSUpgradeRequest) -> Listener:
    return routes[request.path]()


async def main(port: int) -> None:
    options: dict[str, Any] = {"use_aiofastnet": False} if "plain" in sys.argv else {}
    server = await ws_create_server(listener, "127.0.0.1", port, **options)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
