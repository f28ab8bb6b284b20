"""What `import mflow` and its drivers take beyond numpy: fresh processes, alternately, numpy imported first and not counted.

Compiled sources are kept in a folder of the bench: where PYTHONDONTWRITEBYTECODE is set, each process would compile them anew. An editable
install of meson-python always does, which takes four times as long: this bench is one of an installed wheel. What counts is the processor's
time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Bench

ROUNDS = 15
LIMIT_NS = 80e6
CODE = "import time{before}\nbegan = time.process_time_ns()\n{statement}\nprint(time.process_time_ns() - began)"


def import_ns(statement: str, before: str, kept: str) -> float:
    """Nanoseconds that a fresh interpreter takes for one import, after the modules `before`; kept: the folder of compiled sources."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | {"PYTHONPYCACHEPREFIX": kept}
    command = [sys.executable, "-c", CODE.format(statement=statement, before=before)]
    with tempfile.TemporaryDirectory() as elsewhere:  # no mflow of a source tree can be found from there
        return float(subprocess.run(command, check=True, capture_output=True, text=True, cwd=elsewhere, env=env).stdout)


def test_import(bench: Bench, tmp_path: Path) -> None:
    statements = {
        "import mflow": ", numpy",
        "from mflow import solve_ivp, minimize, optim, solve_dynamics": ", numpy",
        "import mflow_core.stepping.stepper": ", numpy",
        "import numpy": "",
    }
    samples: dict[str, list[float]] = {statement: [] for statement in statements}
    for statement, before in statements.items():  # the first time reads from disk and writes .pyc files
        import_ns(statement, before, str(tmp_path))
    for _ in range(ROUNDS):
        for statement, before in statements.items():
            samples[statement].append(import_ns(statement, before, str(tmp_path)))
    *ours, numpy = ((statement, bench.Quartiles.of(values)) for statement, values in samples.items())
    bench.benchmark.pedantic(import_ns, args=("import mflow", ", numpy", str(tmp_path)), rounds=1)
    for statement, found in ours:
        limit_ns = None if "core" in statement else LIMIT_NS
        bench.line(bench.Line(f"{statement}, beyond numpy", found, "numpy itself", numpy[1], None, limit_ns))
