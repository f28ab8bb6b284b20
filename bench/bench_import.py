"""What `import mflow` takes beyond numpy: fresh processes, alternately, numpy imported first and not counted."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Bench

ROUNDS = 15
LIMIT_NS = 80e6
CODE = "import time{before}\nbegan = time.perf_counter_ns()\nimport {module}\nprint(time.perf_counter_ns() - began)"


def import_ns(module: str, before: str) -> float:
    """Nanoseconds that a fresh interpreter takes for one import, after the modules `before`."""
    command = [sys.executable, "-c", CODE.format(module=module, before=before)]
    with tempfile.TemporaryDirectory() as elsewhere:  # no mflow of a source tree can be found from there
        return float(subprocess.run(command, check=True, capture_output=True, text=True, cwd=elsewhere).stdout)


def test_import(bench: Bench) -> None:
    modules = {"mflow": ("mflow", ", numpy"), "mflow_core": ("mflow_core.stepping.stepper", ", numpy"), "numpy itself": ("numpy", "")}
    samples: dict[str, list[float]] = {name: [] for name in modules}
    for module, before in modules.values():  # the first time reads from disk and writes .pyc files
        import_ns(module, before)
    for _ in range(ROUNDS):
        for name, (module, before) in modules.items():
            samples[name].append(import_ns(module, before))
    found = {name: bench.Quartiles.of(values) for name, values in samples.items()}
    bench.benchmark.pedantic(import_ns, args=modules["mflow"], rounds=1)
    bench.line(bench.Line("import mflow, beyond numpy", found["mflow"], "numpy itself", found["numpy itself"], None, LIMIT_NS))
    bench.line(bench.Line("import mflow_core.stepping.stepper, beyond numpy", found["mflow_core"], "numpy itself", found["numpy itself"]))
