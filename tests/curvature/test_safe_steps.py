"""lr="auto": no descent diverges or ends above its start, and on quadratics it costs little more than the best constants."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

import mflow
from mflow.base.methods import methods
from mflow.problems.objectives import mgh

# Those on which steps below the limit of the curvature at hand have diverged, or led to plateaus.
HARD = ["brown_badly_scaled", "beale", "gulf", "biggs_exp6", "osborne_2", "brown_almost_linear", "chebyquad", "wood", "jennrich_sampson"]


def limited():
    """Every method that follows a linear limit without solving equations."""
    for method in methods():
        if "linear" not in method.flags or method.kind == "sweep":
            continue
        if "second_order" in method.flags:
            if 0.0 < mflow.max_stable_dt(method, stiffness=1.0, damping=1.0) < math.inf:
                yield method.name
        elif not method.is_implicit:
            yield method.name


LIMITED = list(limited())


def cosh(c):
    return float(np.sum(np.cosh(c * [1, 5]))), np.sinh(c * [1, 5]) * [1, 5]


def corner(c):
    return float(np.sum(np.sqrt(1e-4 + c**2))), c / np.sqrt(1e-4 + c**2)


def ended(run, first):
    assert run.reason not in ("non_finite", "diverged"), run.message
    assert run.fun <= first * (1 + 1e-12)
    assert np.all(np.isfinite(run.x))


@pytest.mark.parametrize("method", LIMITED)
def test_no_run_diverges_or_ends_above_its_start(method):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3)) * [1.0, 30.0, 4000.0]  # raw features
    raw = mflow.objectives.Logistic(X, (X @ [1.0, 0.03, 0.0] > 0).astype(float), intercept=True)
    for name in HARD:
        f = mgh(name)
        ended(mflow.minimize(f, f.x0, method=method, lr="auto", maxiter=30), f(f.x0))
    for n in (2, 300):
        f, start = mflow.objectives.Rosenbrock(n), np.where(np.arange(n) % 2, 1.0, -1.2)
        ended(mflow.minimize(f, start, method=method, lr="auto", maxiter=30), f(start))
    ended(mflow.minimize(raw, raw.x0, method=method, lr="auto", maxiter=30), raw(raw.x0))
    for f, start in ((cosh, [3.0, 2.0]), (corner, [3.0, -2.0])):
        ended(mflow.minimize(f, start, method=method, jac=True, lr="auto", maxiter=30), f(np.array(start))[0])


def evaluations(method, d, x0, **settings):
    """Until the gradient has fallen by 1e6, those for curvature among them; inf where it has not."""
    count = [0]

    def cost(x):
        count[0] += 1
        return 0.5 * float(x @ (d * x)), d * x

    gtol = 1e-6 * np.max(np.abs(d * x0))
    run = mflow.minimize(cost, x0, method=method, jac=True, gtol=gtol, maxiter=50_000, check_gradient=False, **settings)
    return count[0] if run.reason == "converged" else math.inf


TUNED = {"momentum": "auto"}


@pytest.mark.parametrize(
    ("method", "extra"), [("sgd", {}), ("tvd_rk2", {}), ("momentum", {}), ("momentum", TUNED), ("nesterov", TUNED)], ids=str
)
@pytest.mark.parametrize("kappa", [10.0, 100.0, 1000.0])
def test_quadratics_cost_little_more_than_with_the_best_constants(method, extra, kappa):
    """Of a grid of rates, and of momenta where it chooses them."""
    d, x0 = np.geomspace(1.0 / kappa, 1.0, 100), np.random.default_rng(0).standard_normal(100)
    momenta = [{"momentum": 1.0 - s / math.sqrt(kappa)} for s in (1.0, 1.5, 2.0, 2.5, 3.0) if s < math.sqrt(kappa)] if extra else [{}]
    best = min(
        evaluations(method, d, x0, lr=share * mflow.stability_limit(method, **m), **m)
        for m in momenta
        for share in ((0.5, 0.7, 0.8, 0.9, 0.95, 0.99) if kappa < 1000 or extra else (0.95, 0.99))
    )
    spent = evaluations(method, d, x0, lr="auto", **extra)
    assert spent <= 1.3 * best


@pytest.mark.parametrize("method", ["momentum", "nesterov"])
@pytest.mark.parametrize("n", [2, 3])
def test_few_unknowns_are_rehearsed(method, n):
    """Where the Hessian is known in full, a grid of constants that fit two or three curvatures is no faster: condition 100 to 1e4."""
    for kappa in (100.0, 1e4):
        d, x0 = np.geomspace(1.0 / kappa, 1.0, n), np.random.default_rng(0).standard_normal(n)
        best = math.inf
        for s in (1.0, 1.5, 2.0):
            m = 1.0 - s / math.sqrt(kappa)
            limit = mflow.stability_limit(method, momentum=m)
            best = min(best, *(evaluations(method, d, x0, lr=share * limit, momentum=m) for share in (0.5, 0.75, 0.8, 0.9, 0.95)))
        assert evaluations(method, d, x0, lr="auto", **TUNED) <= 1.3 * best


def test_friction_too_weak_for_a_curvature_is_no_step_of_0():
    """rkn64 is not stable without damping: at L = 1e24 its limit is 0."""
    f = mflow.data.load_nist("Hahn1")
    start = f.starts[0]
    for method in ("rkn64", "rkn86"):
        ended(mflow.minimize(f.objective, start, method=method, lr="auto", maxiter=30), f.objective(start))


@pytest.mark.parametrize("settings", [{"method": "sgd"}, {"method": "momentum", "momentum": "auto"}, {"method": "rk4"}], ids=str)
def test_iterates_do_not_depend_on_who_looks(settings):
    cost, start = mflow.objectives.Rosenbrock(6), np.full(6, -0.7)
    plain = mflow.minimize(cost, start, lr="auto", maxiter=300, **settings)
    told = []
    seen = mflow.minimize(cost, start, lr="auto", maxiter=300, callback=lambda xk: told.append(xk.copy()), path=True, **settings)
    assert np.array_equal(plain.x, seen.x)
    assert (plain.nit, plain.fun) == (seen.nit, seen.fun)
    assert plain.nfev < seen.nfev <= plain.nfev + plain.nit + 2  # the path has the cost of each point
    assert len(told) == seen.nit


def test_a_method_without_velocity_never_rises_between_looks():
    f = mgh("brown_dennis")
    run = mflow.minimize(f, f.x0, method="sgd", lr="auto", maxiter=200, path=True)
    falls = run.path.fun[1:]
    assert run.fun < 0.02 * run.path.fun[0]
    assert sum(b > a for a, b in pairwise(falls)) <= 0.1 * len(falls)


def test_momentum_is_tuned_to_the_condition():
    """As fast as the best pair says: .98 a step at a condition of 1e4, where sgd has .9998."""
    d, x0 = np.geomspace(1e-4, 1.0, 50), np.random.default_rng(1).standard_normal(50)
    tuned = evaluations("momentum", d, x0, lr="auto", momentum="auto")
    assert tuned < 0.6 * evaluations("momentum", d, x0, lr="auto")
    assert tuned < 1.3 * math.log(1e-6) / math.log(mflow.best_parameters("momentum", 1e4).rate)
    assert evaluations("consistent_momentum", d, x0, lr="auto", friction="auto") < 1.5 * tuned


@pytest.mark.parametrize("method", ["adam", "rmsprop", "adagrad", "nadam", "adamw"])
def test_methods_that_rescale_have_it_too(method):
    for f, start in ((mflow.objectives.Rosenbrock(5), np.full(5, -1.0)), (mgh("brown_dennis"), mgh("brown_dennis").x0)):
        run = mflow.minimize(f, start, method=method, lr="auto", maxiter=400)
        ended(run, f(start))
        assert run.fun < 0.2 * f(start)


def test_what_has_no_limit_and_what_leads_nowhere_is_said():
    f = mflow.objectives.Rosenbrock(2)
    with pytest.raises(ValueError, match='lr: "auto" follows a stability limit, and backward_euler has none'):
        mflow.minimize(f, f.x0, method="backward_euler", lr="auto")
    with pytest.raises(ValueError, match='momentum: "auto" belongs to lr="auto"'):
        mflow.minimize(f, f.x0, method="momentum", lr=0.1, momentum="auto")
    run = mflow.minimize(lambda x: (float(x @ x), -2 * x), [1.0, 2.0], method="sgd", jac=True, lr="auto", check_gradient=False)
    assert (run.reason, run.success) == ("step_too_small", False)
    assert run.fun == pytest.approx(5.0, rel=1e-11)
    assert "not that of the cost" in run.message
