"""The step that an optimizer takes per unit of gradient, for each parameter: measured by running its kernel.

    effective lr = lim (c - c+)/g  for a small gradient that was the same in all steps so far,

with what the method has stored about the size of gradients (Adagrad's sum of squares, Adam's second moment) frozen. That gives the usual
formulas: lr/(sqrt(s) + eps) for Adagrad, lr/(sqrt(v/bc2) + eps) for Adam, sqrt(u + eps)/sqrt(v + eps) lr for Adadelta,
lr (1 - mu^k)/(1 - mu) after k steps for momentum, lr for steepest descent.

The kernel runs on copies, at c = 0 with a gradient of 1e-100, whose square vanishes beside any number that it is added to. Two runs that
start at zero, with gradients 1 and -1, show the kind of each vector:

    even in g        a mean square. The first one is set so that its value after the step is today's (v/b2 before, v after);
                     later ones, which are used before they are updated, stay as they are.
                     Centred RMSprop's, the spread of g, takes in g less its mean as well.
    odd in g         if it moves c by itself, a velocity m+ = a m + b g: set to its value after k - 1 steps of the same gradient.
                     If not (the mean of centred RMSprop), it shapes the size of the step: treated as the first kind.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from mflow_core.optimize import updater

from mflow.base.checks import Array

__all__ = ["SMALL", "effective_lr", "hold", "kinds_of", "never_negative"]

SMALL = 1e-100
OPEN = (0.0, 1.0, np.inf)  # the first three coefficients of every method: no weight decay, c kept as it is, no clipping


def effective_lr(record: Any, coef: Array, vectors: list[Array], steps: int) -> Array:
    """The step per unit of gradient for one array.

    Parameters
    ----------
    record : method record of kind "update"
    coef : float64 array
        The method's coefficients for the step in question.
    vectors : list of float64 arrays of one size
        The method's vectors without c.
    steps : int
        Steps taken so far.

    Returns
    -------
    float64 array of the vectors' size (of size 1 if there are none: the same for all)

    Examples
    --------
    >>> import numpy as np, mflow
    >>> c = np.zeros(2)
    >>> opt = mflow.optim.Adagrad(c, lr=0.5, eps=0.0)
    >>> opt.step(np.array([1.0, 4.0]))
    >>> opt.effective_lr()
    array([0.5  , 0.125])
    """
    coef = np.array(coef)
    coef[:3] = OPEN
    size = vectors[0].size if vectors else 1
    now = [np.array(v, dtype=np.float64).ravel() for v in vectors]
    kinds = kinds_of(record, coef, len(now))

    def run(state: list[Array], g: float) -> tuple[Array, list[Array]]:
        """(the step downhill, the vectors after it)."""
        moved = [np.zeros(size), *(v.copy() for v in state)]
        updater.update(record, coef, 1.0, moved, np.full(size, g))
        return -moved[0], moved[1:]

    with np.errstate(all="ignore"):
        start = [np.zeros(size) if kind == "velocity" else v for v, kind in zip(now, kinds, strict=True)]
        hold(run, start, kinds)
        _, first = run(start, SMALL)
        for j, kind in enumerate(kinds):
            if kind == "velocity":
                start[j] = _settled(run, start, first, j, steps)
        step, _ = run(start, SMALL)
    return np.asarray(step / SMALL)


def never_negative(record: Any, parameters: dict[str, Any]) -> list[str]:
    """The method's vectors that no gradient makes negative: those that are even in it, such as the mean of its square."""
    count = record.sizes(parameters)["n_vec"] - 1
    kinds = kinds_of(record, updater.begin(record, {**parameters, "clip_value": np.inf}, 0), count)
    return [name for name, kind in zip(record.vectors[1:], kinds, strict=False) if kind == "even"]


def kinds_of(record: Any, coef: Array, count: int) -> list[str]:
    """ "even", "velocity", "shape" or "other" for each vector, by its change in a step."""

    def run(state: list[float], g: float) -> list[float]:
        moved = [np.zeros(1), *(np.full(1, v) for v in state)]
        updater.update(record, coef, 1.0, moved, np.full(1, g))
        return [float(v[0]) for v in moved]

    up, down = run([0.0] * count, 1.0), run([0.0] * count, -1.0)
    out = []
    for j in range(count):
        a, b = up[j + 1], down[j + 1]
        if a == b:
            out.append("even" if a != 0.0 else "other")
            continue
        alone = [1.0 if i == j else 0.0 for i in range(count)]
        out.append("velocity" if run(alone, 0.0)[0] != 0.0 else "shape")
    return out


def hold(run: Any, state: list[Array], kinds: list[str]) -> None:
    """Set what shapes the step, and the first mean square, to the values before a step that ends at their present ones."""
    shapes = [j for j, kind in enumerate(kinds) if kind == "shape"]
    for j in shapes:
        state[j] = _held(run, state, j, np.zeros_like(state[j]))
    if "even" in kinds:
        j = kinds.index("even")
        state[j] = _held(run, state, j, _added(run, state, j, shapes))


def _added(run: Any, state: list[Array], j: int, shapes: list[int]) -> Array:
    """What a step adds to vector j by those that shape it."""
    alone, beside = ([np.zeros_like(v) if i == j or i in clear else v for i, v in enumerate(state)] for clear in (shapes, ()))
    return np.asarray(run(beside, SMALL)[1][j] - run(alone, SMALL)[1][j] if shapes else np.zeros_like(state[j]))


def _held(run: Any, state: list[Array], j: int, added: Array) -> Array:
    """Vector j before a step that ends at its present value, `added` included; it shrinks by a factor that one run shows."""
    shrunk = (run(state, SMALL)[1][j] - added) / state[j]
    return np.where((state[j] != 0.0) & np.isfinite(shrunk) & (shrunk != 0.0), (state[j] - added) / shrunk, state[j])


def _settled(run: Any, state: list[Array], first: list[Array], j: int, steps: int) -> Array:
    """Vector j before the last of `steps` equal gradients: m+ = a m + b from m = 0, whose first value is in `first`."""
    b = first[j]
    again = [b if i == j else v for i, v in enumerate(state)]
    a = np.where(b != 0.0, run(again, SMALL)[1][j] / np.where(b != 0.0, b, 1.0) - 1.0, 0.0)
    k = max(steps - 1, 0)
    return np.asarray(np.where(a == 1.0, k * b, b * (1.0 - _raised(a, k)) / np.where(a == 1.0, 1.0, 1.0 - a)))


def _raised(a: Array, k: int) -> Array:
    """a^k by squarings: the last bits of NumPy's own power are those of its version."""
    out = np.ones_like(a)
    while k:
        out, a, k = out * a if k & 1 else out, a * a, k >> 1
    return out
