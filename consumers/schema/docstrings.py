"""What a docstring says: a line, the rest, and examples."""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import dataclass
from typing import Any, Final

from consumers.errors import ConfigurationError

__all__ = ["Doc", "read_doc"]

_SECTION: Final = re.compile(r"(?m)^(Args|Returns|Yields|Raises|Examples?):[ \t]*$")


@dataclass(frozen=True, slots=True)
class Doc:
    """One docstring, taken apart."""

    summary: str = ""
    """Its first paragraph, in one line."""
    description: str = ""
    """What comes after that, without sections for Python's readers."""
    examples: tuple[Any, ...] = ()
    """The JSON values in its ``Example:`` or ``Examples:`` section."""

    @property
    def text(self) -> str:
        """Summary and description."""
        return "\n\n".join(part for part in (self.summary, self.description) if part)


def read_doc(owner: str, text: str | None) -> Doc:
    """Take a docstring apart.

    Args:
        owner: Whose it is, for errors.
        text: The docstring, as it is written.

    Raises:
        ConfigurationError: An example is not JSON.
    """
    if not text:
        return Doc()
    prose, *sections = _SECTION.split(inspect.cleandoc(text))
    examples: list[Any] = []
    rest = []
    for heading, body in zip(sections[::2], sections[1::2], strict=True):
        block, after = _indented(body)
        rest.append(after)
        if heading.startswith("Example"):
            examples.extend(_values(owner, block))
    summary, _, description = prose.strip().partition("\n\n")
    paragraphs = [description.strip(), *(part for part in rest if part)]
    return Doc(
        " ".join(summary.split()),
        "\n\n".join(part for part in paragraphs if part),
        tuple(examples),
    )


def _indented(body: str) -> tuple[str, str]:
    """Return a section's own lines, and what comes behind them."""
    lines = body.strip("\n").split("\n")
    end = next(
        (n for n, line in enumerate(lines) if line and not line.startswith(" ")),
        len(lines),
    )
    return inspect.cleandoc("\n".join(lines[:end])), "\n".join(lines[end:]).strip()


def _values(owner: str, block: str) -> list[Any]:
    """Return the JSON values that stand one after the other."""
    decoder = json.JSONDecoder()
    found = []
    rest = block.replace("```json", "").replace("```", "").strip()
    while rest:
        try:
            value, end = decoder.raw_decode(rest)
        except ValueError as error:
            raise ConfigurationError(
                f"the examples of {owner} must be JSON values, got {rest[:60]!r}; "
                f"{error}"
            ) from error
        found.append(value)
        rest = rest[end:].lstrip(" \n\t,")
    return found
