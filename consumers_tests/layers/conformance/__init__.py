"""What every layer must do: a suite that a layer is run against.

A test module of a layer imports all tests from here, and defines two fixtures::

    from consumers_tests.layers.conformance import *


    @pytest.fixture
    def make_layer() -> MakeLayer: ...


    @pytest.fixture
    def pass_time() -> PassTime: ...

``make_layer``
    A function without parameters that returns a new layer of the same place: the same
    broker, or this process. Each test begins with an empty place, where no groups have
    a history and nobody is present, and makes one layer or several, each of which
    stands for a process.

``pass_time``
    A coroutine function that lets so many seconds pass: it sleeps where the time is a
    broker's, and advances ``consumers.clock`` where the layer goes by that.

Each test runs on every backend. What arrives at a layer is waited for, since only a
``local`` layer delivers before ``publish`` returns; and only layers that are not are
asked whether one process hears another. What is to run out takes at most 0.1 s; what is
not takes half a minute, so that a slow machine is no trouble.
"""

from .history import *  # noqa: F403  the tests
from .leases import *  # noqa: F403
from .lifecycle import *  # noqa: F403
from .presence import *  # noqa: F403
from .publishing import *  # noqa: F403
from .tools import MakeLayer as MakeLayer
from .tools import PassTime as PassTime
