"""Servers: over real sockets, with `websockets` as the client."""
