"""The framework over real sockets, with a client that is not ours."""
