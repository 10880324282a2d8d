"""`Answering`: what the server asks, and the client's functions that answer."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import reduce
from operator import or_
from typing import Any, Final, TypeAlias, get_args

import msgspec
from anyio import CancelScope
from anyio.abc import TaskGroup
from msgspec import Raw

from consumers.errors import ConfigurationError, MessageError
from consumers.protocol.frames import AnyFrame, Error, Reply, Request

from .errors import UnexpectedMessage
from .wire import Wire

__all__ = ["Answering", "Answers"]

log: Final = logging.getLogger("consumers.client")

Answers: TypeAlias = Callable[[Any], Awaitable[Any]]
"""Takes the server's question and returns the answer."""


class Answering:
    """Answers the server's requests, each in a task of its own."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._functions: dict[type, Answers] = {}
        # {the server's id: what cancels the answer}
        self._working: dict[int, CancelScope] = {}

    def add(self, kind: Any, function: Answers) -> None:
        """Have a function answer the questions of a type, or of a union of types.

        Raises:
            ConfigurationError: A type is no tagged ``msgspec.Struct``, or is not to be
                told from another one.
        """
        kinds = get_args(kind) or (kind,)
        structs = [
            isinstance(each, type) and issubclass(each, msgspec.Struct)
            for each in kinds
        ]
        if not all(structs):
            raise ConfigurationError(
                f"what is answered must be a msgspec.Struct with a tag, got {kind!r}"
            )
        functions = {**self._functions, **dict.fromkeys(kinds, function)}
        try:
            msgspec.json.Decoder(reduce(or_, functions))
        except TypeError as error:
            raise ConfigurationError(
                f"questions must be told apart by their tags, got {kind!r}; {error}"
            ) from error
        self._functions = functions

    def begin(
        self, tasks: TaskGroup, frame: Request[Raw], say: Callable[[AnyFrame], None]
    ) -> None:
        """Begin to answer a question."""
        tasks.start_soon(self._answer, frame, say)

    def cancel(self, number: int) -> None:
        """Stop: the server does not want the answer any more."""
        if (scope := self._working.get(number)) is not None:
            scope.cancel()

    async def _answer(
        self, frame: Request[Raw], say: Callable[[AnyFrame], None]
    ) -> None:
        try:
            with CancelScope() as scope:
                self._working[frame.id] = scope
                question = self._read(frame.message)
                answer = await self._functions[type(question)](question)
                say(Reply(frame.id, self._wire.pack(answer)))
            if scope.cancelled_caught:
                say(Error("cancelled", frame.id))
        except MessageError as error:
            detail = msgspec.UNSET if error.detail is None else error.detail
            say(Error(error.code, frame.id, detail))
        except Exception:
            log.exception("a question of the server was not answered")
            say(Error("internal", frame.id))
        finally:
            self._working.pop(frame.id, None)

    def _read(self, raw: Raw) -> Any:
        if not self._functions:
            raise MessageError("unknown_type")
        try:
            return self._wire.convert(raw, reduce(or_, self._functions))
        except UnexpectedMessage as error:
            known = {
                (config.tag_field, config.tag)
                for config in (each.__struct_config__ for each in self._functions)  # type: ignore[attr-defined]
            }
            message = self._wire.convert(raw, Any)
            told = isinstance(message, dict) and any(
                message.get(field) == tag for field, tag in known
            )
            code = "invalid_message" if told else "unknown_type"
            raise MessageError(code, error.detail) from error
