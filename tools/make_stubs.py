"""Writes the type stubs of what mflow makes from its method records, for editors and type checkers: the classes of methods, and the
keyword arguments that a driver hands on to its method, so that a misspelt one is found before the run.

    python tools/make_stubs.py            write them
    python tools/make_stubs.py --check    exit with 1 where they are out of date

They are derived from the method records; nobody edits them.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

from mflow_core import registry

import mflow
from mflow.base.methods import LETTERS, Parameter, parameters_of, positional, takes_letters
from mflow.dynamics.batch import ARGUMENTS as OF_MOTION
from mflow.experiments.lr_find import TAKEN as BY_LR_FIND
from mflow.integrate.flow import SETTINGS as OF_FLOW
from mflow.integrate.flow import SOLVING
from mflow.integrate.ivp import ARGUMENTS as OF_IVP
from mflow.optimize.minimize import ARGUMENTS as OF_MINIMIZE
from mflow.training.binding import SHARED
from mflow.training.train import ARGUMENTS as OF_TRAIN

FOLDER = Path(__file__).resolve().parents[1] / "python" / "mflow"
AUTOMATIC = ("lr", "dt", "momentum", "friction")  # numbers, "auto", schedules and functions
REFUSED = {"LRFindOptions": BY_LR_FIND}  # of what it would hand on
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


def drivers() -> dict[str, tuple[Any, Collection[str]]]:
    """What takes parameters of methods by keyword, by the name of the type of its keywords; and which others it hands on."""
    kinds = set(mflow.Stepper._kinds.values())
    of_steppers = [name for kind in kinds for name in inspect.signature(kind.__init__).parameters if name not in ("self", "parameters")]
    of_models = set[str]().union(*(inspect.signature(kind.__init__).parameters for kind in mflow.ImplicitSGD._kinds.values()))
    of_tasks = {field.name for task in (mflow.Training, mflow.Descent) for field in dataclasses.fields(task)}
    return {
        "BasinsOptions": (mflow.basins, ()),
        "CompileSolverOptions": (mflow.compile_solver, ()),
        "ConsistencyOptions": (mflow.consistency, ()),
        "ConvergenceOptions": (mflow.convergence, ()),
        "MethodOptions": (mflow.get_method, ()),
        "MinimizeBatchOptions": (mflow.minimize_batch, ("l1",)),
        "ModelOptions": (mflow.ImplicitSGD, of_models - {"self", "loss", "parameters"}),
        "ParameterRegionOptions": (mflow.parameter_region, ()),
        "RateOptions": (mflow.convergence_rate, ()),
        "StepLimitOptions": (mflow.max_stable_dt, ()),
        "FlowOptions": (mflow.gradient_flow, OF_FLOW | SOLVING),
        "IVPBatchOptions": (mflow.solve_ivp_batch, OF_IVP),
        "IVPOptions": (mflow.solve_ivp, ()),
        "LRFindOptions": (mflow.lr_find, (*OF_TRAIN, *SHARED)),
        "MinimizeOptions": (mflow.minimize, OF_MINIMIZE),
        "MotionBatchOptions": (mflow.solve_dynamics_batch, OF_MOTION),
        "MotionOptions": (mflow.solve_dynamics, ()),
        "SweepOptions": (mflow.sweep, of_tasks),
        "StepperOptions": (mflow.Stepper.__init__, of_steppers),
        "TrainOptions": (mflow.train, SHARED),
    }


def union(kinds: set[str]) -> str:
    """One type of several."""
    return " | ".join(sorted(kinds, key=lambda word: (word == "None", word)))


def keywords() -> str:
    """The text of a type for the keywords of each driver, those of its own signature left out."""
    found: dict[str, set[str]] = {}
    for record in registry.records():
        for p in parameters_of(record):
            found.setdefault(p.name, set()).update(["Sequence[float]"] if len(p.record_names) > 1 else annotation(p).split(" | "))
        if takes_letters(record):
            for name in LETTERS:
                found.setdefault(name, set()).update(("float", "None"))
    kinds = {name: "Any" if name in AUTOMATIC else union(kind) for name, kind in found.items()}
    text = ""
    for name, (driver, others) in drivers().items():
        own = inspect.signature(driver).parameters
        taken = dict.fromkeys(others, "Any") | kinds
        text += f"\nclass {name}(TypedDict, total=False):\n"
        text += "".join(
            f"    {key}: {kind}\n" for key, kind in sorted(taken.items()) if key not in own and key not in REFUSED.get(name, ())
        )
    return text


def beside_methods() -> dict[str, str]:
    """What every optimizer takes beside the parameters of its method, with its type."""
    given = inspect.signature(mflow.optim.Optimizer.__init__).parameters.values()
    return {"maximize": "bool", **{p.name: str(p.annotation) for p in given if p.kind is p.KEYWORD_ONLY}}


def options_of_sgd() -> str:
    """The text of a type for what SGD, whose signature is torch's, takes beside it."""
    own = inspect.signature(mflow.optim.SGD.__init__).parameters
    kinds = {p.name: annotation(p) for p in parameters_of(registry.find("sgd"))} | beside_methods()
    text = "".join(f"    {name}: {kind}\n" for name, kind in sorted(kinds.items()) if name not in own)
    return f"\nclass SGDOptions(TypedDict, total=False):\n{text}"


def stubs() -> dict[str, str]:
    """Text of each stub file, by its name."""
    records = registry.records()
    steps = [record for record in records if record.kind in ("step", "direction")]
    updates = [record for record in records if record.kind == "update" and record.class_name != "SGD"]
    integrators = (
        HEAD + "from collections.abc import Sequence\nfrom typing import Any, Literal, TypedDict\n\nfrom mflow.base.methods import Method\n"
    )
    integrators += f"\n__all__ = [{', '.join(sorted(repr(record.class_name) for record in steps))}]\n".replace("'", '"')
    for record in steps:
        integrators += f"\nclass {record.class_name}(Method):\n" + init(record, "", "")
    extra = "".join(f", {name}: {kind} = ..." for name, kind in beside_methods().items())
    optimizers = (
        HEAD + "from collections.abc import Callable\nfrom typing import Any, Literal\n\nfrom mflow.optim.classes import Optimizer\n"
    )
    for record in updates:
        optimizers += f"\nclass {record.class_name}(Optimizer):\n" + init(record, ", params: Any", extra)
    return {"base/_records.pyi": integrators + keywords() + options_of_sgd(), "optim/_optimizers.pyi": optimizers}


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
