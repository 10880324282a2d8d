"""The contract: that the suite for every layer tells a layer that breaks it."""

import inspect

import anyio
import pytest

from consumers.layers import Layer, MemoryLayer
from consumers_tests.layers import conformance


class Backwards(MemoryLayer):
    """Delivers every second publication behind the next."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: object = None

    async def publish(self, publication: object) -> None:
        kept, self._kept = self._kept, publication if self._kept is None else None
        if self._kept is None:
            await super().publish(publication)
            await super().publish(kept)


class Restless(MemoryLayer):
    """Goes on after it was stopped."""

    async def stop(self) -> None:
        """Forget to."""

    _last: "Restless | None" = None

    async def publish(self, publication: object) -> None:
        await super().publish(publication)
        if self._last is not None and self._last is not self:
            await MemoryLayer.publish(self._last, publication)
        Restless._last = self


class Twice(MemoryLayer):
    """Delivers everything twice."""

    async def publish(self, publication: object) -> None:
        await super().publish(publication)
        await super().publish(publication)


@pytest.mark.parametrize(
    ("layer", "test"),
    [
        (Backwards, conformance.test_one_tasks_publications_keep_their_order),
        (Twice, conformance.test_a_group_is_heard_after_subscribing),
        (Restless, conformance.test_a_stopped_layer_is_silent),
    ],
)
def test_the_suite_fails_for_a_layer_that_breaks_it(
    layer: type[MemoryLayer], test: object
) -> None:
    """A layer that changes the order, repeats or goes on is found out."""
    with pytest.raises(AssertionError):
        anyio.run(test, layer)  # type: ignore[arg-type]


def test_the_suite_is_whole() -> None:
    """Each test of the suite is exported, so that no layer misses one."""
    tests = {name for name in vars(conformance) if name.startswith("test_")}

    assert tests == set(conformance.__all__)


@pytest.mark.parametrize(
    "name", ["start", "stop", "publish", "subscribe", "unsubscribe"]
)
def test_the_memory_layer_has_the_contracts_signatures(name: str) -> None:
    """The parameters are those that the contract names."""
    contract, memory = getattr(Layer, name), getattr(MemoryLayer, name)

    assert inspect.signature(memory).parameters.keys() == (
        inspect.signature(contract).parameters.keys()
    )
