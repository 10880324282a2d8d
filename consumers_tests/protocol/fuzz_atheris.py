r"""Let coverage of the decoders' own lines lead random input through them, by hand.

    pip install --target /tmp/atheris atheris   # for Python 3.11
    PYTHONPATH=/tmp/atheris .venv/bin/python -m consumers_tests.protocol.fuzz_atheris \
        WAY -max_total_time=600

``WAY`` is one of `consumers_tests.protocol.fuzzing.WAYS`. Everything that comes after
it is libFuzzer's. It ends with a traceback and a file ``crash-…`` where a message was
taken for the application's fault; ``… WAY crash-…`` tries that one again.
"""

from __future__ import annotations

import asyncio
import json
import sys
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

atheris: Any = import_module("atheris")  # no checker can have read it
with atheris.instrument_imports(include=["consumers"]):
    from consumers_tests.protocol.fuzzing import WAYS, Target

OTHER = b"\xff"
"""As the first byte: the rest goes into a frame of the wrong kind."""


def main() -> None:
    """Run until the time is over, or something is found."""
    way, *options = sys.argv[1:] or [""]
    if way not in WAYS:
        sys.exit(f"expected one of {', '.join(WAYS)}, got {way!r}")
    loop = asyncio.new_event_loop()
    target = loop.run_until_complete(Target(way).__aenter__())

    def attack(data: bytes) -> None:
        other, rest = data[:1] == OTHER, data[1:]
        message: str | bytes = rest
        if (target.codec == "json") is not other:
            message = rest.decode("utf-8", "replace")
        loop.run_until_complete(target.hit(message))

    with TemporaryDirectory() as corpus:
        for number, seed in enumerate(target.seeds):
            right = json.dumps(seed).encode()
            if target.codec == "msgpack":
                right = msgspec.msgpack.encode(seed)
            Path(corpus, str(number)).write_bytes(b"\x00" + right)
        arguments = [sys.argv[0], *options]
        if not any(Path(option).is_file() for option in options):
            arguments.append(corpus)
        atheris.Setup(arguments, attack)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
