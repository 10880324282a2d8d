"""What `consumers connect` does with a connection: lines become messages, and back."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, Final

import anyio
import msgspec
from anyio import CancelScope, create_task_group
from anyio.abc import TaskGroup

from consumers.cli.brokers import parse_json
from consumers.cli.keyboard import Keyboard
from consumers.cli.output import json_line, show_error
from consumers.cli.screen import Screen
from consumers.client import Client, Closed, Ended, Resubscribed, State
from consumers.client.link import Link
from consumers.clock import current_time, sleep
from consumers.errors import ConfigurationError, ConsumersError, MessageError

__all__ = ["converse", "converse_plainly"]

_QUIET: Final = frozenset({1000, 1001, 1005})

_ENDED: Final = 1
"""Exit code where the server has ended it, or can't be reached."""
_WRONG: Final = 2
"""Exit code where a line is wrong."""

HELP: Final = """\
JSON by itself is sent, and whatever answers it is shown. Other lines:
/send JSON                    send it, and want no answer
/request JSON                 ask for one reply; asked again after a reconnect
/stream JSON                  ask for a stream
/cancel [NUMBER]              stop a request or a stream, the latest by default
/subscribe GROUP [POSITION]   show what is published to a group
/unsubscribe GROUP            do so no more
/close [CODE [REASON]]        close, and leave; so does Ctrl+D
/help                         show this"""

_PLAIN_HELP: Final = """\
Each line is sent as it is. /close [CODE [REASON]] closes, and so does Ctrl+D."""


class _Conversation:
    """Lines and answers over `consumers.v1`."""

    def __init__(self, client: Client, screen: Screen, tasks: TaskGroup) -> None:
        self._client = client
        self._screen = screen
        self._tasks = tasks
        self._numbers = count(1)
        # {number: what stops it}, {group: the same}
        self._asking: dict[int, CancelScope] = {}
        self._groups: dict[str, CancelScope] = {}
        self._commands: dict[str, Callable[[str], Awaitable[None]]] = {
            "send": self._send,
            "request": self._request,
            "stream": self._stream,
            "cancel": self._cancel,
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "close": self._close,
            "help": self._help,
        }
        self._changed = anyio.Event()
        self._asked = False
        self.latest = current_time()
        """When something was shown."""
        self.left = False
        """Whether the user has closed it."""

    async def take(self, line: str) -> None:
        """Do what a line says.

        Raises:
            ConfigurationError: It says nothing that can be done.
        """
        self._asked = True
        if not line.startswith("/"):
            await self._stream(line)
            return
        name, _, rest = line[1:].partition(" ")
        command = self._commands.get(name)
        if command is None:
            raise ConfigurationError(f"a command was expected, got {line!r}; see /help")
        await command(rest.strip())

    async def answered(self, quiet: float) -> None:
        """Wait for all answers.

        Also for a time without news, where groups are shown or nothing was asked.
        """
        while self._asking:
            await self._changed.wait()
        while (self._groups or not self._asked) and (
            pause := self.latest + quiet - current_time()
        ) > 0:
            await (anyio.sleep_forever() if pause == math.inf else sleep(pause))

    async def show_pushes(self) -> None:
        """Show what the server sends by itself."""
        while True:
            try:
                message = await self._client.receive()
            except Closed:
                return
            except ConsumersError as error:
                self._screen.note(str(error))
                continue
            self._show("<", message, message, "green")

    def show_error(self, error: MessageError, label: str = "!") -> None:
        """Show what the server could not do."""
        said = {"code": error.code, "detail": error.detail}
        told = {key: value for key, value in said.items() if value is not None}
        self._show(label, told, {"error": told}, "red")

    def _show(self, label: str, value: Any, record: Any, style: str = "") -> None:
        self.latest = current_time()
        self._screen.show(label, value, record, style)

    # What lines say.

    async def _send(self, text: str) -> None:
        await self._client.send(parse_json(text))

    async def _request(self, text: str) -> None:
        message, number = parse_json(text), next(self._numbers)

        async def ask() -> None:
            reply = await self._client.request(message)
            self._show(f"#{number} <", reply, reply)

        self._start(number, ask)

    async def _stream(self, text: str) -> None:
        message, number = parse_json(text), next(self._numbers)

        async def ask() -> None:
            async with self._client.stream(message) as items:
                async for item in items:
                    self._show(f"#{number} <", item, item)

        self._start(number, ask)

    async def _cancel(self, text: str) -> None:
        number = int(text) if text.isdecimal() else max(self._asking, default=0)
        scope = self._asking.get(number)
        if scope is None:
            raise ConfigurationError("a request that is not answered was expected")
        scope.cancel()
        self._screen.note(f"#{number} is cancelled")

    async def _subscribe(self, text: str) -> None:
        group, _, position = text.partition(" ")
        if not group or group in self._groups:
            raise ConfigurationError(
                f"a group that is not shown yet was expected, got {group!r}"
            )
        try:
            asked = self._client.subscribe(group, since=position.strip() or None)
        except ValueError as error:
            raise ConfigurationError(f"{error}, got {position!r}") from error

        async def follow() -> None:
            async with asked as subscription:
                self._tell(group, subscription.recovered, subscription.snapshot)
                async for event in subscription.events():
                    if isinstance(event, Resubscribed):
                        self._tell(group, event.recovered, event.snapshot)
                        continue
                    where = "" if event.position is None else f" {event.position}"
                    record = {"type": "publication", "group": group}
                    if event.position is not None:
                        record["position"] = str(event.position)
                    self._show(
                        f"{group}{where} <",
                        event.message,
                        {**record, "message": event.message},
                        "magenta",
                    )

        self._groups[group] = CancelScope()
        self._tasks.start_soon(self._guarded, self._groups, group, follow, group)

    def _tell(self, group: str, recovered: bool, snapshot: Any) -> None:
        also = "; nothing was missed" if recovered else ""
        self._screen.note(f"subscribed to {group}{also}")
        if snapshot is not None:
            record = {"type": "snapshot", "group": group, "snapshot": snapshot}
            self._show(f"{group} <", snapshot, record, "magenta")

    async def _unsubscribe(self, group: str) -> None:
        scope = self._groups.get(group)
        if scope is None:
            raise ConfigurationError(f"a subscription was expected, got {group!r}")
        scope.cancel()
        self._screen.note(f"unsubscribed from {group}")

    async def _close(self, text: str) -> None:
        code, reason = _farewell(text)
        await self._client.close(code, reason)
        self.left = True

    async def _help(self, _: str) -> None:
        self._screen.note(HELP)

    # The tasks that show answers.

    def _start(self, number: int, ask: Callable[[], Awaitable[None]]) -> None:
        label = f"#{number} !"
        self._asking[number] = CancelScope()
        self._tasks.start_soon(self._guarded, self._asking, number, ask, label)

    async def _guarded(
        self,
        running: dict[Any, CancelScope],
        key: int | str,
        act: Callable[[], Awaitable[None]],
        label: str,
    ) -> None:
        scope = running[key]
        try:
            with scope:
                await act()
        except MessageError as error:
            self.show_error(error, label)
        except Closed:
            pass  # which the state tells
        except (ConsumersError, TimeoutError) as error:
            self._screen.note(f"{label.removesuffix(' !')}: {error}")
        finally:
            running.pop(key, None)
            changed, self._changed = self._changed, anyio.Event()
            changed.set()


