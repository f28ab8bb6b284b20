"""Runs the scripts of docs/gallery, makes their pictures small, and writes the page that shows them.

    python tools/make_gallery.py            draw everything and write docs/gallery.md
    python tools/make_gallery.py --check    draw nothing; exit with 1 where the page is out of date or a picture is missing

The page is derived from the scripts: the first line of a docstring is the title, the rest says what one sees. Their numbers give the order.
"""

from __future__ import annotations

import ast
import os
import runpy
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "gallery.md"
HEAD = """# Gallery

Each picture is written by the short script under it, which runs from the shell or in a notebook and puts it into the
folder where it runs (`pip install 'momentum-flow[plot]'`). `nox -s gallery` draws them all again.
`help(mflow.plot)` lists what can be drawn; every function takes `ax=`.

<!-- Written by tools/make_gallery.py from the scripts: do not edit. -->
"""


def scripts() -> list[Path]:
    """The scripts, in order."""
    return sorted((DOCS / "gallery").glob("[0-9]*.py"))


def picture(script: Path) -> Path:
    """What the script has written."""
    return next((p for p in (script.with_suffix(".gif"), script.with_suffix(".png")) if p.exists()), script.with_suffix(".png"))


def page() -> str:
    """The text of docs/gallery.md."""
    parts = [HEAD]
    for script in scripts():
        text = script.read_text()
        title, _, words = (ast.get_docstring(ast.parse(text)) or "").partition("\n")
        code = text[text.index('"""', 3) + 3 :].strip()
        parts.append(
            f"## {title}\n\n{words.strip()}\n\n![{title}](gallery/{picture(script).name})\n\n"
            f'<details><summary><a href="gallery/{script.name}">{script.name}</a></summary>\n\n```python\n{code}\n```\n\n</details>\n'
        )
    return "\n".join(parts)


def shrink(path: Path) -> None:
    """A PNG in 128 colours of its own: a third of the size, and no difference that the eye finds."""
    from PIL import Image

    if path.suffix == ".png":
        with Image.open(path) as image:
            small = image.convert("RGB").quantize(128, dither=Image.Dither.NONE)
        small.save(path, optimize=True)


def main() -> int:
    """Write, or check."""
    if "--check" in sys.argv[1:]:
        wrong = [script.name for script in scripts() if not picture(script).exists()]
        wrong += ["docs/gallery.md"] if not PAGE.exists() or PAGE.read_text() != page() else []
        if wrong:
            print(f"out of date or missing: {', '.join(wrong)}; run nox -s gallery")
        return int(bool(wrong))
    for script in scripts():
        os.chdir(script.parent)
        runpy.run_path(str(script), run_name="__main__")
        shrink(picture(script))
        print(f"{picture(script).name}: {picture(script).stat().st_size / 1000:.0f} kB")
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
