#!/usr/bin/env python3
"""Measures SciPy's RK23, RK45 and DOP853 on DETEST and writes tests/support/scipy_errors.json.

tests/integrate/steps/test_accuracy.py compares with these.

    python tools/scipy_errors.py         (a few minutes: SciPy's steps are Python)

For each pair, problem and tolerance tol = rtol = atol: the global error at the end, max |y - y_end|/(1 + |y_end|), and the evaluations.
test_accuracy.py measures some of these again each time, so that a stored number that is no longer SciPy's shows.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import scipy
from scipy.integrate import solve_ivp

from mflow.testproblems import get_problem, problem_names

TARGET = Path(__file__).resolve().parents[1] / "tests" / "support" / "scipy_errors.json"
PAIRS = ("RK23", "RK45", "DOP853")
EXPONENTS = (4, 5, 6, 7, 8, 9)


def main() -> int:
    """Measure and write."""
    found: dict[str, dict[str, list[list[float]]]] = {}
    for pair in PAIRS:
        found[pair] = {}
        for name in (name for group in "ABCDE" for name in problem_names(group)):
            what, rows = get_problem(name), []
            for exponent in EXPONENTS:
                tol = 10.0**-exponent
                r = solve_ivp(what.fun, what.t_span, what.y0, pair, rtol=tol, atol=tol, t_eval=what.t_span[1:])
                assert r.success
                rows.append([float(f"{what.error(r.y[:, -1]):.6g}"), r.nfev])
            found[pair][name] = rows
            print(pair, name, " ".join(f"{error:.1e}" for error, _ in rows), flush=True)
    lines = [
        f'  "{pair}": {{\n' + ",\n".join(f'    "{name}": {json.dumps(rows)}' for name, rows in problems.items()) + "\n  }"
        for pair, problems in found.items()
    ]
    about = json.dumps({"scipy": scipy.__version__, "exponents": EXPONENTS, "row": ["error", "nfev"]})
    TARGET.write_text(f'{{\n  "about": {about},\n' + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
