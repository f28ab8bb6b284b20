"""Writes docs/arguments.md: every method with its arguments, from the method records.

python tools/make_methods.py            write it
python tools/make_methods.py --check    exit with 1 where it is out of date
"""

from __future__ import annotations

import math
import sys
import warnings
from pathlib import Path

from mflow_core import registry

import mflow
from mflow.base.methods import parameters_of, takes_letters

PAGE = Path(__file__).resolve().parents[1] / "docs" / "arguments.md"
HEAD = """# The methods and their arguments

What stands for the step $\\Delta t$, and the parameters of each method; `help(mflow.get_method("rk4"))` says what they mean. The letters
of the lecture notes are explained in [notes.md](notes.md).

<!-- Written by tools/make_methods.py from the method records: do not edit. -->
"""


FLOWS = """## The ODE that each follows

What `mflow.consistency` finds with the default parameters (momentum 0.9, friction 1) as the step goes to 0, on a quartic from rest, and the
next term of the modified equation, where there is one: gradient descent follows c' = -grad(f + lr/4 |grad f|^2) (Barrett and Dherin, ICLR
2021), implicit Euler the same with the other sign. "None": the memory of the method, 1000 steps at a beta of 0.999, is not short at
the steps tried, or it is no ODE of these. `mflow.consistency(update)` finds the same for a rule of your own.
"""


def arguments(record: registry.MethodRecord) -> list[str]:
    """The names of a method's own parameters, with their defaults."""
    own = [f"`{p.name}={p.default!r}`".replace("|", "\\|") for p in parameters_of(record) if p.name != "lr"]
    return own + (["or `alpha`, `beta`, `dt`"] if takes_letters(record) else [])


def step_of(record: registry.MethodRecord) -> str:
    """What a method calls the step."""
    if record.kind == "step":
        return "`dt`, or `rtol` and `atol`" if "embedded" in record.flags else "`dt`"
    return "`lr`"


def page() -> str:
    """The text of docs/arguments.md."""
    parts = [HEAD]
    for family in dict.fromkeys(record.family for record in registry.records()):
        rows = ["| method | aliases | step | parameters | formula |", "|---|---|---|---|---|"]
        for record in (r for r in registry.records() if r.family == family):
            cells = (f"`{record.name}`", ", ".join(f"`{a}`" for a in record.aliases), step_of(record), ", ".join(arguments(record)))
            rows.append("| " + " | ".join((*cells, record.formula.replace("|", "\\|"))) + " |")
        parts.append(f"## {family.replace('_', ' ')}\n\n" + "\n".join(rows) + "\n")
    return "\n".join([*parts, consistency()])


def consistency() -> str:
    """The table of the ODEs, as `mflow.consistency` finds them."""
    rows = [FLOWS, "| method | tends to | observed order | follows |", "|---|---|---|---|"]
    for record in (r for r in registry.records() if r.kind in ("step", "update")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of steps that are too long for a stability limit
            found = mflow.consistency(record.name)
        order = "" if math.isnan(found.order) else f"{found.order:.1f}"
        rows.append("| " + " | ".join((f"`{record.name}`", found.equation, order, found.modified)).replace("|g|", "\\|g\\|") + " |")
    return "\n".join(rows) + "\n"


def main() -> int:
    """Write or check; the exit code."""
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page())
    elif not PAGE.exists() or PAGE.read_text() != page():
        print(f"{PAGE.name} is out of date: run python tools/make_methods.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
