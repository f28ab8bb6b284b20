"""Every script of docs/gallery runs as it stands and writes its picture; the page shows all of them."""

from __future__ import annotations

import importlib.util
import re
import runpy
import shutil

import pytest

import mflow.plot

pytest.importorskip("matplotlib")

from support.places import ROOT

SCRIPTS = sorted((ROOT / "docs" / "gallery").glob("[0-9]*.py"))


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("make_gallery", ROOT / "tools" / "make_gallery.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script_writes_its_picture(script, tmp_path, tool, monkeypatch):
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    copy = shutil.copy(script, tmp_path / script.name)
    runpy.run_path(str(copy), run_name="__main__")
    drawn = tool.picture(copy)
    assert {path.name for path in tmp_path.iterdir()} == {script.name, drawn.name}
    tool.shrink(drawn)
    assert drawn.stat().st_size < 80_000
    kept = script.with_suffix(drawn.suffix)
    with Image.open(drawn) as new, Image.open(kept) as old:  # of this script as it stands, as far as a size can tell
        assert new.size == old.size
        assert len(new.convert("RGB").getcolors(1 << 20)) > 20  # not an empty page


def test_gallery_is_small_and_whole(tool):
    assert len(SCRIPTS) >= 13
    pictures = [tool.picture(script) for script in SCRIPTS]
    assert all(path.exists() for path in pictures)
    assert sum(path.stat().st_size for path in pictures) < 1_000_000
    assert {path.stem for path in (ROOT / "docs" / "gallery").iterdir() if path.suffix in (".png", ".gif")} == {s.stem for s in SCRIPTS}


def test_page_is_up_to_date(tool):
    assert tool.PAGE.read_text() == tool.page(), "run nox -s gallery"


@pytest.mark.parametrize("name", ["index.md", "gallery.md"])
def test_links_lead_somewhere(name):
    page = ROOT / "docs" / name
    links = re.findall(r"\]\(([^)#]+)\)|href=\"([^\"]+)\"", page.read_text())
    assert links
    for link in (a or b for a, b in links):
        assert link.startswith("https://") or (page.parent / link).exists(), link


def test_first_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    block, *_ = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "howto" / "pictures.md").read_text(), re.S)
    exec(compile(block, "docs/howto/pictures.md", "exec"), {"__name__": "index"})
    assert {path.name for path in tmp_path.iterdir()} == {"regions.png", "iterates.png"}
    rows = re.findall(r"plot\.(\w+)", (ROOT / "docs" / "howto" / "pictures.md").read_text())
    assert set(mflow.plot.__all__) <= set(rows)
