"""Which root an implicit step of fixed length takes: closed forms, SciPy's brentq, and the branch as an ODE in the step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
from scipy.integrate import solve_ivp as scipy_solve_ivp

import mflow
from mflow.nonlinear import Newton, NewtonKrylov
from mflow.solvers import sparsity
from support.levels import ITERATED


def well(c):
    return 0.25 * (c[0] ** 2 - 1) ** 2, np.array([c[0] * (c[0] ** 2 - 1)])


def first_root(f, y, h):
    """The root of z - h f(z) = y that continues from y, by a scan of s = (z - y) / f(z). None: it turns back."""
    way = np.sign(f(y))
    z = y + way * np.concatenate([np.geomspace(1e-12, 1e-3, 500), np.arange(1e-3, 60, 1e-3)])
    same = np.sign(f(z)) == way
    end = len(z) if same.all() else int(np.argmin(same))
    with np.errstate(all="ignore"):
        s = ((z - y) / f(z))[:end]
    reached = int(np.argmax(s >= h)) if (s >= h).any() else end
    if np.any(np.diff(s[:reached]) < -1e-12) or reached == len(z):
        return None
    return scipy.optimize.brentq(lambda q: q - h * f(q) - y, z[reached - 1], z[reached], xtol=1e-14)


# ---- y' = f(t, y) -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("h", [0.5, 1.25, 2.0, 10.0, 1e3, 1e6])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_logistic_growth_keeps_its_sign(h, count):
    r = mflow.solve_ivp(lambda t, y: y * (1 - y), (0, h), [0.1] * count, "backward_euler", dt=h)
    expected = ((h - 1) + np.sqrt((h - 1) ** 2 + 0.4 * h)) / (2 * h)
    assert r.reason == "finished"
    assert np.abs(r.y[:, -1] - expected).max() < 1e-12


@pytest.mark.parametrize(
    "solver",
    [Newton(), Newton(full=True), Newton("banded"), Newton("sparse"), NewtonKrylov()],
    ids=["dense", "full", "banded", "sparse", "krylov"],
)
@pytest.mark.parametrize("method", ITERATED)
def test_every_solver_takes_the_same_root(solver, method):
    given = {"jac_sparsity": np.eye(3)} if getattr(solver, "linear_solver", "") in ("banded", "sparse") else {}
    r = mflow.solve_ivp(lambda t, y: y * (1 - y), (0, 4), [0.1, 0.2, 0.3], method, dt=2.0, solver=solver, **given)
    assert r.reason == "finished"
    assert np.all(r.y > 0.05)
    if method == "backward_euler":
        for start, first in zip(r.y[:, 0], r.y[:, 1], strict=True):
            assert abs(first - (1 + np.sqrt(1 + 8 * start)) / 4) < 1e-10


@pytest.mark.parametrize("way", [1.0, -1.0])
def test_a_branch_that_turns_back_is_no_root(way):
    for h in (0.2, 0.2499, 0.24999999):
        r = mflow.solve_ivp(lambda t, y: way * y * y, (0, way * h), [1.0], "backward_euler", dt=h)
        assert abs(r.y[0, -1] - (1 - np.sqrt(1 - 4 * h)) / (2 * h)) < 1e-6
    for h in (0.2501, 0.3, 2.0, 1e5):
        r = mflow.solve_ivp(lambda t, y: way * y * y, (0, way * h), [1.0], "backward_euler", dt=h)
        assert r.reason == "solve_failed"
        assert "turns back" in r.message
        assert abs(float(r.message.split("followed to ")[1].split(" dt")[0]) * h - 0.25) < 1e-3 * 0.25


def test_cubics():
    rng = np.random.default_rng(7)
    for _ in range(60):
        a = rng.standard_normal(4) * [1, 2, 2, 1]
        a[0] = -abs(a[0])
        y, h = 1.5 * rng.standard_normal(), 10 ** rng.uniform(-1, 6)
        expected = first_root(lambda z, a=a: ((a[0] * z + a[1]) * z + a[2]) * z + a[3], y, h)
        r = mflow.solve_ivp(lambda t, z, a=a: ((a[0] * z + a[1]) * z + a[2]) * z + a[3], (0, h), [y], "backward_euler", dt=h)
        if expected is None:
            assert r.reason == "solve_failed", (a, y, h)
        else:
            assert r.reason == "finished", (a, y, h)
            assert abs(r.y[0, -1] - expected) < 1e-6 * max(1.0, abs(expected)), (a, y, h)


@pytest.mark.parametrize("solver", ["newton", "newton_krylov"])
def test_waves_and_bumps(solver):
    """Newton's root may lie beyond waves that f makes on the way to it."""
    rng = np.random.default_rng(11)
    r = mflow.solve_ivp(lambda t, y: 4 * np.sin(y), (0, 15), [1.7], "backward_euler", dt=15.0, solver=solver)
    assert abs(r.y[0, -1] - first_root(lambda z: 4 * np.sin(z), 1.7, 15.0)) < 1e-9
    for k in range(150):
        a, w, b, y, h = 3 * rng.standard_normal(), 10 ** rng.uniform(-0.3, 0.7), rng.standard_normal(), 2 * rng.standard_normal(), 0.0
        h = 10 ** rng.uniform(-1, 1.7)

        def f(z, a=a, w=w, b=b, k=k):
            return a * np.sin(w * z) + b if k % 2 else a * np.exp(-((w * (z - b)) ** 2)) + b / 2 - 0.3 * z

        expected = first_root(f, y, h)
        r = mflow.solve_ivp(lambda t, z, f=f: f(z), (0, h), [y], "backward_euler", dt=h, solver=solver)
        if expected is None:
            assert r.reason == "solve_failed", (k, a, w, b, y, h)
        elif r.reason == "finished":
            assert abs(r.y[0, -1] - expected) < 1e-6 * max(1.0, abs(expected)), (k, a, w, b, y, h)


