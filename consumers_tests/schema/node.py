"""Programs that run on Node: AsyncAPI's parser, and TypeScript's compiler."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import consumers

PACKAGES = Path(sys.prefix) / "npm" / "node_modules"
"""Where `make test` installs them."""

CLIENT = Path(consumers.__file__).parent / "client"

needs_npm = pytest.mark.skipif(
    shutil.which("node") is None or not (PACKAGES / "typescript").is_dir(),
    reason="Node, or what `make test` installs by npm, is not there",
)

_PARSE = """
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
const { Parser } = createRequire(process.argv[1])("@asyncapi/parser");
const documents = JSON.parse(readFileSync(0, "utf8"));
const parser = new Parser();
const found = {};
for (const [name, text] of Object.entries(documents)) {
  const { diagnostics } = await parser.parse(text);
  found[name] = diagnostics
    .filter((each) => each.code !== "asyncapi-latest-version")
    .map((each) => `${each.severity} ${each.path.join("/")}: ${each.message}`);
}
console.log(JSON.stringify(found));
"""


def diagnosed(documents: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what AsyncAPI's own parser finds wrong with each document."""
    process = subprocess.run(
        ["node", "--input-type=module", "-e", _PARSE, f"{PACKAGES}/"],
        input=json.dumps({name: json.dumps(each) for name, each in documents.items()}),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found: dict[str, list[str]] = json.loads(process.stdout)
    return found


def compiled(folder: Path, modules: Mapping[str, str]) -> str:
    """Return what the compiler says of modules; nothing: they are right.

    They find `consumers.js` beside them. What they become is beside them too.
    """
    for name in ("consumers.js", "consumers.d.ts"):
        if not (folder / name).exists():
            shutil.copy(CLIENT / name, folder)
    for name, text in {"package.json": '{"type": "module"}', **modules}.items():
        (folder / name).write_text(text)
    process = subprocess.run(
        [
            *(PACKAGES / ".bin" / "tsc", "--strict", "--skipLibCheck", "false"),
            *("--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom"),
            *modules,
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert bool(process.stdout) is (process.returncode != 0), process.stderr
    return process.stdout
