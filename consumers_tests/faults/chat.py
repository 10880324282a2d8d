"""Two people talk in a browser, over links that break, with a server that restarts.

What is judged is what their pages show: each line that was written, once, in the order
in which its writer wrote, and on both pages in one order.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import zip_longest
from random import Random
from signal import SIGKILL
from typing import Any, ClassVar
from uuid import uuid4

from playwright.sync_api import Browser, Error, Page

from consumers_tests.browser import CHROMIUM, chromium
from consumers_tests.proxy import Proxy
from consumers_tests.valkey import Valkey

from .jobs import Settings
from .processes import FaultError, Server
from .report import Outcome
from .verdict import PUBLISHER, Segment, Verdict, judge

__all__ = ["Talking", "talk", "verdict"]

NAMES = ("Ana", "Bo")
OF_THE_SERVER = {"kill": "kill", "restart": "terminate"}
"""``{fault: what begins it}``; another server, at the same port, ends it."""
SPAN = 0.7
"""Seconds in which the lines of a cycle are written."""

# Notes what the page shows from its first line on, as it comes into the log; and how
# often it was connected. Its waits are as random as ever, and those of the seed.
NOTING = """
sessionStorage.setItem("name", %(name)s);
let random = %(seed)d + 1;
Math.random = () => (random = (random * 16807) %% 2147483647) / 2147483647;
const notes = (window.notes = { lines: [], gaps: 0, dividers: 0, live: 0 });
addEventListener("DOMContentLoaded", () => {
  new MutationObserver((records) => {
    for (const item of records.flatMap((record) => [...record.addedNodes])) {
      if (item.classList.contains("gap")) notes.gaps += 1;
      if (item.classList.contains("divider")) notes.dividers += 1;
      const line = item.querySelector(".text");
      if (line) notes.lines.push(line.textContent);
    }
  }).observe(document.getElementById("log"), { childList: true });
  const status = document.getElementById("status");
  new MutationObserver(() => {
    if (status.dataset.state === "live") notes.live += 1;
  }).observe(status, { attributeFilter: ["data-state"] });
});
"""


def ends_the_server(fault: str) -> bool:
    """Tell whether another server has to be started afterwards."""
    return not OF_THE_SERVER.keys().isdisjoint(fault.split(" and "))


@dataclass(frozen=True)
class Talking:
    """How much goes on in a run."""

    cycles: int = 200
    """How often something breaks."""
    patience: float = 30.0
    """Seconds after which what is not shown is lost."""
    leisure: float = 1.0
    """Seconds after which people press "Try now": else who loses the connection again
    and again would have to wait for ever longer."""
    faults: Sequence[str] = (
        *("cut", "stall", "mute", "refuse"),
        *("kill", "mute and kill", "restart", "mute and restart"),
    )
    """What may break. Without a broker the server stays: the history would be gone."""


class ChatServer(Server):
    """Serves the chat."""

    app: ClassVar = "consumers_tests.faults.chat_served:served"

    def ask(self) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=10):
            pass


@dataclass
class Somebody:
    """One of the two, with a page and a link of their own."""

    name: str
    page: Page
    link: Proxy
    written: int = 0

    def write(self, counts: Counter[str]) -> None:
        """Write a line, as a person does."""
        self.written += 1
        text = self.page.get_by_label("Message", exact=True)
        text.fill(f"{self.name} {self.written}")
        text.press("Enter")
        status = self.page.locator("#status")
        counts["lines"] += 1
        counts["written offline"] += status.get_attribute("data-state") != "live"

    def hurry(self) -> None:
        """Press "Try now", where the page waits."""
        self.page.evaluate("retry.hidden || retry.click()")

    def shows(self, lines: int) -> bool:
        """Tell whether the page shows so many lines, and has none left to send."""
        return bool(
            self.page.evaluate(
                "(n) => notes.lines.length >= n && !unsent.childElementCount", lines
            )
        )

    def notes(self) -> dict[str, Any]:
        """Return what the page has shown, and how many lines it still has to send."""
        found: dict[str, Any] = self.page.evaluate(
            "({...notes, unsent: unsent.childElementCount})"
        )
        return found


@dataclass
class Stage:
    """What a run works with."""

    backend: str
    settings: Settings
    server: ChatServer
    people: list[Somebody]
    random: Random
    counts: Counter[str] = field(default_factory=Counter)
    logs: str = ""

    def cycle(self, faults: Sequence[str]) -> None:
        """Let both write, break something meanwhile, and mend it."""
        random = self.random
        plan: list[tuple[float, Callable[[], object]]] = []
        for somebody in self.people:
            for _ in range(random.randint(1, 3)):
                at = random.uniform(0, SPAN)
                plan.append((at, partial(somebody.write, self.counts)))
        fault = random.choice(faults)
        self.counts[fault] += 1
        hit = random.choice([self.people, *([one] for one in self.people)])
        at = random.uniform(0, SPAN)
        for action in fault.split(" and "):
            if action in OF_THE_SERVER:
                plan.append((at, getattr(self.server, OF_THE_SERVER[action])))
            else:
                plan += [(at, getattr(one.link, action)) for one in hit]
            if action == "mute":  # then whoever writes can't know whether it was said
                plan += [(at, partial(one.write, self.counts)) for one in hit]
            at += random.uniform(0.05, SPAN / 2)
        if ends_the_server(fault):
            plan.append((at, self.replace))
        # What was held goes on, or is lost with its connection.
        for mend in random.choice([[Proxy.resume], [Proxy.cut, Proxy.resume]]):
            plan += [(at, partial(mend, one.link)) for one in hit]
        start = time.monotonic()
        for at, act in sorted(plan, key=lambda step: step[0]):
            time.sleep(max(0.0, start + at - time.monotonic()))
            act()

    def replace(self) -> None:
        """Start a server where one was killed, or has ended when it was asked to."""
        self.server.wait(PATIENCE)
        if self.server.status not in (0, -SIGKILL):
            self.counts["wrong ends"] += 1
        self.logs += self.server.log()
        port = self.server.port
        self.server.__exit__()
        self.server = ChatServer(self.backend, self.settings, *ARGUMENTS, port=port)
        self.server.ready()

    def settled(self, talking: Talking) -> bool:
        """Wait until both pages show all that was written; tell whether they do."""
        start = time.monotonic()
        while (waited := time.monotonic() - start) < talking.patience:
            for somebody in self.people if waited > talking.leisure else ():
                somebody.hurry()
            if all(one.shows(self.counts["lines"]) for one in self.people):
                return True
            time.sleep(0.02)
        return False


ARGUMENTS = (
    *("--app-dir", "docs/examples"),
    *("--drain-timeout", "0.5", "--graceful-timeout", "2"),
)
PATIENCE = 30.0
"""Seconds that a server may take to end, on a machine that is busy."""


@contextmanager
def staged(
    browser: Browser, backend: str, seed: int, settings: Settings
) -> Iterator[Stage]:
    """Start a server, and open the pages."""
    room = uuid4().hex
    with ExitStack() as stack:
        server = ChatServer(backend, settings, *ARGUMENTS)
        people: list[Somebody] = []
        stage = Stage(backend, settings, server, people, Random(seed))
        stack.callback(lambda: stage.server.__exit__())  # noqa: PLW0108 -- the last one
        server.ready()
        for number, name in enumerate(NAMES):
            link = stack.enter_context(Proxy(server.port))
            page = browser.new_context().new_page()
            stack.callback(page.context.close)
            values = {"name": json.dumps(name), "seed": 2 * seed + number}
            page.add_init_script(NOTING % values)
            page.goto(f"http://127.0.0.1:{link.port}/r/{room}")
            people.append(Somebody(name, page, link))
        yield stage


def talk(
    backend: str,
    seed: int,
    talking: Talking,
    control: str = "",
    layer: str = "redis",
    browser: Browser | None = None,
) -> Outcome:
    """Talk for so many cycles, and judge what the pages show.

    ``layer``: ``"redis"`` has a Valkey behind, so that the server may die.

    Raises:
        FaultError: A page could not be used, or a server did not start.
    """
    if CHROMIUM is None:
        raise FaultError("Chromium is missing: apt-get install chromium")
    with ExitStack() as stack:
        url = "memory://"
        if layer == "redis":
            url = stack.enter_context(Valkey(append=True)).url
        settings = Settings(url=url, without=control)
        browser = browser or stack.enter_context(chromium())
        stage = stack.enter_context(staged(browser, backend, seed, settings))
        faults = [
            one
            for one in talking.faults
            if url != "memory://" or not ends_the_server(one)
        ]
        try:
            stuck = converse(stage, faults, talking)
            return outcome(stage, seed, control, stuck)
        except Error as error:
            raise FaultError(f"a page could not be used: {error}") from error


def converse(stage: Stage, faults: Sequence[str], talking: Talking) -> int:
    """Run the cycles; return in which it took too long, or 0."""
    for number in range(talking.cycles + 1):
        if number < talking.cycles:
            stage.cycle(faults)
        else:  # what is still on its way comes before these
            for somebody in stage.people:
                somebody.write(stage.counts)
        if not stage.settled(talking):
            return number + 1
    return 0


def outcome(stage: Stage, seed: int, control: str, stuck: int) -> Outcome:
    """Judge, and say what happened."""
    notes = [somebody.notes() for somebody in stage.people]
    judged = verdict(
        {somebody.name: somebody.written for somebody in stage.people},
        [each["lines"] for each in notes],
    )
    gaps = sum(each["gaps"] for each in notes)
    counts = stage.counts
    problems = [
        f"{count} {what}"
        for what, count in {
            "lost": judged.lost,
            "twice": judged.twice,
            "out of order": judged.disordered,
            "unsent": sum(each["unsent"] for each in notes),
            "gaps told": gaps,
            "tracebacks": (stage.logs + stage.server.log()).count("Traceback"),
            "restarts with a status": counts["wrong ends"],
        }.items()
        if count
    ]
    if stuck and not problems:
        problems.append(f"cycle {stuck} took too long")
    chromium = stage.people[0].page.context.browser
    cells = {
        "Chromium": chromium.version.partition(".")[0] if chromium else "",
        "cycles": sum(counts[each] for each in Talking.faults),
        "lines": counts["lines"],
        "written offline": counts["written offline"],
        **{each: counts[each] for each in Talking.faults},
        "came back": sum(each["live"] - 1 for each in notes),
        "dividers": sum(each["dividers"] for each in notes),
        "lost": judged.lost,
        "twice": judged.twice,
        "out of order": judged.disordered,
    }
    return Outcome(stage.backend, seed, dict(cells), problems, control)


def verdict(written: dict[str, int], pages: Sequence[Sequence[str]]) -> Verdict:
    """Compare what pages show with what was written.

    Args:
        written: ``{name: count}``; each has written "name 1" to "name count".
        pages: The lines of each, in the order in which it shows them.
    """
    names = [*written]
    sent = {names.index(name): count for name, count in written.items()}
    total, orders = Verdict(), []
    for lines in pages:
        numbers = []
        for line in lines:
            name, _, number = line.rpartition(" ")
            numbers.append(names.index(name) * PUBLISHER + int(number))
        segment = Segment()
        segment.numbers.extend(numbers)
        total += judge([segment], sent, None)
        orders.append([*dict.fromkeys(numbers)])
    if not total.lost:  # else the orders can't be the same
        total.disordered += sum(len({*place}) > 1 for place in zip_longest(*orders))
    return total
