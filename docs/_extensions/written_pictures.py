"""How sphinx-gallery finds the picture of a script of docs/gallery: the file that the script writes, called as itself, beside itself."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path
from typing import Any

from sphinx_gallery.scrapers import figure_rst


def title_of(script: Path) -> str:
    """The first line of a script's docstring."""
    return (ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or script.stem).splitlines()[0]


def moved(block: Any, variables: dict[str, Any], settings: dict[str, Any]) -> str:
    """Move what a script has written to where its page shows it; the script's title is the text for those who do not see it."""
    script = Path(variables["src_file"])
    written = [path for path in (script.with_suffix(".png"), script.with_suffix(".gif")) if path.exists()]
    places = []
    for path in written:
        place = Path(next(variables["image_path_iterator"])).with_suffix(path.suffix)
        shutil.move(path, place)
        places.append(str(place))
    return str(figure_rst(places, settings["src_dir"], title_of(script)))
