"""TypeScript from the code: the types of messages, and a client for each channel."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from string import Formatter
from typing import Any, Final

from consumers.groups import Group

from .described import Channel, Handler, describe, tag_of, types_sent, types_taken
from .payloads import Schema, Schemas

__all__ = ["typescript"]

_HEADER: Final = """\
// Made from the code of the application by `consumers schema --format typescript`.
// Changes are lost when it is made again.

"""

_ADDRESS: Final = """\
type Value = string | number | boolean;

function address(
  base: string | URL,
  path: readonly string[],
  query: { readonly [name: string]: Value | readonly Value[] | null | undefined },
): string {
  const pairs: string[] = [];
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value]) {
      pairs.push(`${encodeURIComponent(name)}=${encodeURIComponent(String(one))}`);
    }
  }
  const root = String(base).replace(/\\/+$/, "");
  return root + path.join("") + (pairs.length > 0 ? `?${pairs.join("&")}` : "");
}
"""

_PLAIN: Final = {
    "string": "string",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "null": "null",
}

# What a type may not be called: the generated code uses them.
_TAKEN: Final = ("URL", "Value", "Object", "Array", "String")

_IDENTIFIER: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")


def typescript(app: Any, *, client: str = "./consumers.js") -> str:
    """Return a TypeScript module: what clients may send and get, and how they connect.

    For each channel that speaks ``consumers.v1`` it has a function such as
    ``connectChat(url, parameters, options)``, whose client takes only what the server
    takes. Of the others it has the types of messages alone.

    Args:
        app: An ``App``, a Starlette or a FastAPI.
        client: What ``consumers.js`` is imported from.

    Raises:
        ConfigurationError: There is no URL table, or an example in a docstring is not
            JSON.
    """
    channels = describe(app)
    schemas = Schemas(types_taken(channels), types_sent(channels))
    types = _Types(schemas)
    typed = [channel for channel in channels if channel.protocols]
    parts = [_HEADER]
    if typed:
        parts.append(f"import * as consumers from {json.dumps(client)};\n\n")
    parts += types.declarations()
    for channel in channels:
        parts += _Writer(channel, types).lines()
    if typed:
        parts.append(_ADDRESS)
    return "".join(parts).rstrip("\n") + "\n"


class _Types:
    """Says schemas as TypeScript's types."""

    def __init__(self, schemas: Schemas) -> None:
        self.schemas = schemas
        self._taken = set(_TAKEN)
        self._names = {name: self.name(name) for name in schemas.components}

    def name(self, wanted: str) -> str:
        """Return a name for a type, which no other has."""
        words = re.split(r"[^A-Za-z0-9]+", wanted)
        base = "".join(word[:1].upper() + word[1:] for word in words)
        if not base or base[0].isdigit():
            base = f"T{base}"
        number, made = 1, base
        while made in self._taken:
            number += 1
            made = f"{base}{number}"
        self._taken.add(made)
        return made

    def of(self, annotation: Any) -> str:
        """Return the type for an annotation."""
        return self.say(self.schemas.of(annotation))

    def union(self, annotations: Iterable[Any]) -> str:
        """Return the type for any of some annotations; ``never`` for none."""
        return _joined((self.of(each) for each in annotations), "never")

    def declarations(self) -> Iterator[str]:
        """Yield a declaration for each schema that has a name."""
        for name, schema in self.schemas.components.items():
            yield _comment(schema.get("description", ""), "")
            yield f"export type {self._names[name]} = {self.say(schema)};\n\n"

    def say(self, schema: Schema, indent: str = "") -> str:
        """Return the type that a schema describes."""
        if "$ref" in schema:
            return self._names[schema["$ref"].rpartition("/")[2]]
        if "const" in schema:
            return json.dumps(schema["const"])
        if "enum" in schema:
            return _joined((json.dumps(each) for each in schema["enum"]), "never")
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return _joined(
                    (self.say(each, indent) for each in schema[key]), "never"
                )
        kind = schema.get("type")
        if kind == "array":
            return self._array(schema, indent)
        if kind == "object":
            return self._object(schema, indent)
        return _PLAIN.get(str(kind), "unknown")

    def _array(self, schema: Schema, indent: str) -> str:
        items = schema.get("items", {})
        if isinstance(items, list):
            return "[" + ", ".join(self.say(each, indent) for each in items) + "]"
        return _grouped(self.say(items, indent)) + "[]"

    def _object(self, schema: Schema, indent: str) -> str:
        properties: dict[str, Schema] = schema.get("properties", {})
        values = schema.get("additionalProperties", not properties)
        inner = indent + "  "
        lines = []
        for name, each in properties.items():
            mark = "" if name in schema.get("required", ()) else "?"
            key = name if _IDENTIFIER.fullmatch(name) else json.dumps(name)
            if "$ref" not in each:
                lines.append(_comment(each.get("description", ""), inner))
            lines.append(f"{inner}{key}{mark}: {self.say(each, inner)};\n")
        if values and not properties:
            said = "unknown" if values is True else self.say(values, inner)
            lines.append(f"{inner}[key: string]: {said};\n")
        return "{\n" + "".join(lines) + indent + "}" if lines else "{}"


