"""WebSocket frames without input or output: the server's side of RFC 6455 and 7692.

Pure functions and classes on bytes; no event loop is imported here.

- ``incoming``: `Frames`, one connection: what comes in, checked; what goes out
- ``message``: one message that comes in parts
- ``outgoing``: frames as bytes, which are the same for each connection
- ``request``: the request that asks for a connection, read in one go
- ``handshake``: whether it may have one, and the answer to it
- ``deflate``: permessage-deflate, agreed on in the handshake
"""

from consumers.server.frames.deflate import Deflate, DeflateSettings, negotiate
from consumers.server.frames.handshake import (
    Handshake,
    Refusal,
    answer_handshake,
    check_handshake,
    check_header,
)
from consumers.server.frames.incoming import HIGH, Ended, Frames
from consumers.server.frames.outgoing import (
    TEXT_HEADERS,
    binary_frame,
    close_frame,
    frame,
    ping_frame,
    pong_frame,
    text_frame,
)
from consumers.server.frames.request import Request, read_request

__all__ = [
    "HIGH",
    "TEXT_HEADERS",
    "Deflate",
    "DeflateSettings",
    "Ended",
    "Frames",
    "Handshake",
    "Refusal",
    "Request",
    "answer_handshake",
    "binary_frame",
    "check_handshake",
    "check_header",
    "close_frame",
    "frame",
    "negotiate",
    "ping_frame",
    "pong_frame",
    "read_request",
    "text_frame",
]
