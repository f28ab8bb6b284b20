"""Every public function says what goes with it."""

import inspect
import re

import pytest

import mflow

FACES = ("mflow", "mflow.plot", "mflow.data")
FUNCTIONS = {
    f"{face}.{name}": value
    for face in FACES
    for name, value in ((n, getattr(inspect.importlib.import_module(face), n)) for n in inspect.importlib.import_module(face).__all__)
    if inspect.isfunction(value) or inspect.isbuiltin(value)
}


def named(text: str) -> list[str]:
    """The names of a section See Also."""
    section = re.search(r"See Also\n-+\n(.*?)(?:\n\n|\Z)", text, re.DOTALL)
    if section is None:
        return []
    lines = [line.split(" : ")[0] for line in section[1].split("\n") if not line.startswith(" ")]
    return [name.strip() for line in lines for name in line.split(",") if name.strip()]


def test_functions_are_found():
    assert {"mflow.minimize", "mflow.plot.energy", "mflow.data.read_record"} <= set(FUNCTIONS)
    assert len(FUNCTIONS) > 80


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_see_also_names_public_things_and_not_itself(name):
    names = named(inspect.getdoc(FUNCTIONS[name]) or "")
    assert names, f"{name} has no section See Also"
    for other in names:
        assert other not in (name, name.removeprefix("mflow."))
        value = mflow
        for part in other.removeprefix("mflow.").split("."):
            value = getattr(value, part)
