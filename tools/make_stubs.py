"""Writes the type stubs of the classes that mflow makes from its method records, for editors and type checkers.

    python tools/make_stubs.py            write them
    python tools/make_stubs.py --check    exit with 1 where they are out of date

They are derived from the method records; nobody edits them.
"""

from __future__ import annotations

import sys
from pathlib import Path

from mflow_core import registry

from mflow.base.methods import LETTERS, Parameter, parameters_of, positional, takes_letters

FOLDER = Path(__file__).resolve().parents[1] / "python" / "mflow"
HEAD = '"""Written by tools/make_stubs.py from the method records: do not edit."""\n\n'


def annotation(p: Parameter) -> str:
    """Type of one parameter."""
    if len(p.record_names) > 1:
        return f"tuple[{', '.join(['float'] * len(p.record_names))}]"
    if p.choices:
        return f"Literal[{', '.join(map(repr, p.choices))}]".replace("'", '"')
    plain = {"bool": "bool", "int": "int"}.get(p.kinds[0], "float")
    if p.name == "lr":
        return "float | Callable[[int], float]"
    return plain + (" | None" if p.may_be_infinite else "")


def init(record: registry.MethodRecord, first: str, last: str) -> str:
    """The line of __init__; with `last`, an optimizer's, where most go by name."""
    by_place = positional(record) if last else [p.name for p in parameters_of(record)]
    parameters = ""
    for k, p in enumerate(parameters_of(record)):
        parameters += (", *" if k == len(by_place) else "") + f", {p.name}: {annotation(p)} = ..."
    if takes_letters(record):
        parameters += "".join(f", {name}: {'Any' if name == 'beta' else 'float | None'} = ..." for name in LETTERS)
    return f"    def __init__(self{first}{parameters}{last}) -> None: ...\n"


def stubs() -> dict[str, str]:
    """Text of each stub file, by its name."""
    records = registry.records()
    steps = [record for record in records if record.kind in ("step", "direction")]
    updates = [record for record in records if record.kind == "update" and record.class_name != "SGD"]
    integrators = HEAD + "from typing import Literal\n\nfrom mflow.base.methods import Method\n"
    for record in steps:
        integrators += f"\nclass {record.class_name}(Method):\n" + init(record, "", "")
    extra = ", maximize: bool = ..., clip_norm: float | None = ..., check_finite: bool = ..., threads: int | None = ..."
    optimizers = (
        HEAD + "from collections.abc import Callable\nfrom typing import Any, Literal\n\nfrom mflow.optim.classes import Optimizer\n"
    )
    for record in updates:
        optimizers += f"\nclass {record.class_name}(Optimizer):\n" + init(record, ", params: Any", extra)
    return {"base/_integrators.pyi": integrators, "optim/_optimizers.pyi": optimizers}


def main() -> int:
    """Write or check; the exit code."""
    wrong = 0
    for name, text in stubs().items():
        path = FOLDER / name
        if "--check" in sys.argv[1:]:
            if not path.exists() or path.read_text() != text:
                print(f"{path.name} is out of date: run python tools/make_stubs.py")
                wrong = 1
        else:
            path.write_text(text)
    return wrong


if __name__ == "__main__":
    sys.exit(main())
