"""Generated TypeScript: it compiles, and what the server would refuse does not."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from chat.app import app as chat
from howto.typed import app as typed

from consumers import App, WebSocketConsumer, WebSocketRoute, receives
from consumers.schema import typescript
from consumers_tests.schema.applications import app
from consumers_tests.schema.node import compiled, needs_npm

HOWTO: Final = Path(__file__).parents[2] / "docs" / "examples" / "howto"

MODULE: Final = typescript(app)

RIGHT: Final = """
import { chatGroups, connectChat, connectEcho, connectInnerTyped } from "./app.js";
import type { ChatProtocol, Color, FramesTakes, Receipt, Said, Token } from "./app.js";

const client = connectChat("wss://chat.example", { channel: "lobby" });
connectChat("", { channel: "a", color: "red", limit: 3, tags: ["a"] }, { token: "x" });
connectInnerTyped("ws://localhost");
connectEcho("").send("hi");

client.send({ type: "say", text: "hi" });
client.send({ type: "rename", name: "ann" });

async function ask(): Promise<void> {
  const receipt: Receipt = await client.request({ type: "say", text: "hi" });
  const warnings: string[] = receipt.warnings;
  const nothing: null = await client.request({ type: "rename", name: "ann" });
  for await (const token of client.stream({ type: "ask", prompt: "why?" })) {
    const text: string = token.text;
    const last: boolean | undefined = token.last;
  }
  const room = client.subscribe(chatGroups.watch({ channel: "lobby" }));
  const people: string[] | undefined = room.snapshot?.people;
  for await (const publication of room) {
    const who: string = publication.message.who;
    const color: Color = publication.message.color;
  }
  for await (const publication of client.subscribe(chatGroups.follow())) {
    const type: "joined" = publication.message.type;
  }
  for await (const message of client) {
    if (message.type === "said") {
      const said: Said = message;
    }
  }
}
"""

PRELUDE: Final = """
import { chatGroups, connectChat, connectInnerTyped } from "./app.js";
const client = connectChat("", { channel: "lobby" });
"""

# Each is one line that must not compile.
WRONG: Final = (
    'connectChat("");',
    'connectChat("", {});',
    'connectChat("", { channel: 3 });',
    'connectChat("", { channel: "lobby", colour: "red" });',
    'connectChat("", { channel: "lobby", color: "green" });',
    'connectInnerTyped("", { channel: "lobby" });',
    'client.send({ type: "say" });',
    'client.send({ type: "say", text: 3 });',
    'client.send({ type: "say", text: "hi", colour: "red" });',
    'client.send({ type: "say", text: "hi", color: "green" });',
    'client.send({ type: "shout", text: "hi" });',
    'client.send({ text: "hi" });',
    'client.send({ type: "ask", prompt: "why?" });',
    'client.send("hi");',
    'client.request({ type: "say" });',
    'client.request({ type: "rename", name: 3 });',
    'client.request({ type: "ask", prompt: "why?" });',
    'client.request({ type: "said", who: "ann", text: "hi", color: "red" });',
    'client.request({ type: "say", text: "hi" }).then((reply) => reply.when);',
    'client.request({ type: "rename", name: "a" }).then((reply) => reply.at);',
    'client.stream({ type: "say", text: "hi" });',
    'client.stream({ type: "ask" });',
    'for await (const x of client.stream({ type: "ask", prompt: "why?" })) x.txt;',
    'client.subscribe("cats.lobby");',
    "chatGroups.watch();",
    'chatGroups.watch({ room: "lobby" });',
    "client.subscribe(chatGroups.follow()).snapshot?.people;",
    'client.subscribe("chat.x").on("publication", (each) => each.message.whom);',
    'client.on("message", (message) => message.text);',
)


@needs_npm
def test_what_is_right_compiles_and_what_is_wrong_does_not(tmp_path: Path) -> None:
    """Under `tsc --strict`: each wrong use is an error, in its own line."""
    wrong = "".join(f"{line}\n" for line in WRONG)
    said = compiled(
        tmp_path,
        {
            "app.ts": MODULE,
            "old.ts": typescript(chat),
            "chat.ts": typescript(typed),
            "typed.ts": (HOWTO / "typed.ts").read_text(),
            "right.ts": RIGHT,
            "wrong.ts": PRELUDE.strip() + "\n" + wrong,
            "expected.ts": PRELUDE
            + "".join(f"// @ts-expect-error\n{line}\n" for line in WRONG),
        },
    )

    first = len(PRELUDE.strip().splitlines())
    lines = {
        int(line) for name, line in re.findall(r"^(\S+?)\((\d+),", said, re.MULTILINE)
    }
    assert {*re.findall(r"^(\S+?)\(\d+,", said, re.MULTILINE)} == {"wrong.ts"}, said
    assert lines == {first + number for number in range(1, len(WRONG) + 1)}, said


@needs_npm
def test_addresses_are_made_of_their_parameters(tmp_path: Path) -> None:
    """What is in the path is escaped, a path keeps its slashes, a list is repeated."""

    class Files(WebSocketConsumer):
        async def on_connect(
            self, folder: str, path: str, depth: int = 1, tags: tuple[str, ...] = ()
        ) -> None: ...

    files = App([WebSocketRoute("/files/{folder}/{path:path}", Files)])
    # A client that tells what it was called with; types are stripped by the compiler.
    (tmp_path / "consumers.js").write_text("export const connect = (url) => url;\n")
    (tmp_path / "consumers.d.ts").write_text(
        "export type Options = {}; export type Client<P> = string;\n"
        "export function connect<P>(url: string, options?: Options): string;\n"
    )
    main = """
        import { connectFiles } from "./files.js";
        const parameters = { folder: "a/b c", path: "x/y z", tags: ["1", "&"] };
        console.log(connectFiles("ws://h/", parameters));
        console.log(connectFiles("", { folder: "f", path: "p", depth: 2 }));
    """
    assert compiled(tmp_path, {"files.ts": typescript(files), "main.ts": main}) == ""

    shown = subprocess.run(
        ["node", "main.js"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout

    assert shown.splitlines() == [
        "ws://h/files/a%2Fb%20c/x/y%20z?tags=1&tags=%26",
        "/files/f/p?depth=2",
    ]


def test_docstrings_become_comments() -> None:
    """Of types, fields, methods and channels; nothing in them ends the comment."""

    class Say(msgspec.Struct, tag="say"):
        """Say it. */ alert()."""

        text: str

    class Chat(WebSocketConsumer):
        """A chat.

        With rooms.
        """

        @receives
        async def say(self, message: Say) -> None:
            """Say it here."""

    made = typescript(App([WebSocketRoute("/", Chat)]))

    assert "/** Say it. *\\/ alert(). */\nexport type Say = {" in made
    assert "/**\n * A chat.\n *\n * With rooms.\n */\n" in made
    assert '    /** Say it here. */\n    "say": {' in made


def test_names_are_those_of_typescript_and_each_is_one_type() -> None:
    """Tags may be anything, and a type may be called as something that there is."""

    class URL(msgspec.Struct, tag="get-it"):
        at: dict[str, list[int | None]]

    class Chat(msgspec.Struct, tag="chat", rename={"odd": "very odd"}):
        odd: tuple[int, ...]

    class Chats(WebSocketConsumer):
        @receives
        async def fetch(self, message: URL) -> Chat | None: ...

        @receives
        async def chat(self, message: Chat) -> Any: ...

    routes = [WebSocketRoute("/", Chats, name=name) for name in ("chat", "2")]

    made = typescript(App(routes), client="consumers")

    assert 'import * as consumers from "consumers";' in made
    assert "export type URL2 = {" in made
    assert '"very odd": number[];' in made
    assert "[key: string]: (number | null)[];" in made
    assert '"get-it": { message: URL2; reply: Chat | null };' in made
    assert '"chat": { message: Chat; reply: unknown };' in made
    assert "export function connectChat2(" in made
    assert "export function connectT2(" in made


def test_without_a_subprotocol_there_are_types_alone() -> None:
    """A client of bytes needs no `consumers.js`."""

    class Bytes(WebSocketConsumer):
        async def on_receive(self, message: bytes) -> None: ...

    made = typescript(App([WebSocketRoute("/bytes", Bytes)]))

    assert "export type BytesTakes = string;" in made
    assert "import" not in made
    assert "connect" not in made


def test_a_schema_of_pydantic_is_a_type_too() -> None:
    """With its constants and its models within models."""
    assert 'export type Order = {\n  kind?: "order";\n  lines: Line[];' in MODULE


@pytest.mark.parametrize("name", ["Chat", "Echo", "InnerTyped", "Shop", "Silent"])
def test_each_channel_has_a_function(name: str) -> None:
    """Named as its route is."""
    assert f"export function connect{name}(" in MODULE
