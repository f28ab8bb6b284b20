"""A nonlinear force beside matrices and a load: the motion, what it costs, and where the energy went.

Oracles: SciPy's DOP853 at 1e-12, the matrices alone where the force is linear, sums over the saved steps.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from mflow_core.stepping import probe
from scipy.integrate import solve_ivp

import mflow
from mflow.stability.criterion import order_on_oscillators
from support.motion import settings
from support.small_cases import for_all

Array = np.ndarray
METHODS = [
    pytest.param(m.name, par, id=f"{m.name}-{'-'.join(f'{v:.3g}' for v in par.values())}")
    for m in mflow.methods(family="second_order")
    for par in settings(m.record)
]


def method_of(name: str, par: dict[str, float]) -> Any:
    words = {p.name: p.choices for p in mflow.get_method(name).parameters_ if p.choices}
    return mflow.get_method(name, **{key: words[key][int(value)] if key in words else value for key, value in par.items()})


def run(**more: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # some have no stable step without damping
        return mflow.solve_dynamics(**more)


# ---- Duffing's oscillator ---------------------------------------------------------------------------------------------------------------


def drive(t: float) -> float:
    return 0.5 * math.cos(1.2 * t)


DUFFING: dict[str, Any] = {
    "damping": 0.3, "stiffness": 1.0, "load": drive, "force": lambda t, x, v: -(x**3), "potential": lambda x: float(x[0] ** 4) / 4,
    "x0": [1.0], "v0": [0.0], "t_span": (0, 20),
}  # fmt: skip


@pytest.fixture(scope="module")
def duffing() -> Array:
    """x, v, what the load gave and what damping took at t = 20."""

    def slope(t: float, y: Array) -> list[float]:
        return [y[1], -0.3 * y[1] - y[0] - y[0] ** 3 + drive(t), drive(t) * y[1], 0.3 * y[1] ** 2]

    return np.asarray(solve_ivp(slope, (0, 20), [1.0, 0, 0, 0], "DOP853", rtol=1e-12, atol=1e-13).y[:, -1])


@pytest.mark.parametrize(("name", "par"), METHODS)
def test_where_the_energy_of_duffings_oscillator_went(name: str, par: dict[str, float], duffing: Array) -> None:
    """Whether the force says that it is free of v, or not: then its own damping is looked for, and is 0."""
    method, h = method_of(name, par), 0.01
    s = run(**DUFFING, velocity_free=par != method.numbers, dt=h, method=method)
    close = 15 * h if order_on_oscillators(method, True) == 1 else 3e-3
    assert s.x[0, -1] == pytest.approx(duffing[0], abs=close)
    e, x, v = s.energy, s.x[0], s.v[0]
    assert duffing[2:] == pytest.approx([3.737, 3.828], abs=6e-4)
    load, damping = e.load[-1], e.damping[-1]
    assert load == pytest.approx(duffing[2], abs=close)
    assert damping == pytest.approx(duffing[3], abs=close)
    np.testing.assert_allclose(e.kinetic, v**2 / 2, rtol=1e-14)
    np.testing.assert_allclose(e.potential, x**2 / 2 + x**4 / 4, rtol=1e-14)
    held = e.kinetic + e.potential
    numerical = np.nan_to_num(e.numerical)
    np.testing.assert_allclose(held, held[0] + e.load - e.damping + numerical + e.residual, atol=1e-13)
    if not np.isnan(e.numerical[-1]):  # the books have a formula: the residual is the quadrature of the force, and nothing else
        work = np.diff(x) * -0.5 * (x[:-1] ** 3 + x[1:] ** 3)
        np.testing.assert_allclose(e.residual, np.concatenate([[0.0], np.cumsum(work + np.diff(x**4 / 4))]), atol=1e-12)


@pytest.mark.parametrize(("name", "par"), METHODS)
def test_without_a_potential_the_books_close_to_rounding(name: str, par: dict[str, float]) -> None:
    """A force that drives, drags and pulls: its drag is damping, the rest load, each by the step's own quadrature."""

    def force(t: float, x: Array, v: Array) -> Array:
        return np.array([-(x[0] ** 3) - 0.2 * v[0] * abs(v[0]) + 0.1 * math.sin(t), -math.sin(x[1])])

    K, C = np.array([[3.0, -1], [-1, 2]]), np.array([[0.3, -0.1], [-0.1, 0.2]])
    method = method_of(name, par)
    s = run(stiffness=K, damping=C, force=force, x0=[1.0, 0.4], v0=[0.0, 1.0], t_span=(0, 2), dt=0.02, method=method)
    e, x, v = s.energy, s.x, s.v
    if np.isnan(e.numerical[-1]):
        return
    assert np.max(np.abs(e.residual)) < 2e-13
    dx = np.diff(x)
    drag = np.array([0.2, 0.0])[:, None] * v * np.abs(v)
    took = np.sum(0.5 * dx * (C @ (v[:, :-1] + v[:, 1:]) + drag[:, :-1] + drag[:, 1:]), axis=0)
    np.testing.assert_allclose(e.damping[1:], np.cumsum(took), atol=1e-13)
    rest = np.array([force(t, x[:, k], np.zeros(2)) for k, t in enumerate(s.t)]).T
    np.testing.assert_allclose(e.load[1:], np.cumsum(np.sum(0.5 * dx * (rest[:, :-1] + rest[:, 1:]), axis=0)), atol=1e-13)


