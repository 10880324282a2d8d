"""How the documentation is built: Sphinx, pages in Markdown, one theme."""

import sys
import tomllib
from pathlib import Path

from sphinx.application import Sphinx

root = Path(__file__).parent.parent
sys.path.insert(0, str(root))

from docs.tables import SUBSTITUTIONS  # noqa: E402

declared = tomllib.loads((root / "pyproject.toml").read_text())["project"]

project = "consumers"
project_copyright = "the consumers contributors"
release = version = declared["version"]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = [
    *("_build", "changelog.d", "examples", "__pycache__"),
    "SECURITY.md",  # where platforms look for it; it leads to two pages
    # parts of pages
    *("project/benchmarks", "project/fault-runs", "project/autobahn-run.md"),
]

html_theme = "furo"
html_title = f"consumers {release}"

myst_enable_extensions = ["colon_fence", "deflist", "fieldlist", "substitution"]
myst_substitutions = SUBSTITUTIONS
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_default_options = {"show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False

# References to names of our own are checked. Others' names can't be without their
# inventories, which come from the network: the build does without it.
foreign = {
    "anyio",
    "click",
    "fastapi",
    "hypercorn",
    "msgspec",
    "pydantic",
    "pytest",
    "starlette",
    "trio",
    "uvicorn",
    *sys.stdlib_module_names,
}
# Names of ours that annotations have and pages tell in words.
told_in_words = {
    "ASGIApp",
    "Event",
    "Factory",
    "HeaderTypes",
    "Headers",
    "Maker",
    "Per",
    "Policy",
    "QueryTypes",
    "Sending",
    "Target",
    "TaskHandle",
    r"consumers\.client\.\w+\.T",
    r"consumers\.forms\.Forms",
    r"consumers\.groups\.declaring\.Declaring",
    r"consumers\.groups\.declaring\.Hook",
    r"(consumers\.groups\.hub\.)?Member",
    r"consumers\.groups\.joining\.Joining",
    r"consumers\.groups\.loops\.EventLoops",
    r"consumers\.handshake\.handshake\.Handshake",
    r"consumers\.member\.GroupMember",
    r"consumers\.handlers\.messages\.HookT",
    r"consumers\.queues\.policies\._Bounded",
    r"consumers\.sender\.Sender",
    r"consumers\.testing\.connection\.T",
    r"consumers\.testing\.dialling\.InProcess",
}
nitpick_ignore_regex = [
    ("py:.*", rf"({'|'.join(sorted(foreign))})(\..*)?"),
    ("py:(class|obj)", "|".join(sorted(told_in_words))),
]


# napoleon takes `1003: wrong frame` under an attribute for its type and description,
# so that the colons are something else while it runs.
COLON = "\uf03a"


def hide_colons(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Make colons of attributes something else."""
    if what in ("attribute", "data", "property"):
        lines[:] = [line.replace(": ", f"{COLON} ") for line in lines]


def show_colons(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Make them colons again."""
    lines[:] = [line.replace(COLON, ":") for line in lines]


def setup(app: Sphinx) -> None:
    """Connect what must come before napoleon, and after it."""
    app.connect("autodoc-process-docstring", hide_colons, priority=400)
    app.connect("autodoc-process-docstring", show_colons, priority=600)