class _Writer:
    """Writes what there is for one channel."""

    def __init__(self, channel: Channel, types: _Types) -> None:
        self._channel = channel
        self._types = types
        self._name = types.name(channel.name)
        self._parameters = types.name(f"{self._name}Parameters")
        self._protocol = types.name(f"{self._name}Protocol")

    def lines(self) -> Iterator[str]:
        """Yield the declarations, one after the other."""
        channel = self._channel
        if not channel.protocols:
            yield from self._plain()
            return
        yield from self._declared_parameters()
        yield from self._declared_protocol()
        if channel.feeds:
            yield from self._groups()
        yield from self._connect()

    def _plain(self) -> Iterator[str]:
        """Yield the types for a channel that any WebSocket can speak to."""
        channel, types = self._channel, self._types
        takes = [kind for handler in channel.handlers for kind in handler.takes]
        for what, found in (("takes", takes), ("sends", channel.pushes)):
            if found:
                name = types.name(f"{self._name} {what}")
                yield f"/** What {channel.address} {what}; it has no subprotocol. */\n"
                yield f"export type {name} = {types.union(found)};\n\n"

    def _declared_parameters(self) -> Iterator[str]:
        yield _comment(f"What the address {self._channel.address} is made of.", "")
        yield f"export type {self._parameters} = {{\n"
        if not self._channel.path and not self._channel.query:
            yield "  [name: string]: never;\n"
        for part in self._channel.path:
            yield f"  {part.name}: {self._value(part.annotation)};\n"
        for parameter in self._channel.query:
            yield f"  {parameter.name}?: {self._value(parameter.annotation)};\n"
        yield "};\n\n"

    def _value(self, annotation: Any) -> str:
        """Return the type of a parameter; a URL has texts, and no objects."""
        said = self._types.of(annotation)
        return "string" if "{" in said or "unknown" in said else said

    def _declared_protocol(self) -> Iterator[str]:
        channel, types = self._channel, self._types
        once = [each for each in channel.handlers if not each.streams]
        streams = [each for each in channel.handlers if each.streams]
        takes = types.union(kind for handler in once for kind in handler.takes)
        yield _comment(channel.doc.text, "")
        yield f"export type {self._protocol} = {{\n"
        yield f"  sends: {takes};\n"
        pushes = types.union(channel.pushes) if channel.pushes else "unknown"
        yield f"  receives: {pushes};\n"
        yield from self._entries("requests", once)
        yield from self._entries("streams", streams)
        yield "  answers: { [type: string]: { message: any; reply: any } };\n"
        yield "  groups: {\n"
        for feed in channel.feeds:
            snapshot = "null"
            if feed.snapshot is not None:
                snapshot = _joined([types.of(feed.snapshot), "null"], "null")
            message = types.union(feed.publications)
            yield _comment(feed.doc.text, "    ")
            key = _template(feed.group)
            key = key if key.startswith('"') else f"[name: {key}]"
            yield f"    {key}: {{ message: {message}; snapshot: {snapshot} }};\n"
        yield "  };\n};\n\n"

    def _entries(self, kind: str, handlers: Iterable[Handler]) -> Iterator[str]:
        answer = "item" if kind == "streams" else "reply"
        yield f"  {kind}: {{\n"
        for handler in handlers:
            said = "null"
            if handler.reply is not None:
                said = self._types.of(handler.reply)
            for message in handler.takes:
                if tag_of(message) is None:  # it can be sent, and not asked
                    continue
                yield _comment(handler.doc.text, "    ")
                yield (
                    f"    {json.dumps(tag_of(message))}: {{ "
                    f"message: {self._types.of(message)}; {answer}: {said} }};\n"
                )
        yield "  };\n"

    def _groups(self) -> Iterator[str]:
        """Yield what makes names of groups that `subscribe` takes."""
        yield "/** The names of the groups that its clients may subscribe to. */\n"
        yield f"export const {_lowered(self._name)}Groups = {{\n"
        for feed in self._channel.feeds:
            yield _comment(feed.doc.text, "  ")
            group = feed.group
            pattern, key = json.dumps(group.pattern), _template(group)
            if group.parameters:
                fields = "; ".join(
                    f"{name}: string | number" for name in group.parameters
                )
                yield (
                    f"  {feed.name}: (values: {{ {fields} }}): {key} =>\n"
                    f"    consumers.groupName({pattern}, values) as {key},\n"
                )
            else:
                yield f"  {feed.name}: (): {key} => {pattern},\n"
        yield "};\n\n"

    def _connect(self) -> Iterator[str]:
        channel = self._channel
        default = "" if channel.path else " = {}"
        query = "".join(
            f"    {each.name}: parameters.{each.name},\n" for each in channel.query
        )
        braced = f"\n{query}  " if query else ""
        text = (
            f"Connect to {channel.address}, and stay connected.\n\n"
            "@param url The server's, such as `wss://chat.example`; empty: the page's."
        )
        yield _comment(text, "")
        yield (
            f"export function connect{self._name}(\n"
            f"  url: string | URL,\n"
            f"  parameters: {self._parameters}{default},\n"
            f"  options?: consumers.Options,\n"
            f"): consumers.Client<{self._protocol}> {{\n"
            f"  const path = [{', '.join(_path(channel))}];\n"
            f"  const query = {{{braced}}};\n"
            f"  const whole = address(url, path, query);\n"
            f"  return consumers.connect<{self._protocol}>(whole, options);\n"
            "}\n\n"
        )


