"""The handshake: who may connect, and how one is refused."""