def _farewell(text: str) -> tuple[int, str]:
    code, _, reason = text.partition(" ")
    if code and not code.isdecimal():
        raise ConfigurationError(f"a close code was expected, got {code!r}")
    return int(code or 1000), reason.strip()


def _told(state: State) -> str:
    """Return what is said of a state."""
    why = f"{state.code} {state.reason}".strip() if state.code is not None else ""
    if state.name in ("waiting", "offline") and state.retry_at is not None:
        seconds = max(state.retry_at - current_time(), 0)
        return f"lost the connection ({why}); reconnecting in {seconds:.1f} s"
    if state.name == "closed":
        detail = "" if state.detail is None else f" {json_line(state.detail)}"
        return f"closed ({why}){detail}"
    return {"live": "connected", "connecting": "connecting"}[state.name]


async def converse(
    client: Client,
    errors: list[Callable[[MessageError], None]],
    keyboard: Keyboard,
    screen: Screen,
    *,
    wait: float,
    strict: bool,
) -> int:
    """Talk over `consumers.v1` until either side ends it; return the exit code.

    Args:
        client: Not entered yet.
        errors: Where to put what shows the errors of what has no answer.
        keyboard: Where lines come from.
        screen: Where messages go.
        wait: Seconds without a publication before it ends, at the end of the lines.
        strict: Whether a line that is wrong ends it, and the end waits for answers.
    """
    wrong: ConfigurationError | None = None
    async with client, create_task_group() as tasks:
        conversation = _Conversation(client, screen, tasks)
        errors.append(conversation.show_error)

        async def follow() -> None:
            async for state in client.states():
                if state.name == "closed":
                    await all_shown.wait()
                if state.name != "connecting":
                    screen.note(_told(state))
            tasks.cancel_scope.cancel()

        async def show() -> None:
            await conversation.show_pushes()
            all_shown.set()

        all_shown = anyio.Event()
        tasks.start_soon(follow)
        tasks.start_soon(show)
        while (line := await keyboard.next()) is not None:
            try:
                await conversation.take(line)
            except ConfigurationError as error:
                if strict:
                    wrong = error
                    break
                screen.note(str(error))
            except (ConsumersError, ValueError) as error:
                screen.note(str(error))
            if conversation.left:
                break
        if strict:
            await conversation.answered(wait)
        await client.close()
    if wrong is not None:
        show_error(wrong)
        return _WRONG
    good = conversation.left or client.state.code in _QUIET
    return 0 if good else _ENDED


async def converse_plainly(
    link: Link, keyboard: Keyboard, screen: Screen, *, wait: float
) -> int:
    """Talk over a connection without a protocol, as :func:`converse` does."""
    ended = Ended(1000)
    latest, left = current_time(), False

    async def show() -> None:
        nonlocal ended, latest
        while True:
            try:
                message = await link.receive()
            except Ended as error:
                ended = error
                tasks.cancel_scope.cancel()
                return
            latest = current_time()
            try:
                value: object = msgspec.json.decode(message)
            except (msgspec.DecodeError, UnicodeDecodeError):
                value = message
            screen.show("<", value, value, "green")

    async with create_task_group() as tasks:
        tasks.start_soon(show)
        screen.note("connected, with plain messages")
        while (line := await keyboard.next()) is not None:
            if line == "/help":
                screen.note(_PLAIN_HELP)
            elif line.partition(" ")[0] == "/close":
                left = True
                await link.close(*_farewell(line[len("/close") :].strip()))
            elif not await _sent(link, line):
                break
        while (pause := latest + wait - current_time()) > 0:
            await (anyio.sleep_forever() if pause == math.inf else sleep(pause))
        await link.close(1000, "")
        await anyio.sleep_forever()  # until the server has answered that
    screen.note(f"closed ({ended.code} {ended.reason})".replace(" )", ")"))
    return 0 if left or ended.code in _QUIET else _ENDED


async def _sent(link: Link, line: str) -> bool:
    """Send a line; return whether the connection has taken it."""
    try:
        await link.send(line)
    except Ended:
        return False
    return True
