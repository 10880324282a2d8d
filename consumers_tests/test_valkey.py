"""The ports of the servers that tests start."""

from consumers_tests.valkey import free_port


def test_nobody_is_given_the_port_of_another() -> None:
    """A port is free until whoever was given it listens, and is not given again."""
    ports = [free_port() for _ in range(300)]

    assert len(set(ports)) == len(ports)
