"""More, Garbow and Hillstrom: published minima reached by SciPy, formulas written out in NumPy, derivatives by differences."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import scipy.optimize
from mflow_core.objectives import objective

from mflow.problems import objectives
from mflow.problems.mgh import mgh_names, mgh_problem

# Sizes beside the usual ones for which the paper prints a minimum.
SIZES = [(name, None, None) for name in mgh_names()] + [
    ("watson", 9, None), ("watson", 12, None), ("penalty_1", 4, None), ("penalty_2", 4, None), ("chebyquad", 5, None),
    ("chebyquad", 9, None), ("chebyquad", 10, None), ("linear_full_rank", 5, 5), ("linear_rank_1", 4, 30), ("extended_rosenbrock", 2, None),
    ("extended_powell", 4, None), ("brown_almost_linear", 5, None),
]  # fmt: skip
# Where the published least value is not the one that lies below the standard start: the least value there, to the same digits.
LOCAL = {"freudenstein_roth": 48.9842, "trigonometric": 2.79506e-5}
# Where the Jacobian at the standard start is singular (rank 4 of 6), rounding decides which way SciPy goes, and with it the alignment of
# its arrays: one way ends where all exponentials vanish. A step away from there it has full rank.
BESIDE = {"biggs_exp6": (0.0, 0.0, 0.0, 0.0, 0.5, 1.0)}


def test_every_record_has_its_entry():
    assert [record[0] for record in objective.records() if record[1] == "mgh"] == list(mgh_names())
    assert len(mgh_names()) == 35


@pytest.mark.parametrize(("name", "n", "m"), SIZES)
def test_published_minimum(name, n, m):
    f = objectives.mgh(name, n, m)
    known = LOCAL.get(name, mgh_problem(name).minimum(f.n, f.m))
    assert not math.isnan(known)
    start = f.x0 + BESIDE.get(name, 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # trial points far away overflow
        result = scipy.optimize.least_squares(f.residuals, start, f.jac, method="lm", xtol=1e-15, ftol=1e-15, gtol=1e-15, max_nfev=3000)
    assert f(result.x) == pytest.approx(known, rel=6e-6, abs=1e-25)
    if mgh_problem(name).solution:
        assert f(mgh_problem(name).solution) == pytest.approx(0.0, abs=1e-28)


@pytest.mark.parametrize("name", mgh_names())
def test_derivatives(name):
    f, rng = objectives.mgh(name), np.random.default_rng(0)
    size = np.abs(f.x0) + 0.1
    x, p = f.x0 + 0.01 * size * rng.uniform(-1, 1, f.n), size * rng.uniform(-1, 1, f.n)

    def change(of, h):  # central differences with Richardson's correction
        one, two = ((of(x + s * p) - of(x - s * p)) / (2 * s) for s in (h, 2 * h))
        return (4 * one - two) / 3

    r, J = f.residuals(x), f.jac(x)
    step = 1e-4
    along = J @ p
    room = 1e-12 * np.abs(r) / step + 1e-9 * np.max(np.abs(along), initial=0.0)  # rounding, and what is left of the series
    assert (np.abs(change(f.residuals, step) - along) <= room).all()
    np.testing.assert_allclose(f(x), r @ r, rtol=1e-13)
    scale = np.linalg.norm(J, axis=0) * np.linalg.norm(r)
    np.testing.assert_allclose(f.grad(x), 2 * J.T @ r, rtol=1e-12, atol=1e-13 * scale.max())
    Hp = f.hessp(x, p)
    assert np.max(np.abs(change(f.grad, step) - Hp)) <= 1e-9 * np.max(np.abs(Hp)) + 1e-12 * scale.max() / step
    np.testing.assert_array_equal(f.batch([1, 0]).residuals(x), r[[1, 0]])


def written_out(name, x):
    """Residuals straight from the paper, for problems whose minimum of 0 would not show a wrong term."""
    n = len(x)
    i = np.arange(1, n + 1)
    t, h = i / (n + 1), 1 / (n + 1)
    around = np.concatenate([[0.0], x, [0.0]])
    cubes = (x + t + 1) ** 3
    return {
        "powell_badly_scaled": lambda: [1e4 * x[0] * x[1] - 1, np.exp(-x[0]) + np.exp(-x[1]) - 1.0001],
        "extended_powell": lambda: np.concatenate(
            [
                [a + 10 * b, 5**0.5 * (c - e), (b - 2 * c) ** 2, 10**0.5 * (a - e) ** 2]
                for a, b, c, e in x.reshape(-1, 4)
            ]
        ),
        "variably_dimensioned": lambda: np.concatenate([x - 1, [i @ (x - 1), (i @ (x - 1)) ** 2]]),
        "trigonometric": lambda: n - np.sum(np.cos(x)) + i * (1 - np.cos(x)) - np.sin(x),
        "brown_almost_linear": lambda: np.concatenate([x[:-1] + np.sum(x) - (n + 1), [np.prod(x) - 1]]),
        "discrete_boundary": lambda: 2 * x - around[:-2] - around[2:] + h**2 * cubes / 2,
        "discrete_integral": lambda: [
            x[k] + h * ((1 - t[k]) * (t[: k + 1] @ cubes[: k + 1]) + t[k] * ((1 - t[k + 1 :]) @ cubes[k + 1 :])) / 2 for k in range(n)
        ],
        "broyden_tridiagonal": lambda: (3 - 2 * x) * x - around[:-2] - 2 * around[2:] + 1,
        "broyden_banded": lambda: [
            x[k] * (2 + 5 * x[k] ** 2) + 1 - sum(x[j] * (1 + x[j]) for j in range(max(0, k - 5), min(n, k + 2)) if j != k) for k in range(n)
        ],
        "chebyquad": lambda: [
            np.mean(np.polynomial.Chebyshev.basis(k, [0, 1])(x)) - (0.0 if k % 2 else -1 / (k**2 - 1)) for k in range(1, n + 1)
        ],
        "penalty_2": lambda: np.concatenate(
            [
                [x[0] - 0.2],
                1e-5**0.5 * (np.exp(x[1:] / 10) + np.exp(x[:-1] / 10) - np.exp(i[1:] / 10) - np.exp(i[:-1] / 10)),
                1e-5**0.5 * (np.exp(x[1:] / 10) - np.exp(-0.1)),
                [(n - i + 1) @ x**2 - 1],
            ]
        ),
    }[name]()  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["powell_badly_scaled", "extended_powell", "variably_dimensioned", "trigonometric", "brown_almost_linear", "discrete_boundary",
     "discrete_integral", "broyden_tridiagonal", "broyden_banded", "chebyquad", "penalty_2"],
)  # fmt: skip
def test_residuals_as_the_paper_writes_them(name):
    f = objectives.mgh(name)
    x = f.x0 + 0.3 * np.random.default_rng(1).uniform(-1, 1, f.n)
    np.testing.assert_allclose(f.residuals(x), written_out(name, x), rtol=1e-11, atol=1e-12)


def test_the_helix_on_its_axis():
    """The angle's limits where x1 passes 0, above and below; derivatives go on."""
    f = objectives.mgh("helical_valley")
    assert f.residuals([0.0, 1.0, 0.0])[0] == pytest.approx(-25.0)
    assert f.residuals([0.0, -1.0, 0.0])[0] == pytest.approx(25.0)
    assert f.residuals([1e-9, 1.0, 0.0])[0] == pytest.approx(-25.0, abs=1e-6)
    np.testing.assert_allclose(f.jac([0.0, 1.0, 0.0])[0], [100 / (2 * np.pi), 0.0, 10.0])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("helical",), "did you mean 'helical_valley'"),
        (("beale", 3), "n: expected 2, .* beale, got 3"),
        (("extended_powell", 6), "a multiple of 4"),
        (("watson", 40), "n: expected a number from 2 to 31 for watson, got 40"),
        (("watson", 6, 30), "m: expected 31, .*, got 30"),
        (("bard", None, 14), "m: expected 15, .*, got 14"),
        (("chebyquad", 8, 7), "m: expected at least 8 for chebyquad, got 7"),
        (("gulf", None, 100), "at most 99 for gulf, got 100"),
        (("trigonometric", 2.5), "n: expected a whole number .*, got 2.5"),
    ],
)
def test_bad_sizes(arguments, words):
    with pytest.raises(ValueError, match=words):
        objectives.mgh(*arguments)
