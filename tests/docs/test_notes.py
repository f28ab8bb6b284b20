"""The pages that map the lecture notes: every line of them runs, every picture exists, every method is there."""

from __future__ import annotations

import doctest
import importlib.util
import re

from mflow_core import registry

from support.places import ROOT

NOTES = ROOT / "docs" / "notes.md"
SLIDES = 37  # of the notes, without the title


def test_every_line_of_the_notes_runs() -> None:
    result = doctest.testfile(str(NOTES), module_relative=False)
    assert result.failed == 0
    assert result.attempted > 90


def test_every_line_on_energy_runs() -> None:
    result = doctest.testfile(str(ROOT / "docs" / "energy.md"), module_relative=False)
    assert result.failed == 0
    assert result.attempted > 4


def test_every_slide_has_its_lines() -> None:
    text = NOTES.read_text()
    parts = re.split(r"^(?=\*\*)", text[text.index("## Ordinary") :], flags=re.M)[1:]
    assert len(parts) == SLIDES
    for part in parts:
        assert (">>> " in part and "mflow" in part) or "st." in part, part.splitlines()[0]


def test_links_lead_somewhere() -> None:
    for page in ("notes.md", "arguments.md", "energy.md", "index.md"):
        for link in re.findall(r"\]\(([^)#]+)\)", (ROOT / "docs" / page).read_text()):
            assert link.startswith(("https://", "pictures/")) or (ROOT / "docs" / link).exists(), link  # test_gallery looks at pictures


def test_page_of_methods_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("make_methods", ROOT / "tools" / "make_methods.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = module.PAGE.read_text()
    assert text == module.page(), "run python tools/make_methods.py"
    for record in registry.records():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{record.name}` |"))
        assert all(f"`{alias}`" in row for alias in record.aliases)
        assert all(f"`{p.partition('[')[0]}=" in row for p in (q[0] for q in record.parameters_) if p != "lr")
