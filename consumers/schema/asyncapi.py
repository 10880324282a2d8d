"""AsyncAPI 3 from the code: one document for an application."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from consumers.codecs import codec_for
from consumers.errors import ConfigurationError, InvalidMessage
from consumers.handlers.params import Parameter

from .described import (
    Channel,
    Feed,
    Handler,
    describe,
    name_of,
    types_sent,
    types_taken,
)
from .payloads import Schema, Schemas
from .words import in_words

__all__ = ["asyncapi"]

_CONTENT: Final = {
    "json": "application/json",
    "msgpack": "application/msgpack",
    "text": "text/plain",
    "bytes": "application/octet-stream",
}

_RAW: Final = {str: "text", bytes: "bytes"}
"""What a consumer of either takes, and its content type's name."""

_NOT_IN_KEYS: Final = re.compile(r"[^A-Za-z0-9_-]")

_ERROR: Final[Schema] = {
    "type": "object",
    "description": "What went wrong with a message. The connection stays.",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "code": {
                    "type": "string",
                    "description": "One of invalid_message, unknown_type, too_large, "
                    "not_allowed, rate_limited, timeout, internal, cancelled, or the "
                    "application's own.",
                },
                "detail": {"description": "What else there is to say."},
            },
            "required": ["code"],
        }
    },
    "required": ["error"],
}

_SECURITY: Final = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A header of the handshake: Authorization: Bearer TOKEN.",
    },
    "token": {
        "type": "httpApiKey",
        "in": "query",
        "name": "token",
        "description": "For browsers, which can't set headers.",
    },
}


def asyncapi(
    app: Any,
    *,
    title: str | None = None,
    version: str = "0.1.0",
    servers: Sequence[str] = (),
) -> dict[str, Any]:
    """Describe an application as an AsyncAPI 3.0 document.

    The document says what goes over a plain connection, where messages have no ``id``
    and are not wrapped. ``x-consumers-protocol`` on a channel names the subprotocols
    that it speaks too; these put the same messages into frames.

    Args:
        app: An ``App``, a Starlette or a FastAPI.
        title: Of the document; else what the application says of itself.
        version: Of the application.
        servers: URLs such as ``ws://localhost:8000``.

    Returns:
        The document, of builtins that have a JSON form.

    Raises:
        ConfigurationError: There is no URL table, a URL is none of a server, or an
            example in a docstring is not what it stands for.
    """
    channels = describe(app)
    schemas = Schemas(types_taken(channels), types_sent(channels))
    writers = [_Writer(channel, schemas) for channel in channels]
    document: dict[str, Any] = {
        "asyncapi": "3.0.0",
        "info": {
            "title": title or getattr(app, "title", None) or "WebSockets",
            "version": version,
        },
        "defaultContentType": _CONTENT["json"],
    }
    if servers:
        document["servers"] = dict(map(_server, range(len(servers)), servers))
    document["channels"] = {each.name: each.channel() for each in writers}
    document["operations"] = {
        f"{each.name}.{name}": operation
        for each in writers
        for name, operation in each.operations.items()
    }
    components: dict[str, Any] = {"schemas": schemas.components}
    if any(channel.authenticates for channel in channels):
        components["securitySchemes"] = _SECURITY
    document["components"] = components
    builtins: dict[str, Any] = msgspec.to_builtins(document, str_keys=True)
    return builtins


def _server(number: int, url: str) -> tuple[str, dict[str, Any]]:
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss") or not parts.netloc:
        raise ConfigurationError(
            f"a server must be a WebSocket's URL, got {url!r}; write ws://host:8000"
        )
    server = {"host": parts.netloc, "protocol": parts.scheme}
    if parts.path.strip("/"):
        server["pathname"] = parts.path
    return f"server{number + 1}", server


