"""Every block of Python on a page of docs/ runs, after those above it, and prints what the block of text under it says."""

from __future__ import annotations

import contextlib
import io
import re

import pytest

from support.places import ROOT

DOCS = ROOT / "docs"
WRITTEN = ("methods", "pictures", "reference", "_build")  # by the build of the site
PAGES = sorted(path for path in DOCS.rglob("*.md") if path.relative_to(DOCS).parts[0] not in WRITTEN and path.name != "embedding.md")
BLOCK = re.compile(
    r"^(?:```|:::)(?:\{code-cell\} )?(python|ipython3)[^\n]*\n(?:---\n.*?^---\n)?(.*?)^(?:```|:::)\n(?:\s*^```text\n(.*?)^```)?",
    re.S | re.M,
)
NEEDS = re.compile(r"<!-- needs (\w+) -->")


INVENTORIES = sorted((DOCS / "inventories").glob("*.txt"))


@pytest.mark.parametrize("inventory", INVENTORIES, ids=lambda path: path.stem)
def test_each_name_of_an_inventory_is_one_that_the_site_meets(inventory):
    """On a page, in a docstring, or in conf.py, which has what the words of types stand for; and a version that nobody keeps up is none."""
    paths = [path for path in DOCS.rglob("*") if path.suffix in (".md", ".py") and path.relative_to(DOCS).parts[0] not in WRITTEN]
    paths += [path for top in ("python", "src") for path in (ROOT / top).rglob("*") if path.suffix in (".py", ".pyi", ".pyx")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in paths)
    head, lines = inventory.read_text(encoding="utf-8").splitlines()[:3], inventory.read_text(encoding="utf-8").splitlines()[3:]
    assert head == ["# Sphinx inventory version 1", f"# Project: {inventory.stem}", "# Version:"]
    names = [line.split()[0] for line in lines]
    assert [name for name in names if not re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", text)] == []


def test_pages_are_found():
    assert {"start.md", "index.md"} <= {path.name for path in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(DOCS)))
def test_blocks_run_and_print_what_the_page_says(page, tmp_path, monkeypatch):
    text = page.read_text(encoding="utf-8")
    for package in NEEDS.findall(text):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "page"}
    for number, (_, code, printed) in enumerate(BLOCK.findall(text), 1):
        if code.startswith(">>> "):
            continue  # a doctest, which test_notes runs
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(compile(code, f"{page.name}, block {number}", "exec"), names)
        if printed:
            assert said.getvalue().split() == printed.split(), f"{page.name}, block {number}"