def toggle(t, y):
    return np.array([4.0 / (1 + y[1] ** 3) - y[0], 4.0 / (1 + y[0] ** 3) - y[1]])


@pytest.mark.parametrize("start", [[1.3, 1.2], [0.1, 0.4], [3.0, 2.0], [1.0, 1.7]])
@pytest.mark.parametrize("h", [1.0, 5.0, 100.0, 1e5])
def test_bistable_switch(start, h):
    start = np.array(start)

    def jac(y):
        d = -12.0 * y**2 / (1 + y**3) ** 2
        return np.array([[-1.0, d[1]], [d[0], -1.0]])

    branch = scipy_solve_ivp(
        lambda s, z: np.linalg.solve(np.eye(2) - s * jac(z), toggle(0, z)), (0, h), start, method="DOP853", rtol=1e-10, atol=1e-12
    )
    regular = all(np.linalg.det(np.eye(2) - s * jac(z)) > 0 for s, z in zip(branch.t, branch.y.T, strict=True))
    r = mflow.solve_ivp(toggle, (0, h), start, "backward_euler", dt=h)
    if branch.status == 0 and regular:
        assert np.abs(r.y[:, -1] - branch.y[:, -1]).max() < 1e-6
    else:
        assert r.reason == "solve_failed"


def test_what_rests_stays():
    r = mflow.solve_ivp(lambda t, y: y * (1 - y), (0, 20), [0.0], "backward_euler", dt=2.0)
    assert r.y.tolist() == [[0.0] * 11]


def test_error_control_pays_nothing():
    """The same evaluations with and without a second equation in which M is indefinite: error-controlled steps take no looks."""
    calls = []

    def fun(t, y):
        calls.append(t)
        return y * (1 - y)

    r = mflow.solve_ivp(fun, (0, 10), [0.1], "esdirk43", rtol=1e-6, atol=1e-9)
    assert abs(r.y[0, -1] - 1 / (1 + 9 * np.exp(-10.0))) < 1e-5
    assert r.nfev == len(calls) < 700


# ---- what a callback raises -------------------------------------------------------------------------------------------------------------


class Stop(Exception):
    """Raised by a callback."""


def turning(t, y):
    return np.array([y[0] ** 2 + 0.1 * y[1], y[1] - y[0] * y[1]])


def valley(t, y):
    return y - y**3


