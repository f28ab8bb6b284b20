from typing import Any

from mflow_core.problems.problem import Problem

KINDS: dict[str, int]
_CLOSED: int

def barzilai_borwein_step(x: Any, x_old: Any, g: Any, g_old: Any, form: int = ...) -> float: ...
def search(
    problem: Problem, x: Any, d: Any, kind: int, initial: float, f0: float, g0: Any, f_ref: float | None, c1: float, c2: float,
    shrink: float, tol: float, max_step: float, limit: int,
) -> dict[str, Any]: ...