# ---- the motion -------------------------------------------------------------------------------------------------------------------------


def structure(n: int, kind: str) -> tuple[Any, Any, Any]:
    M, K = np.linspace(1.0, 2.0, n), 3.0 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    C = 0.1 * K + 0.05 * np.eye(n)
    if kind == "sparse":
        far = np.eye(n)[np.random.default_rng(0).permutation(n)]
        return M, scipy.sparse.csr_array(C), scipy.sparse.csr_array(K + 0.2 * (far + far.T) + np.eye(n))
    return M, C, K


@pytest.mark.parametrize(("name", "par"), METHODS)
@for_all("kind", ["dense", "sparse"])
def test_a_linear_force_is_as_good_as_a_matrix(name: str, par: dict[str, float], kind: str) -> None:
    """Some of the springs and dashpots, and all of the load, as a force."""
    n, method = (3 if kind == "dense" else 40), method_of(name, par)
    M, C, K = structure(n, kind)
    phase = np.linspace(0, 3, n)
    common: dict[str, Any] = {"mass": M, "x0": np.cos(phase), "v0": np.sin(phase), "t_span": (0, 1), "dt": 0.05, "method": method}
    whole = run(**common, damping=C, stiffness=K, load=lambda t: np.cos(t + phase))
    share = np.where(np.arange(n) % 2, 0.5, 0.25)
    A, B = (scipy.sparse.diags_array(share * X.diagonal()) for X in (K, C))
    tangents: dict[str, Any] = {"dfdx": -A, "dfdv": lambda t, x, v: -B} if kind == "sparse" else {}
    parts = run(
        **common, damping=C - B, stiffness=K - A, load=lambda t: 0.5 * np.cos(t + phase), **tangents,
        force=lambda t, x, v: 0.5 * np.cos(t + phase) - A @ x - B @ v,
    )  # fmt: skip
    for ours, want in ((parts.x, whole.x), (parts.v, whole.v), (parts.a, whole.a)):
        np.testing.assert_allclose(ours, want, atol=1e-11 * np.abs(want).max())


def springs(t: float, x: Array, v: Array) -> Array:
    return -(x**3)


@pytest.mark.parametrize("name", ["central_difference", "staggered"])
def test_explicit_in_the_springs_and_implicit_in_the_damping(name: str) -> None:
    """One force a step, one factorization, no Newton; and the formula in NumPy."""
    n, h = 3, 0.05
    M, C, K = structure(n, "dense")
    common: dict[str, Any] = {"mass": M, "damping": C, "stiffness": K, "x0": np.ones(n), "t_span": (0, 1), "dt": h, "method": name}
    times: list[float] = []

    def counted(t: float, x: Array, v: Array) -> Array:
        times.append(t)
        return springs(t, x, v)

    s = run(**common, force=counted, velocity_free=True, energy=False)
    assert (s.nlu, s.njev) == (2, 0)  # M, for the first acceleration, and M + dt/2 C
    assert len([t for t in times if t > 0]) == 20 + s.ncheck  # those behind the run: whether dt sees the force
    assert run(**common, force=springs, energy=False).njev > 0  # nothing says that the force is free of v
    x, v = np.ones(n), np.zeros(n)
    a = (-(x**3) - K @ x) / M
    for k in range(1, 21):
        x = x + h * v + h * h / 2 * a
        a = np.linalg.solve(np.diag(M) + h / 2 * C, -(x**3) - K @ x - C @ (v + h / 2 * a))
        v = (s.x[:, k] - s.x[:, k - 1]) / h + h / 2 * a
        np.testing.assert_allclose(s.x[:, k], x, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(s.a[:, k], a, rtol=1e-10, atol=1e-11)


def reference(M: Array, C: Array, K: Array, t: float) -> Array:
    n = len(M)

    def slope(t: float, y: Array) -> Array:
        return np.concatenate([y[n:], (math.cos(t) - y[:n] ** 3 - C @ y[n:] - K @ y[:n]) / M])

    return np.asarray(solve_ivp(slope, (0, t), np.concatenate([np.ones(n), np.zeros(n)]), "DOP853", rtol=1e-12, atol=1e-13).y[:n, -1])


@pytest.mark.parametrize(
    "more", [{}, {"dfdx": lambda t, x, v: -3.0 * np.diag(x**2)}, {"solver": "newton_krylov"}, {"solver": "fixed_point"}]
)
def test_error_control(more: dict[str, Any]) -> None:
    M, C, K = structure(4, "dense")
    table = (np.linspace(0, 2, 2001), np.broadcast_to(np.cos(np.linspace(0, 2, 2001)), (4, 2001)))
    s = run(mass=M, damping=C, stiffness=K, load=table, force=springs, x0=np.ones(4), t_span=(0, 2), rtol=1e-6, atol=1e-8, **more)
    assert s.success
    np.testing.assert_allclose(s.x[:, -1], reference(M, C, K, 2.0), atol=1e-4)
    assert s.energy.load[-1] != 0.0


@pytest.mark.parametrize("method", ["newmark", "staggered", "hht", "velocity_verlet"])
def test_fixed_supports_and_orders_are_those_of_the_user(method: str) -> None:
    """A sparse structure that is reordered, with supports that are displaced, against the dense one."""
    n = 12
    rng = np.random.default_rng(3)
    order = rng.permutation(n)
    K = (4.0 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1))[order][:, order]
    x0 = rng.standard_normal(n)
    weights = np.arange(1.0, n + 1)
    common: dict[str, Any] = {"x0": x0, "fixed": [2, 5], "t_span": (0, 1), "dt": 0.05, "method": method, "rayleigh": (0.05, 0.01)}
    runs = [run(stiffness=k, force=lambda t, x, v: -weights * x**3, **common) for k in (K, scipy.sparse.csr_array(K))]
    np.testing.assert_allclose(runs[1].x, runs[0].x, atol=1e-11)
    np.testing.assert_array_equal(runs[0].x[[2, 5]], np.repeat(x0[[2, 5], None], 21, axis=1))
    np.testing.assert_allclose(runs[1].energy.load, runs[0].energy.load, atol=1e-11)