FOLLOWED = {
    "follows": (mflow.solve_ivp, toggle, [1.3, 1.2], 5.0),
    "is lost": (mflow.solve_ivp, toggle, [1.3, 1.2], 100.0),
    "turns": (mflow.solve_ivp, turning, [1.0, 0.5], 0.5),
    "flows": (mflow.gradient_flow, lambda y: -valley(0.0, y), [0.1, -0.2], 10.0),
}


@pytest.mark.parametrize("case", FOLLOWED)
@pytest.mark.parametrize(
    "solver", [Newton(), Newton("banded"), Newton("sparse"), NewtonKrylov()], ids=["dense", "banded", "sparse", "krylov"]
)
def test_nothing_is_called_after_f_has_raised(case, solver):
    way, fun, start, h = FOLLOWED[case]
    if way is mflow.gradient_flow and getattr(solver, "linear_solver", "") in ("banded", "sparse"):
        pytest.skip("a gradient flow names no pattern")
    given = {"jac_sparsity": np.ones((2, 2))} if getattr(solver, "linear_solver", "") in ("banded", "sparse") else {}
    calls, last = [0], 0

    def f(*args):
        calls[0] += 1
        if calls[0] == last:
            raise Stop
        if last:
            assert calls[0] < last
        return fun(*args)

    def run():
        calls[0] = 0
        span = h if way is mflow.gradient_flow else (0.0, h)
        method = {"method": "backward_euler", "dt": h, "solver": solver}
        return way(f, start, span, **method) if way is mflow.gradient_flow else way(f, span, start, **method, **given)

    run()
    total, passed = calls[0], []
    for last in [*range(1, total, 1 + total // 8), *range(max(1, total - 8), total)]:
        try:
            run()
        except Stop:
            assert calls[0] == last
            passed.append(True)
        else:
            passed.append(False)
    assert passed == sorted(passed, reverse=True)  # the last calls ask why a step has failed, and do not mind what f raises
    assert sum(passed) > 5


@pytest.mark.parametrize("case", ["follows", "is lost", "turns"])
def test_nothing_is_called_after_a_factorization_has_raised(case, monkeypatch):
    """What looks at M has no f in it, but SciPy, and signals."""
    _, fun, start, h = FOLLOWED[case]
    asked, late, last = [0], [0], 0

    def counted(method):
        def call(*args):
            asked[0] += 1
            if asked[0] == last:
                raise Stop
            late[0] += last > 0 and asked[0] > last
            return method(*args)

        return call

    def f(t, y):
        late[0] += last > 0 and asked[0] >= last
        return fun(t, y)

    def run():
        asked[0] = late[0] = 0
        mflow.solve_ivp(f, (0.0, h), start, "backward_euler", dt=h, solver=Newton("sparse"), jac_sparsity=np.ones((2, 2)))

    for name in ("factor", "solve", "is_regular", "has_positive_sign"):
        monkeypatch.setattr(sparsity.SparseFactors, name, counted(getattr(sparsity.SparseFactors, name)))
    run()
    total = asked[0]
    assert total > 10
    for last in [*range(1, total, 1 + total // 8), *range(max(1, total - 8), total + 1)]:
        with pytest.raises(Stop):
            run()
        assert (asked[0], late[0]) == (last, 0)


# ---- gradient flow ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dt", [3.0, 10.0, 100.0, 1e6, np.inf])
def test_a_proximal_step_never_ends_on_a_maximum(dt):
    res = mflow.minimize(well, [0.1], jac=True, method="backward_euler", dt=dt)
    assert res.reason == "converged"
    assert abs(res.x[0] - 1) < 1e-5
    flow = mflow.gradient_flow(lambda c: well(c)[1], [0.1], dt, "backward_euler", dt=dt)
    expected = 1.0 if np.isinf(dt) else max(np.roots([dt, 0, 1 - dt, -0.1]).real)
    assert abs(flow.y[0, -1] - expected) < 1e-9


def test_the_branch_is_preferred_to_a_lower_minimum():
    flow = mflow.gradient_flow(lambda c: c**3 - c - 0.3, [-1.0], 10.0, "backward_euler", dt=10.0)
    roots = np.roots([10.0, 0.0, -9.0, -2.0])  # z + 10 (z^3 - z - .3) = -1
    assert abs(flow.y[0, -1] - min(roots.real)) < 1e-9
    assert abs(flow.y[0, -1] + 0.808) < 1e-3


@pytest.mark.parametrize("how", ["differences", "hess", "krylov"])
def test_proximal_steps_in_many_dimensions(how):
    rng = np.random.default_rng(3)
    for _ in range(12):
        n, h = int(rng.integers(2, 6)), 10 ** rng.uniform(-1, 5)
        q, tilt, c = np.linalg.qr(rng.standard_normal((n, n)))[0], 0.2 * rng.standard_normal(n), rng.standard_normal(n)

        def cost(x, q=q, tilt=tilt):
            u = q @ x
            return float(np.sum((u * u - 1) ** 2) / 4 + tilt @ x), q.T @ (u * (u * u - 1)) + tilt

        def hess(x, q=q):
            return q.T @ np.diag(3 * (q @ x) ** 2 - 1) @ q

        given = {"hess": hess} if how == "hess" else {"solver": "newton_krylov"} if how == "krylov" else {}
        z = mflow.minimize(cost, c, jac=True, method="backward_euler", dt=h, maxiter=1, gtol=1e-12, **given).x
        assert np.linalg.eigvalsh(np.eye(n) + h * hess(z)).min() > 0
        assert cost(z)[0] + np.sum((z - c) ** 2) / (2 * h) <= cost(c)[0] + 1e-12
        assert np.abs((z - c) / h + cost(z)[1]).max() < 1e-6 * (1 + 1 / h)


def test_a_saddle_across_the_way_is_no_minimum():
    """Along the x axis the gradient has no y component, and the curvature across it falls below 0 on the way."""

    def cost(x):
        return (x[0] - 3) ** 2 / 2 + (1 - x[0] ** 2) * x[1] ** 2 / 2 + x[1] ** 4 / 4, np.array(
            [x[0] - 3 - x[0] * x[1] ** 2, (1 - x[0] ** 2) * x[1] + x[1] ** 3]
        )

    res = mflow.minimize(cost, [0.0, 0.0], jac=True, method="backward_euler", dt=10.0, maxiter=1)
    if res.reason != "solve_failed":
        x, y = res.x
        h = np.array([[1 - y * y, -2 * x * y], [-2 * x * y, 1 - x * x + 3 * y * y]])
        assert np.linalg.eigvalsh(np.eye(2) + 10 * h).min() > 0


# ---- the steady state -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [0.01, 0.1, 0.49, 0.9, 3.0])
def test_the_steady_state_is_that_of_the_flow(start):
    r = mflow.solve_ivp(lambda t, y: y * (1 - y), (0, np.inf), [start], "backward_euler", dt=np.inf)
    assert abs(r.y[0, -1] - 1) < 1e-12
    assert "the steady state is stable" in r.message
    assert "about -1" in r.message


@pytest.mark.parametrize(("start", "end"), [(0.1, 1.0), (-0.1, -1.0), (3.0, 1.0), (-0.6, -1.0)])
def test_the_steady_state_of_a_double_well(start, end):
    r = mflow.solve_ivp(lambda t, y: y - y**3, (0, np.inf), [start], "backward_euler", dt=np.inf)
    assert abs(r.y[0, -1] - end) < 1e-12
    res = mflow.minimize(well, [start], jac=True, method="backward_euler", dt=np.inf)
    assert abs(res.x[0] - end) < 1e-9
    assert "it is a minimum: the least curvature there is about 2" in res.message


def test_an_unstable_steady_state_is_called_so():
    r = mflow.solve_ivp(lambda t, y: y * (1 - y), (0, np.inf), [0.0], "backward_euler", dt=np.inf)
    assert r.y[0, -1] == 0.0
    assert "unstable: the largest real part of the Jacobian's eigenvalues there is about 1" in r.message
    vdp = mflow.solve_ivp(lambda t, y: [y[1], (1 - y[0] ** 2) * y[1] - y[0]], (0, np.inf), [0.1, 0.0], "backward_euler", dt=np.inf)
    assert vdp.reason == "solve_failed" or "unstable" in vdp.message


def test_no_steady_state_is_said():
    r = mflow.solve_ivp(lambda t, y: 1 + y * y, (0, np.inf), [0.0], "backward_euler", dt=np.inf)
    assert r.reason == "solve_failed"
    assert "no steady state was reached along the flow" in r.message


def test_resumed_runs_take_the_same_roots(tmp_path):
    def fun(t, y):
        return y - y**3 + 0.05 * np.roll(y, 1)

    given = {"t_span": (0, 60), "y0": [0.1, -0.2, 0.3], "method": "backward_euler", "dt": 3.0}
    whole = mflow.solve_ivp(fun, **given)
    part = mflow.solve_ivp(fun, **given, max_steps=7, checkpoint=tmp_path / "c", checkpoint_every=7)
    assert part.nsteps == 7
    again = mflow.solve_ivp(fun, **given, resume=tmp_path / "c")
    assert again.y.tobytes() == whole.y.tobytes()
    assert (again.nfev, again.njev) == (whole.nfev, whole.njev)


def test_no_minimisation_by_proximal_steps_ends_above_its_start() -> None:
    """Costs of many wells: the equation of a step has roots in several, and Newton's iteration may end in any."""
    rng, failed = np.random.default_rng(0), 0
    for _ in range(150):
        a, w, q, c0, dt = rng.uniform(0.2, 2), rng.uniform(1, 6), rng.uniform(0.3, 2), rng.uniform(-3, 3), 10 ** rng.uniform(-1, 1.5)

        def cost(c: Any, a: float = a, w: float = w, q: float = q) -> float:
            return float(a * np.cos(w * c[0]) + q * c[0] ** 2 / 2)

        def slope(c: Any, a: float = a, w: float = w, q: float = q) -> Any:
            return np.array([-a * w * np.sin(w * c[0]) + q * c[0]])

        for more in ({}, {"path": True}):
            r = mflow.minimize(cost, [c0], jac=slope, method="backward_euler", dt=dt, **more)
            assert r.fun <= cost([c0])
            assert r.success == (r.reason == "converged")
            assert r.success or r.reason == "solve_failed"
        failed += not r.success
    assert failed < 10


@pytest.mark.parametrize(
    ("fun", "start"),
    [
        (lambda t, y: -np.sin(y), 1.0),
        (lambda t, y: -y - y**3, 1.0),
        (lambda t, y: -y + y**2, 0.5),
        (lambda t, y: y * (y - 0.3) * (1 - y), 0.2),
    ],
)
def test_a_steady_state_of_0_is_reached(fun: Any, start: float) -> None:
    """Near it a state changes by all of its size in each step."""
    r = mflow.solve_ivp(fun, (0, np.inf), [start], method="backward_euler", dt=np.inf)
    assert (r.reason, r.y[0, -1]) == ("finished", 0.0)
    assert "is stable" in r.message


def test_differences_of_all_entries_are_not_called_wrong() -> None:
    """-y^3 has its rest where its slope is 0 to high order: differences there are rounding, and no fault of anybody's Jacobian."""
    r = mflow.solve_ivp(lambda t, y: -(y**3), (0, np.inf), [1.0], method="backward_euler", dt=np.inf)
    assert r.reason == "solve_failed"
    assert "is not the derivative" not in r.message


@pytest.mark.parametrize(("a", "start", "dt"), [(4.0, 1.6, 2.0), (4.0, 1.7, 15.0), (1.0, 1.6, 8.0)])
def test_a_slope_that_bends_between_both_ends(a: float, start: float, dt: float) -> None:
    """y' = a sin y from near its top, where the slope hardly changes: Newton goes to a well far off, where M is regular, too."""
    want = scipy.optimize.brentq(lambda z: z - dt * a * np.sin(z) - start, start, np.pi)
    for method in (Newton(), Newton(full=True)):
        r = mflow.solve_ivp(lambda t, y: a * np.sin(y), (0, dt), [start], method="backward_euler", dt=dt, solver=method)
        assert r.reason == "finished"
        assert r.y[0, -1] == pytest.approx(want, rel=1e-6)


# ---- the branch begins at the state -----------------------------------------------------------------------------------------------------


def waves(seed: int) -> tuple[Any, Any, float, float]:
    """f and f' of three waves and a pull, a state and a step."""
    rng = np.random.default_rng(seed)
    a, w, p = rng.normal(size=4) * 10 ** rng.uniform(-1, 0.7, 4), rng.uniform(0.3, 3.0, 3), rng.uniform(0.0, 6.0, 3)

    def f(z: Any) -> Any:
        return a[0] * np.sin(w[0] * z + p[0]) + a[1] * np.sin(w[1] * z + p[1]) + a[2] * np.cos(w[2] * z + p[2]) - 0.2 * a[3] * z

    def slope(z: Any) -> Any:
        waves = a[0] * w[0] * np.cos(w[0] * z + p[0]) + a[1] * w[1] * np.cos(w[1] * z + p[1]) - a[2] * w[2] * np.sin(w[2] * z + p[2])
        return waves - 0.2 * a[3]

    return f, slope, 2 * rng.normal(), 10 ** rng.uniform(-0.5, 0.7)


def traced(f: Any, slope: Any, y: float, h: float) -> float | None:
    """The end of the branch z - s/2 (f(y) + f(z)) = y from z = y: 400 short steps in s, each closed by Newton; None where it folds."""
    z = y
    for s in np.linspace(0.0, h, 401)[1:]:
        at = z
        for _ in range(20):
            M = 1.0 - 0.5 * s * slope(z)
            if M <= 0.0:
                return None
            step = (y + 0.5 * s * (f(y) + f(z)) - z) / M
            z += step
            if abs(step) <= 1e-13 * max(1.0, abs(z)):
                break
        if abs(z - at) > 0.2 * (1.0 + abs(at)):
            return None
    return z


def test_the_trapezoidal_rule_continues_from_the_state() -> None:
    told = 0
    for seed in range(40):
        f, slope, y, h = waves(seed)
        right = traced(f, slope, y, h)
        r = mflow.solve_ivp(lambda t, y, f=f: f(y), (0.0, h), [y], method="trapezoidal", dt=h)
        if right is not None:
            told += 1
            assert r.success, (seed, r.message)
            assert abs(r.y[0, -1] - right) <= 1e-9 * (1.0 + abs(right)), seed
    assert told > 25


@pytest.mark.parametrize("e", [1e-2, 1e-3, 3e-4])
@pytest.mark.parametrize("given", [True, False])
def test_a_branch_that_nearly_turns_back_is_followed(e: float, given: bool) -> None:
    """z / s(z) = f(z) with s = (z - 1)^3 + 1 + e z: z is the root for dt = s(z), and ds/dz is e at z = 1."""

    def s(z: Any) -> Any:
        return z * (z * z - 3.0 * z + 3.0 + e)

    def over(z: Any) -> Any:
        return z * z - 3.0 * z + 3.0 + e

    jac = (lambda t, y: -(2.0 * y - 3.0) / over(y) ** 2 * np.eye(1)) if given else None
    r = mflow.solve_ivp(lambda t, y: 1.0 / over(y), (0.0, s(2.0)), [0.0], method="backward_euler", dt=s(2.0), jac=jac)
    assert r.success, r.message
    assert r.y[0, -1] == pytest.approx(2.0, abs=1e-12)


@pytest.mark.parametrize("dt", [3.0, 30.0, 1000.0])
def test_fixed_steps_of_error_controlled_methods_do_not_end_at_a_maximum(step_method, dt):
    """f = (c^2 - 1)^2 / 4 from .1: a step is solved towards 1, or fails; behind a pole of its stability function it led to 0."""
    if not {"implicit", "embedded"} <= step_method.flags or "second_order" in step_method.flags:
        pytest.skip("no implicit pair")
    r = mflow.minimize(lambda c: (0.25 * (c[0] ** 2 - 1) ** 2, c * (c**2 - 1)), [0.1], jac=True, method=step_method.name, dt=dt)
    assert r.reason == "solve_failed" if not r.success else r.x[0] == pytest.approx(1.0, abs=1e-4)
    assert r.fun <= 0.25 * (0.01 - 1) ** 2
