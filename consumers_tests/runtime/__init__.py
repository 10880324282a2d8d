"""The runtime: connections in process, from their handshake to their end."""
