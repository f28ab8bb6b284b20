"""What `import mflow` and its drivers take beyond numpy: fresh processes, alternately, numpy imported first and not counted."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Bench

ROUNDS = 15
LIMIT_NS = 80e6
CODE = "import time{before}\nbegan = time.perf_counter_ns()\n{statement}\nprint(time.perf_counter_ns() - began)"


def import_ns(statement: str, before: str) -> float:
    """Nanoseconds that a fresh interpreter takes for one import, after the modules `before`."""
    command = [sys.executable, "-c", CODE.format(statement=statement, before=before)]
    with tempfile.TemporaryDirectory() as elsewhere:  # no mflow of a source tree can be found from there
        return float(subprocess.run(command, check=True, capture_output=True, text=True, cwd=elsewhere).stdout)


def test_import(bench: Bench) -> None:
    statements = {
        "import mflow": ", numpy",
        "from mflow import solve_ivp, minimize, optim, solve_dynamics": ", numpy",
        "import mflow_core.stepping.stepper": ", numpy",
        "import numpy": "",
    }
    samples: dict[str, list[float]] = {statement: [] for statement in statements}
    for statement, before in statements.items():  # the first time reads from disk and writes .pyc files
        import_ns(statement, before)
    for _ in range(ROUNDS):
        for statement, before in statements.items():
            samples[statement].append(import_ns(statement, before))
    *ours, numpy = ((statement, bench.Quartiles.of(values)) for statement, values in samples.items())
    bench.benchmark.pedantic(import_ns, args=("import mflow", ", numpy"), rounds=1)
    for statement, found in ours:
        limit_ns = None if "core" in statement else LIMIT_NS
        bench.line(bench.Line(f"{statement}, beyond numpy", found, "numpy itself", numpy[1], None, limit_ns))
