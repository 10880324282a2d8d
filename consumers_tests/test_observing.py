"""Observers: who is told, and what one that fails does."""

import logging

import pytest

from consumers import App, WebSocketRoute
from consumers.observing import NOBODY, Observer, Observers, observe
from consumers.testing import TestClient
from consumers_tests.observers import Echo, Watching


class Broken(Observer):
    def opened(self, connection: object, seconds: float) -> None:
        raise ZeroDivisionError

    def handled(self, *told: object) -> None:
        raise ZeroDivisionError


def test_only_what_is_overridden_is_wanted() -> None:
    """An observer costs nothing where it does not listen."""
    observers = Observers([Broken()])

    assert observers.wants("handling", "handled")
    assert not observers.wants("publishing", "published")
    assert not observers.counts_traffic
    assert not NOBODY.wants("handled")


def test_one_observer_is_told_once() -> None:
    """However often it was passed on."""
    observer = Watching()

    Observers([observer, observer]).tell("failed", None, ValueError())

    assert observer.told == [("failed", ValueError)]


async def test_a_failing_observer_harms_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is logged once; the connection, and who is told after it, notice nothing."""
    after = Watching()
    app = App([WebSocketRoute("/", Echo)], observers=[Broken(), after])
    with caplog.at_level(logging.ERROR, "consumers"):
        async with TestClient(app) as client:
            for _ in range(2):
                async with client.connect("/") as ws:
                    await ws.send("hello")
                    assert await ws.receive() == "hello"

    assert [record.message.partition(" ")[0] for record in caplog.records] == [
        "observer"
    ]
    assert after.names().count("closed") == 2


async def test_a_process_can_be_observed() -> None:
    """Also what has no application of ours, until that is ended."""
    observer = Watching()
    end = observe(observer)
    try:
        async with TestClient(Echo) as client, client.connect("/"):
            pass
    finally:
        end()
        end()
    async with TestClient(Echo) as client, client.connect("/"):
        pass

    assert observer.names() == ["opening", "opened", "closed"]


def test_who_was_told_first_of_a_beginning_is_told_last_of_the_end() -> None:
    """So that what observers put around something is nested."""
    order: list[str] = []

    def named(name: str) -> Observer:
        class Named(Observer):
            def handling(self, *told: object) -> None:
                order.append(f"{name} begins")

            def handled(self, *told: object) -> None:
                order.append(f"{name} ends")

        return Named()

    observers = Observers([named("a"), named("b")])
    observers.tell("handling", None, "say")
    observers.tell("handled", None, "say", 0.0, None)

    assert order == ["a begins", "b begins", "b ends", "a ends"]
