"""Stands for a language model: the same prompt has the same answer, always.

Replace `write` by calls of a real one, and little else changes.
"""

import logging
import random
import re
import zlib
from collections.abc import AsyncGenerator

from consumers import sleep

log = logging.getLogger("model")

PAUSE = 0.05
"""Seconds before each token."""

OPENINGS = (
    "That is a good thing to ask about {it}.",
    "Let us begin with {it} itself.",
    "There are two sides to {it}, and the second one is mostly forgotten.",
    "Most people meet {it} earlier in life than they think.",
)
SENTENCES = (
    "What looks like a rule is a habit that nobody has questioned for a while.",
    "It helps to take one part away and to see what still stands.",
    "Small amounts, tried often, teach more than one large attempt.",
    "Whoever has done it twice stops counting, and begins to look.",
    "The usual advice is right, but it is given in the wrong order.",
    "Ask what {it} would be like without the hurry, and half of it is solved.",
    "Write down what surprised you; the rest will be remembered anyway.",
    "There is a slower way, and on most days it is the shorter one.",
    "Nothing here is difficult, but all of it wants to be done in time.",
    "It is worth leaving {it} alone over night, too.",
    "A neighbour who knows it well is better than three good books.",
    "If two answers seem equally good, the difference will not matter.",
)
CLOSINGS = (
    "So start with what is at hand; {it} will show you the next step.",
    "In short: look closely, change little, and be patient with {it}.",
    "That is all there is to it, and it is enough for a first try.",
)

_prompts: list[str] = []  # those that it answers at the moment


def writing() -> int:
    """Return how many answers it writes at the moment."""
    return len(_prompts)


async def write(prompt: str, begin: int = 0) -> AsyncGenerator[str, None]:
    """Yield the tokens of an answer, from a number on."""
    _prompts.append(prompt)
    log.info("writing, from token %d on", begin)
    try:
        for token in tokens(prompt)[begin:]:
            await sleep(PAUSE)
            yield token
    finally:
        _prompts.remove(prompt)
        log.info("writing no longer")


def tokens(prompt: str) -> list[str]:
    """Return all that the answer will be."""
    return re.findall(r"\s*(?:\w{1,6}|[^\w\s])", answer(prompt))


def answer(prompt: str) -> str:
    """Return some paragraphs that have little to do with the prompt."""
    chance = random.Random(zlib.crc32(prompt.encode()))
    subject = max(re.findall(r"\w+", prompt), key=len, default="it")
    chosen = chance.sample(SENTENCES, 7)
    paragraphs = [
        [chance.choice(OPENINGS), *chosen[:2]],
        chosen[2:5],
        [*chosen[5:], chance.choice(CLOSINGS)],
    ]
    return "\n\n".join(map(" ".join, paragraphs)).replace("{it}", subject)