class _Writer:
    """Writes one channel, and the operations on it."""

    def __init__(self, channel: Channel, schemas: Schemas) -> None:
        self.name = channel.name
        self._channel = channel
        self._schemas = schemas
        self._messages: dict[str, dict[str, Any]] = {}
        self.operations: dict[str, dict[str, Any]] = {}
        for handler in channel.handlers:
            self._receive(handler)
        self._send()
        for feed in channel.feeds:
            self._publish(feed)

    def channel(self) -> dict[str, Any]:
        """Return the channel itself."""
        channel = self._channel
        made: dict[str, Any] = {"address": channel.address, "title": channel.name}
        if channel.doc.summary:
            made["summary"] = channel.doc.summary
        if channel.doc.description:
            made["description"] = channel.doc.description
        made["messages"] = self._messages
        if channel.path:
            made["parameters"] = {
                each.name: self._parameter(each.annotation) for each in channel.path
            }
        binding: dict[str, Any] = {"method": "GET", "bindingVersion": "0.1.0"}
        if channel.query:
            binding["query"] = {
                "type": "object",
                "properties": {each.name: self._query(each) for each in channel.query},
            }
        made["bindings"] = {"ws": binding}
        if channel.protocols:
            made["x-consumers-protocol"] = {"subprotocols": list(channel.protocols)}
        if channel.feeds:
            made["x-consumers-groups"] = [self._group(feed) for feed in channel.feeds]
        if channel.host is not None:
            made["x-consumers-host"] = channel.host
        return made

    def _parameter(self, annotation: Any) -> dict[str, Any]:
        """Return a parameter of the path: AsyncAPI has no schemas for these."""
        schema = self._schemas.of(annotation)
        whole = self._schemas.resolve(schema)
        made: dict[str, Any] = {
            "description": in_words(whole),
            "x-consumers-schema": schema,
        }
        if "enum" in whole:
            made["enum"] = [str(each) for each in whole["enum"]]
        if "examples" in whole:
            made["examples"] = [str(each) for each in whole["examples"]]
        return made

    def _query(self, parameter: Parameter) -> Schema:
        schema = _without_null(self._schemas.of(parameter.annotation))
        default = msgspec.to_builtins(parameter.default, enc_hook=str)
        if default is None:
            return schema
        if "$ref" in schema:  # what stands beside a reference is not read
            schema = {"allOf": [schema]}
        return {**schema, "default": default}

    def _group(self, feed: Feed) -> dict[str, Any]:
        group = feed.group
        return {
            "operation": f"{self.name}.{feed.name}",
            "pattern": group.pattern,
            "parameters": list(group.parameters),
            "history": group.history is not None,
            "presence": group.presence is not None,
        }

    def _receive(self, handler: Handler) -> None:
        names = [self._message(kind, received=True) for kind in handler.takes]
        made = self._operation("receive", names)
        _tell(made, handler.doc.summary, handler.doc.description)
        if handler.answers:
            answers = [self._add("error", {"name": "error", "payload": _ERROR})]
            if handler.reply is not None:
                answers.insert(0, self._reply(handler))
            made["reply"] = {
                "channel": {"$ref": f"#/channels/{self.name}"},
                "messages": self._refs(answers),
            }
            made["x-consumers-stream"] = handler.streams
        self.operations[handler.name] = made

    def _reply(self, handler: Handler) -> str:
        message = self._described(handler.reply, received=False)
        if handler.streams:
            message["summary"] = f"One item of the stream that answers {handler.name}."
            return self._add(f"{handler.name}.item", message)
        message["summary"] = f"The answer to {handler.name}."
        return self._add(f"{handler.name}.reply", message)

    def _send(self) -> None:
        for kind in self._channel.pushes:
            name = self._message(kind)
            made = self._operation("send", [name])
            message = self._messages[name]
            _tell(made, message.get("summary", ""), "")
            self.operations[f"send.{name}"] = made

    def _publish(self, feed: Feed) -> None:
        names = []
        if feed.snapshot is not None:
            message = self._described(feed.snapshot, received=False)
            message["summary"] = f"What a client gets first of {feed.group.pattern}."
            names.append(self._add(f"{feed.name}.snapshot", message))
        wrapped = self._channel.positions and feed.group.history is not None
        for kind in feed.publications:
            message = self._described(kind, received=False)
            if wrapped:
                message["payload"] = _positioned(message["payload"])
                message.pop("examples", None)
            names.append(self._add(_key_of(kind), message))
        made = self._operation("send", names)
        _tell(made, feed.doc.summary, feed.doc.description)
        made["x-consumers-group"] = feed.group.pattern
        self.operations[feed.name] = made

    def _operation(self, action: str, names: list[str]) -> dict[str, Any]:
        made: dict[str, Any] = {
            "action": action,
            "channel": {"$ref": f"#/channels/{self.name}"},
            "messages": self._refs(names),
        }
        if self._channel.authenticates:
            made["security"] = [
                {"$ref": f"#/components/securitySchemes/{name}"} for name in _SECURITY
            ]
        return made

    def _refs(self, names: list[str]) -> list[dict[str, str]]:
        return [
            {"$ref": f"#/channels/{self.name}/messages/{name}"}
            for name in dict.fromkeys(names)
        ]

    def _message(self, kind: Any, *, received: bool = False) -> str:
        return self._add(_key_of(kind), self._described(kind, received=received))

    def _described(self, kind: Any, *, received: bool) -> dict[str, Any]:
        """Return a message of a type, without its key."""
        schema = self._schemas.of(kind)
        whole = self._schemas.resolve(schema)
        codec = self._channel.receive if received else self._channel.send
        content = _CONTENT.get(codec.name) or _CONTENT[_RAW.get(kind, "json")]
        made: dict[str, Any] = {"title": whole.get("title", _key_of(kind))}
        summary, _, description = whole.get("description", "").partition("\n\n")
        _tell(made, summary, description)
        made["contentType"] = content
        made["payload"] = schema
        if "examples" in whole:
            made["examples"] = [
                {"payload": _checked(each, kind, received=received)}
                for each in whole["examples"]
            ]
        return made

    def _add(self, name: str, message: dict[str, Any]) -> str:
        """Add a message, under a name that stands for no other."""
        number, made = 1, name
        message = {"name": name, **message}
        while self._messages.setdefault(made, message) != message:
            number += 1
            made = f"{name}{number}"
        return made


