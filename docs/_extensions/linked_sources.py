"""Links from a page of docs/ to a file of the repository that is no page: shown as the file's path, since the site has no copy of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx


def resolve(app: Sphinx, env: Any, node: addnodes.pending_xref, contnode: nodes.Element) -> nodes.Node | None:
    """The text of a link whose target is a file or folder of the repository outside docs/."""
    target = str(node.get("reftarget", "")).partition("#")[0]
    source = Path(env.doc2path(node.get("refdoc", env.docname))).parent
    if target.startswith("../") and (source / target).exists():
        return nodes.literal(target, target.lstrip("./"))
    return None


def setup(app: Sphinx) -> dict[str, Any]:
    """Look at links that nothing else resolves."""
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
