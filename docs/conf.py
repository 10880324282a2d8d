"""How the documentation is built: Sphinx, pages in Markdown, one theme."""

import sys
import tomllib
from pathlib import Path

root = Path(__file__).parent.parent
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
exclude_patterns = ["_build", "changelog.d", "examples"]

html_theme = "furo"
html_title = f"consumers {release}"

myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_default_options = {"members": True, "show-inheritance": True}
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
nitpick_ignore_regex = [("py:.*", rf"({'|'.join(sorted(foreign))})(\..*)?")]