def _key_of(kind: Any) -> str:
    """Return a message's name as the keys of a document may be."""
    return _NOT_IN_KEYS.sub("_", name_of(kind))


def _checked(example: Any, kind: Any, *, received: bool) -> Any:
    """Return an example as it would travel.

    Raises:
        ConfigurationError: It is not of the type whose docstring it is in.
    """
    codec = codec_for("json", kind)
    text = msgspec.json.encode(example).decode()
    try:
        message = codec.decode({"text": text})
    except InvalidMessage as error:
        raise ConfigurationError(
            f"an example of {_key_of(kind)} must be one, got {text}; {error.__cause__}"
        ) from error
    # What is sent has its defaults.
    return example if received else msgspec.json.decode(codec.encode(message)["text"])


def _tell(made: dict[str, Any], summary: str, description: str) -> None:
    if summary:
        made["summary"] = summary
    if description:
        made["description"] = description


def _positioned(schema: Schema) -> Schema:
    """Return what a publication looks like beside its position."""
    return {
        "type": "object",
        "properties": {
            "group": {"type": "string"},
            "position": {"type": "string"},
            "message": schema,
        },
        "required": ["group", "position", "message"],
    }


def _without_null(schema: Schema) -> Schema:
    """Return the schema of what a URL may say: it can't say null."""
    options = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if not options:
        return schema
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**rest, **options[0]} if len(options) == 1 else {**rest, "anyOf": options}