def test_a_run_that_is_resumed_has_the_same_bits(tmp_path: Any) -> None:
    for method, more in (("newmark", {}), ("central_difference", {"velocity_free": True}), ("newmark", {"rtol": 1e-5})):
        common: dict[str, Any] = {**DUFFING, "method": method, **more, **({} if "rtol" in more else {"dt": 0.05})}
        whole, path = run(**common), tmp_path / f"{method}{len(more)}.ck"
        run(**{**common, "t_span": (0, 20), "max_steps": 57, "checkpoint": path, "checkpoint_every": 57})
        again = run(**common, resume=path)
        for name in ("x", "v", "a"):
            np.testing.assert_array_equal(again[name], whole[name])
        np.testing.assert_array_equal(again.energy.damping, whole.energy.damping)
        assert (again.nfev, again.nlu, again.njev) == (whole.nfev, whole.nlu, whole.njev)


def test_energies_at_times_between_steps() -> None:
    s = run(**DUFFING, dt=0.05, method="newmark", t_eval=[0.0, 0.33, 7.77, 20.0])
    e = s.energy
    held = e.kinetic + e.potential
    np.testing.assert_allclose(held, held[0] + e.load - e.damping + e.numerical + e.residual, atol=1e-12)
    assert np.max(np.abs(e.residual)) < 5e-3


def test_conjugate_gradients_go_with_forces_that_are_known() -> None:
    M, C, K = structure(3, "dense")
    common: dict[str, Any] = {"mass": M, "x0": np.ones(3), "t_span": (0, 1), "dt": 0.05, "force": springs}
    s = run(**common, damping=lambda v: C @ v, stiffness=K, method="central_difference", velocity_free=True)
    want = run(**common, damping=C, stiffness=K, method="central_difference", velocity_free=True)
    np.testing.assert_allclose(s.x, want.x, atol=1e-10)
    for more in ({"method": "newmark"}, {"method": "central_difference"}):
        with pytest.raises(ValueError, match=r"linear_solver: conjugate gradients .* is implicit in it"):
            run(**common, damping=C, stiffness=K, linear_solver="cg", **more)
    assert probe.implicit_shares(mflow.get_method("newmark").record, {})[0] > 0.0


def test_what_a_force_beside_matrices_may_do_wrong() -> None:
    common: dict[str, Any] = {"stiffness": 1.0, "x0": [1.0], "t_span": (0, 1), "dt": 0.1}
    with pytest.raises(ValueError, match="force: expected a function that returns shape"):
        run(**common, force=lambda t, x, v: np.ones(2))
    with pytest.raises(ValueError, match="not symmetric"):
        run(stiffness=[[1.0, 2], [0, 1]], x0=[1.0, 0], t_span=(0, 1), dt=0.1, force=springs, energy=True)
    s = run(**common, force=lambda t, x, v: np.array([math.nan if t > 0.5 else 0.0]))
    assert not s.success
    assert s.t[-1] == pytest.approx(0.5)