def _joined(options: Iterable[str], otherwise: str) -> str:
    """Return a union, without what is in it twice."""
    found = list(dict.fromkeys(options))
    return "unknown" if "unknown" in found else " | ".join(found) or otherwise


def _grouped(said: str) -> str:
    """Return a type so that something can stand behind it."""
    return f"({said})" if " | " in said or " & " in said else said


def _comment(text: str, indent: str) -> str:
    """Return a comment that editors show; nothing for no text."""
    if not text:
        return ""
    lines = text.replace("*/", "*\\/").split("\n")
    if len(lines) == 1:
        return f"{indent}/** {lines[0]} */\n"
    body = "".join(f"{indent} * {line}".rstrip() + "\n" for line in lines)
    return f"{indent}/**\n{body}{indent} */\n"


def _template(group: Group) -> str:
    """Return the type of a group's names: a template, or a text without parameters."""
    said = "".join(
        text + ("" if name is None else "${string}")
        for text, name, _, _ in Formatter().parse(group.pattern)
    )
    return f"`{said}`" if group.parameters else json.dumps(said)


def _lowered(name: str) -> str:
    return name[:1].lower() + name[1:]


def _path(channel: Channel) -> Iterator[str]:
    """Yield the parts of an address, as JavaScript's expressions."""
    slashes = {each.name for each in channel.path if each.slashes}
    for text, name, _, _ in Formatter().parse(channel.address):
        if text:
            yield json.dumps(text)
        if name is None:
            continue
        value = f"String(parameters.{name})"
        if name in slashes:
            yield f'{value}.split("/").map(encodeURIComponent).join("/")'
        else:
            yield f"encodeURIComponent({value})"
