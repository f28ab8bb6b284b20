"""Every public name says what it is, what it takes and returns, has an example and names its neighbours."""

from __future__ import annotations

import dataclasses
import doctest
import importlib
import importlib.util
import inspect
import re
from typing import Any

import pytest

import mflow
from mflow.base.methods import Method
from mflow.base.result import Result
from support.places import ROOT

NEEDS = {"mflow.scipy": "scipy", "mflow.torch": "torch"}
FACES = ["mflow", *(f"mflow.{name}" for name in mflow._MODULES if importlib.util.find_spec(NEEDS.get(f"mflow.{name}", "mflow")))]
SECTION = re.compile(r"^([A-Z][A-Za-z ]+)\n-{3,}\n", re.MULTILINE)
PACKAGE = tuple(f"mflow.{path.name}." for path in (ROOT / "python" / "mflow").iterdir() if path.is_dir())
TOLD = ("Parameters", "Other Parameters", "Attributes")


def public() -> dict[str, Any]:
    """Classes and functions by the name of the first face that has them; an object with two names counts once."""
    found: dict[int, tuple[str, Any]] = {}
    for face in FACES:
        module = importlib.import_module(face)
        for name in module.__all__:
            value = getattr(module, name)
            if callable(value):
                found.setdefault(id(value), (f"{face}.{name}", value))
    return dict(found.values())


NAMES = public()
EACH = pytest.mark.parametrize("name", sorted(NAMES))


def sections(name: str) -> dict[str, str]:
    """The parts of a docstring by their heading, what stands before the first under ""."""
    parts = SECTION.split(inspect.getdoc(NAMES[name]) or "")
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def entries(text: str) -> set[str]:
    """The names that a section of parameters tells of."""
    heads = [head for line in text.splitlines() if line and not line.startswith(" ") for head in re.split(r"; (?=[\w, ]+ : )", line)]
    return {name.strip() for head in heads for name in head.partition(" : ")[0].split(",")}


def taken(name: str) -> set[str]:
    """The parameters of a function, of a class's construction or, where the library alone makes its objects, the fields."""
    value = NAMES[name]
    told = sections(name)
    if inspect.isclass(value) and not dataclasses.is_dataclass(value) and "Attributes" in told and "Parameters" not in told:
        return set()  # what a user is handed: its attributes are what there is to tell
    try:
        signature = inspect.signature(value)
    except ValueError:  # a subclass of dict, tuple or an exception without a constructor of its own
        return set()
    named = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {p.name for p in signature.parameters.values() if p.kind in named and not p.name.startswith("_")}


def test_names_are_found() -> None:
    some = {"mflow.minimize", "mflow.plot.energy", "mflow.data.read_record", "mflow.RK4", "mflow.optim.Adam", "mflow.IVPResult"}
    assert some <= set(NAMES)
    assert len(NAMES) > 200


@EACH
def test_a_docstring_has_its_sections(name: str) -> None:
    told, value = sections(name), NAMES[name]
    assert told[""].strip(), "no summary"
    entered = {entry for head in TOLD for entry in entries(told.get(head, ""))}
    assert taken(name) - entered == set(), "parameters that it does not tell of"
    if inspect.isroutine(value):
        assert {"Returns", "Yields"} & set(told)
    if inspect.isclass(value) and issubclass(value, Method) and value is not Method:
        assert value.record.reference in told["References"]
    lines = [line.partition(" : ")[0] for line in told.get("See Also", "").split("\n\n")[0].splitlines() if not line.startswith(" ")]
    neighbours = [other.strip() for line in lines for other in line.split(",") if other.strip()]
    assert neighbours, "no See Also"
    for other in neighbours:
        assert other not in (name, name.removeprefix("mflow."))
        found: Any = mflow
        for part in other.removeprefix("mflow.").split("."):
            found = getattr(found, part)
    assert ">>> " in told.get("Examples", ""), "no example"


@pytest.mark.parametrize("name", sorted(name for name, value in NAMES.items() if not value.__module__.startswith(PACKAGE)))
def test_examples_of_what_stands_in_no_file_of_the_package(name: str) -> None:
    """Classes that are made from records, and what the core defines; test_docs runs those of files."""
    found = doctest.DocTestFinder(recurse=False).find(NAMES[name], name, module=False, globs={})
    assert sum(doctest.DocTestRunner().run(test).failed for test in found) == 0


@pytest.mark.parametrize("name", sorted(name for name, value in NAMES.items() if inspect.isclass(value) and issubclass(value, Result)))
def test_the_fields_of_a_result_are_typed(name: str) -> None:
    """Those of the result in its own example: a type checker finds a misspelt one, and no other."""
    cls, names = NAMES[name], {}
    for test in doctest.DocTestFinder(recurse=False).find(cls, name, module=False, globs=names):
        for example in test.examples:
            exec(compile(example.source, name, "exec"), names)
    made = next(value for value in names.values() if isinstance(value, cls))
    typed = {field for base in cls.__mro__ for field in vars(base).get("__annotations__", {})}
    assert set(made) - typed == set()


def test_pages_of_classes_list_what_they_inherit_from_bases_without_a_page():
    """`step` and `bind` of optimizers, and all that EMA and SWA have, stood nowhere."""
    pytest.importorskip("sphinx")
    spec = importlib.util.spec_from_file_location("record_pages", ROOT / "docs" / "_extensions" / "record_pages.py")
    pages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pages)
    for item in pages.paged():
        stop = next(base for base in item.__mro__[1:] if base in pages.paged() or not base.__module__.startswith("mflow"))
        bases = item.__mro__[1 : item.__mro__.index(stop)]
        hidden = [name for base in bases for name in vars(base) if not name.startswith("_")]
        option = f":inherited-members: {stop.__name__}\n"
        assert (option in pages.stub("mflow.x", item)) == bool(hidden), item
    assert ":inherited-members: object" in pages.stub("mflow.optim.EMA", mflow.optim.EMA)
    page = pages.stub("mflow.optim.Optimizer", mflow.optim.Optimizer)
    assert ":inherited-members: object" in page
    left_out = page.partition(":exclude-members: ")[2].partition("\n")[0].split(", ")
    assert {"set_schedule", "set_group"} <= set(left_out)  # without a word of what they do, they are meant for inside
    assert not {"step", "bind", "load_state_dict"} & set(left_out)


def test_the_words_of_types_are_links_that_lead_somewhere():
    """None, True and False were shown as python:None."""
    names = {line.split()[0] for line in (ROOT / "docs" / "inventories" / "python.txt").read_text().splitlines()[3:]}
    assert {"None", "True", "False"} <= names
