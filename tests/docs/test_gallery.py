"""Every script of docs/gallery runs as it stands and writes its picture, which sphinx-gallery shows on a page of its own."""

from __future__ import annotations

import ast
import re
import runpy
import shutil

import pytest

import mflow.plot

pytest.importorskip("matplotlib")

from support.places import ROOT

GALLERY = ROOT / "docs" / "gallery"
SCRIPTS = sorted(GALLERY.glob("[0-9]*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script_writes_its_picture(script, tmp_path, monkeypatch):
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    copy = shutil.copy(script, tmp_path / script.name)
    runpy.run_path(str(copy), run_name="__main__")
    (drawn,) = (path for path in tmp_path.iterdir() if path.name != script.name)
    assert drawn.stem == script.stem  # by which docs/_extensions/written_pictures.py finds it
    assert drawn.suffix in (".png", ".gif")
    with Image.open(drawn) as picture:
        assert picture.size[0] <= 1000
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 20  # not an empty page


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script_begins_with_a_title_and_words(script):
    title, line, *words = (ast.get_docstring(ast.parse(script.read_text())) or "").splitlines()
    assert line == "=" * len(title)
    assert words


def test_no_picture_is_kept():
    """They are drawn with the site, so that none is older than its script."""
    assert len(SCRIPTS) >= 25
    assert {path.suffix for path in GALLERY.iterdir() if path.is_file()} == {".py", ".rst"}


def test_pages_show_pictures_of_scripts():
    """What a page shows of the gallery exists once the site is built."""
    pages = [path for path in (ROOT / "docs").rglob("*.md") if not {"methods", "pictures", "reference", "_build"} & set(path.parts)]
    link = r"pictures/(?:images/sphx_glr_)?(\d\d_\w+?)(?:_001\.png|\.rst)\)"
    shown = {name for page in pages for name in re.findall(link, page.read_text())}
    assert len(shown) > 10
    assert shown <= {script.stem for script in SCRIPTS}


def test_links_of_the_first_page_lead_somewhere():
    page = ROOT / "docs" / "index.md"
    links = [a or b for a, b in re.findall(r"\]\(([^)#]+)\)|href=\"([^\"]+)\"", page.read_text())]
    assert links
    for link in links:
        assert link.startswith(("https://", "pictures/")) or (page.parent / link).exists(), link


def test_first_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    block, *_ = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "howto" / "pictures.md").read_text(), re.S)
    exec(compile(block, "docs/howto/pictures.md", "exec"), {"__name__": "index"})
    assert {path.name for path in tmp_path.iterdir()} == {"regions.png", "iterates.png"}
    rows = re.findall(r"plot\.(\w+)", (ROOT / "docs" / "howto" / "pictures.md").read_text())
    assert set(mflow.plot.__all__) <= set(rows)
