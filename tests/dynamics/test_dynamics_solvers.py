"""How dynamics solves its equations: conjugate gradients, reordered bands, sparse tangents; compiled functions where some of it is fixed.

Oracles: the same problem stored densely, Python twins of compiled functions, NumPy's dense algebra.
"""

import ctypes
import math
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg
from mflow_core.dynamics import structure

import mflow
from mflow.solvers.tangents import TangentFactors
from support.motion import ACCEL, Array

_P, _D = ctypes.c_void_p, ctypes.POINTER(ctypes.c_double)
LOAD = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_double, _D, ctypes.c_ssize_t, _P)
POTENTIAL = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_double, _D, _D, ctypes.c_ssize_t, _P)
PRODUCT = ctypes.CFUNCTYPE(ctypes.c_int, _D, _D, ctypes.c_ssize_t, _P)


def springs(n: int) -> Array:
    return 2.0 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)


def shuffled(n: int, seed: int = 0) -> Any:
    """A chain whose masses are numbered at random: sparse, of the widest band."""
    order = np.random.default_rng(seed).permutation(n)
    return scipy.sparse.csr_array(springs(n)[order][:, order])


# ---- conjugate gradients -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [m.name for m in mflow.methods() if "second_order" in m.flags])
@pytest.mark.parametrize("how", ["matrix", "sparse", "function", "operator", "compiled"])
@pytest.mark.filterwarnings("ignore:solve_dynamics. .* is of first order where forces:RuntimeWarning")
def test_conjugate_gradients_give_the_direct_answer(name: str, how: str) -> None:
    n = 30
    C = 0.3 * springs(n) + np.diag(np.linspace(0.1, 5.0, n))
    K = 4.0 * springs(n)

    def fill(v: Any, out: Any, n: int, ctx: Any) -> int:
        np.ctypeslib.as_array(out, (n,))[:] = C @ np.ctypeslib.as_array(v, (n,))
        return 0

    damping: Any = {
        "matrix": C, "sparse": scipy.sparse.csr_array(C), "function": lambda v: C @ v,
        "operator": scipy.sparse.linalg.aslinearoperator(C), "compiled": PRODUCT(fill),
    }[how]  # fmt: skip
    call: dict[str, Any] = {"mass": np.linspace(1, 2, n), "stiffness": K, "load": lambda t: np.full(n, math.cos(t)), "t_span": (0, 2),
                            "x0": np.sin(np.arange(n)), "method": name, "dt": 0.05}  # fmt: skip
    if name == "symplectic_euler":
        call["damping"] = "implicit"
        call["method"] = mflow.SymplecticEuler(damping="implicit")
    direct = mflow.solve_dynamics(**{**call, "damping": C})
    cg = mflow.solve_dynamics(**{**call, "damping": damping}, linear_solver=None if how in ("function", "operator", "compiled") else "cg")
    assert cg.reason == "finished"
    np.testing.assert_allclose(cg.x, direct.x, rtol=0, atol=1e-12)
    np.testing.assert_allclose(cg.v, direct.v, rtol=0, atol=1e-11)
    if name in ("newmark", "staggered", "central_difference"):
        assert np.abs(cg.energy.residual).max() < 1e-12
        np.testing.assert_allclose(cg.energy.damping, direct.energy.damping, atol=1e-11)
    again = mflow.solve_dynamics(**{**call, "damping": damping}, linear_solver="cg")
    assert again.x.tobytes() == cg.x.tobytes()


def test_conjugate_gradients_take_n_iterations_at_most_where_values_are_few() -> None:
    """Three different eigenvalues of the scaled matrix: three iterations a step."""
    n, values = 60, np.repeat([1.0, 5.0, 20.0], 20)
    q, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((n, n)))
    C = q @ np.diag(values) @ q.T
    C = 0.5 * (C + C.T)
    C -= np.diag(np.diag(C)) - 10.0 * np.eye(n)  # a constant diagonal, so that scaling with it changes nothing
    count = len(np.unique(np.round(np.linalg.eigvalsh(C), 6)))
    problem = structure.Structure(n, 1.0, C, None, np.ones(n), cg=True)
    from test_dynamics_core import run_of

    run = run_of("staggered", problem, np.zeros(n), np.ones(n), 0.1)
    assert run.fixed(1) == 0
    assert 3 <= problem.counters["ncg"] <= count + 5
    a = run.vector(2)
    np.testing.assert_allclose(a, np.ones(n) - C @ run.vector(1), rtol=0, atol=1e-11 * np.abs(C).sum(axis=1).max())


def test_conjugate_gradients_that_fail_say_so() -> None:
    call: dict[str, Any] = {
        "mass": 1.0,
        "stiffness": 1.0,
        "t_span": (0, 5),
        "x0": [1.0, 2.0],
        "v0": [1.0, -1.0],
        "dt": 1.0,
        "method": "staggered",
    }
    s = mflow.solve_dynamics(**call, damping=lambda v: -9.0 * v)
    assert (s.status, s.reason, s.nsteps) == (-1, "solve_failed", 0)
    assert "not positive definite" in s.message
    s = mflow.solve_dynamics(**call, damping=lambda v: np.array([0.3 * v[0] + 8.0 * v[1], 0.1 * v[1] - 8.0 * v[0]]))
    assert (s.status, s.reason) == (-1, "solve_failed")
    assert "conjugate gradient" in s.message
    with pytest.raises(ValueError, match="damping: expected a symmetric matrix for conjugate gradients"):
        mflow.solve_dynamics(**call, damping=[[1.0, 0.5], [0.0, 1.0]], linear_solver="cg")
    with pytest.raises(ValueError, match='linear_solver: expected "cg" where damping is a function'):
        mflow.solve_dynamics(**call, damping=lambda v: v, linear_solver="direct")
    with pytest.raises(ValueError, match=r"linear_solver: .*, got 'lu'"):
        mflow.solve_dynamics(**call, damping=1.0, linear_solver="lu")
    with pytest.raises(ValueError, match=r"damping: expected a function that returns C v, .* got shape \(3,\)"):
        mflow.solve_dynamics(**call, damping=lambda v: np.zeros(3))
    with pytest.raises(ZeroDivisionError):
        mflow.solve_dynamics(**call, damping=lambda v: v * (1 // 0))


def test_conjugate_gradients_with_fixed() -> None:
    n = 6
    C, K, x0 = 0.2 * springs(n), springs(n), np.array([0.5, 1, 0, -1, 2, 0.0])
    call: dict[str, Any] = {"stiffness": K, "t_span": (0, 1), "x0": x0, "dt": 0.1, "fixed": [0, 3], "energy": True}
    a = mflow.solve_dynamics(**call, damping=C)
    b = mflow.solve_dynamics(**call, damping=lambda v: C @ v)
    np.testing.assert_allclose(b.x, a.x, rtol=0, atol=1e-13)


# ---- bands and tangents ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fixed", [None, [0, 7]])
def test_sparse_structures_are_reordered_into_bands(fixed: Any) -> None:
    n = 300
    K = shuffled(n)
    M, x0 = np.linspace(1, 2, n), np.sin(np.arange(n))
    if fixed is not None:
        x0[fixed] = 0.0
    seen: list[Array] = []

    def crossing(t: float, x: Array, v: Array) -> float:
        seen.append(x.copy())
        return float(x[3])

    call: dict[str, Any] = {"mass": M, "t_span": (0, 2), "x0": x0, "dt": 0.1, "fixed": fixed, "load": lambda t: np.cos(t + np.arange(n))}
    s = mflow.solve_dynamics(**call, stiffness=K, rayleigh=(0.1, 0.05), events=crossing)
    d = mflow.solve_dynamics(**call, stiffness=K.toarray(), rayleigh=(0.1, 0.05), events=crossing)
    np.testing.assert_allclose(s.x, d.x, rtol=0, atol=1e-12)
    np.testing.assert_allclose(s.x_events[0], d.x_events[0], rtol=0, atol=1e-10)
    assert seen[0].tolist() == x0.tolist()
    assert np.abs(s.energy.residual).max() < 1e-12
    from mflow.structures.matrices import narrower_order

    order = narrower_order([M, K])
    assert sorted(order.tolist()) == list(range(n))
    assert structure.Structure(n, M[order], None, K[order][:, order]).kind == "tridiagonal"
    assert narrower_order([M, scipy.sparse.csr_array(np.ones((n, n)))]) is None
    assert narrower_order([M, scipy.sparse.csr_array(springs(n))]) is None  # a band already


# ---- compiled functions where some of it is fixed ----------------------------------------------------------------------------------------


def test_compiled_functions_with_fixed() -> None:
    """Force, potential, event and load, called with all degrees of freedom: the bits of their Python twins."""
    n, K = 5, springs(5)
    calls: list[Any] = []

    def vector(p: Any, m: int) -> Array:
        return np.ctypeslib.as_array(p, (m,))

    def push(t: float, x: Any, v: Any, f: Any, m: int, ctx: Any) -> int:
        calls.append(m)
        vector(f, m)[:] = -K @ vector(x, m) - 0.1 * vector(v, m)
        return 0

    def stored(t: float, x: Any, value: Any, m: int, ctx: Any) -> int:
        value[0] = 0.5 * vector(x, m) @ K @ vector(x, m)
        return 0

    def meets(t: float, x: Any, v: Any, g: Any, m: int, ctx: Any) -> int:
        g[0] = x[1] - x[0] - 0.2 * v[3]
        return 0

    x0 = np.array([0.5, 1.0, 0.3, -1.0, 0.5])
    call: dict[str, Any] = {"mass": np.linspace(1, 2, n), "t_span": (0, 3), "x0": x0, "dt": 0.05, "fixed": [0, -1], "method": "leapfrog"}
    compiled = mflow.solve_dynamics(**call, force=ACCEL(push), potential=POTENTIAL(stored), events=ACCEL(meets))
    python = mflow.solve_dynamics(**call, force=lambda t, x, v: -K @ x - 0.1 * v, potential=lambda x: 0.5 * x @ K @ x,
                                  events=lambda t, x, v: x[1] - x[0] - 0.2 * v[3])  # fmt: skip
    assert set(calls) == {n}
    assert compiled.x.tobytes() == python.x.tobytes()
    assert compiled.energy.potential.tobytes() == python.energy.potential.tobytes()
    assert len(compiled.t_events[0]) >= 1
    assert compiled.t_events[0].tobytes() == python.t_events[0].tobytes()
    assert compiled.v_events[0].tobytes() == python.v_events[0].tobytes()

    def shakes(t: float, f: Any, m: int, ctx: Any) -> int:
        vector(f, m)[:] = math.cos(t) * np.arange(m)
        return 0

    more = {"stiffness": K, "damping": 0.1, "method": "newmark"}
    a = mflow.solve_dynamics(**{**call, **more}, load=LOAD(shakes))
    b = mflow.solve_dynamics(**{**call, **more}, load=lambda t: math.cos(t) * np.arange(n))
    assert a.x.tobytes() == b.x.tobytes()
    assert a.energy.load.tobytes() == b.energy.load.tobytes()


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("mass", ["unit", "diagonal", "sparse"])
@pytest.mark.parametrize("given", ["functions", "constant"])
def test_sparse_tangents(wide: bool, mass: str, given: str) -> None:
    """Stiff cubic springs numbered at random; wide: springs between all, where no order helps. As with dense tangents."""
    n = 40
    K = 50.0 * shuffled(n, 3) + (scipy.sparse.csr_array(np.full((n, n), 0.1)) if wide else 0.0 * scipy.sparse.eye_array(n).tocsr())
    C = 0.5 * shuffled(n, 3)
    M: Any = {"unit": None, "diagonal": np.linspace(1, 2, n), "sparse": scipy.sparse.eye_array(n).tocsr() + 0.1 * shuffled(n, 3)}[mass]

    def force(t: float, x: Array, v: Array) -> Array:
        return -K @ x - C @ v - 2.0 * x**3 + math.cos(t)

    asked: list[float] = []

    def dfdx(t: float, x: Array, v: Array) -> Any:
        asked.append(t)
        return -K - scipy.sparse.diags_array(6.0 * x**2)

    call: dict[str, Any] = {"mass": M, "force": force, "t_span": (0, 2), "x0": np.sin(np.arange(n)), "dt": 0.1}
    tangents: dict[str, Any] = {"dfdx": dfdx if given == "functions" else -K, "dfdv": -C}
    sparse = mflow.solve_dynamics(**call, **tangents)
    dense = mflow.solve_dynamics(**call, dfdx=lambda t, x, v: -K.toarray() - np.diag(6.0 * x**2), dfdv=-C.toarray())
    assert sparse.reason == dense.reason == "finished"
    np.testing.assert_allclose(sparse.x, dense.x, rtol=0, atol=1e-11)
    mass_of = np.eye(n) if M is None else np.diag(M) if np.ndim(M) == 1 and not hasattr(M, "tocsr") else M.toarray()
    for k in range(1, 21):
        left = mass_of @ sparse.a[:, k] - force(sparse.t[k], sparse.x[:, k], sparse.v[:, k])
        assert np.abs(left).max() < 1e-12 * 50 * 4
    assert given == "constant" or sparse.njev + 1 == len(asked)
    assert sparse.nlu <= 6


def test_factors_of_tangents_are_bands_where_that_helps() -> None:
    n = 50
    for matrix, banded in ((shuffled(n), True), (scipy.sparse.csr_array(np.ones((n, n))), False)):
        factors = TangentFactors(n, np.linspace(1, 2, n))
        factors.ask = lambda t, a, matrix=matrix: -matrix
        assert factors.jacobian(0.0, np.zeros(n))
        assert factors.factor(1.0)
        assert factors.banded == banded
        b = np.cos(np.arange(n))
        M = np.diag(np.linspace(1, 2, n))
        np.testing.assert_allclose(factors.solve(b), np.linalg.solve(M + matrix.toarray(), M @ b), rtol=1e-12)
    factors = TangentFactors(n, None)
    factors.ask = lambda t, a: scipy.sparse.eye_array(n)
    assert factors.jacobian(0.0, np.zeros(n))
    assert not factors.factor(1.0)  # singular
    factors.ask = lambda t, a: scipy.sparse.eye_array(n) * np.nan
    assert not factors.jacobian(0.0, np.zeros(n))


def test_sparse_tangents_with_fixed_and_resumed(tmp_path: Any) -> None:
    n, K = 40, 30.0 * shuffled(40)
    call: dict[str, Any] = {
        "force": lambda t, x, v: -K @ x - x**3, "dfdx": lambda t, x, v: -K - scipy.sparse.diags_array(3.0 * x**2), "t_span": (0, 1),
        "x0": np.where(np.arange(n) < 2, 0.0, np.sin(np.arange(n))), "dt": 0.05, "fixed": [0, 1],
    }  # fmt: skip
    whole = mflow.solve_dynamics(**call, checkpoint=tmp_path / "a", checkpoint_every=7)
    part = mflow.solve_dynamics(**call, checkpoint=tmp_path / "b", checkpoint_every=7, callback=lambda t, x, v: t > 0.74)
    assert part.reason == "callback"
    again = mflow.solve_dynamics(**call, resume=tmp_path / "b")
    assert again.x.tobytes() == whole.x.tobytes()
    assert (again.nfev, again.njev, again.nlu) == (whole.nfev, whole.njev, whole.nlu)
    dense = mflow.solve_dynamics(**{**call, "dfdx": None})
    np.testing.assert_allclose(whole.x, dense.x, rtol=0, atol=1e-11)


def test_dt_auto_with_a_damping_function() -> None:
    """Nine tenths of the limit that the matrix gives, to what the largest frequency is known by."""
    n = 200
    C, K = 0.3 * springs(n), springs(n)
    call: dict[str, Any] = {"stiffness": K, "t_span": (0, 40), "x0": np.sin(np.arange(n)), "dt": "auto"}
    for method in ("symplectic_euler", "staggered"):
        a = mflow.solve_dynamics(**call, damping=C, method=method)
        b = mflow.solve_dynamics(**call, damping=lambda v: C @ v, load=lambda t: np.full(n, 3.0), method=method)
        assert b.t[1] == pytest.approx(a.t[1], rel=0.02)
    with pytest.raises(ValueError, match=r'dt = "auto": .* of a force changes'):
        mflow.solve_dynamics(force=lambda t, x, v: -x, t_span=(0, 1), x0=[1.0], dt="auto")


def test_damping_may_be_a_choice_of_the_method() -> None:
    call: dict[str, Any] = {"stiffness": 2.0, "t_span": (0, 1), "x0": [1.0], "dt": 0.1}
    a = mflow.solve_dynamics(**call, method="staggered", damping="backward_euler")
    b = mflow.solve_dynamics(**call, method=mflow.Staggered(damping="backward_euler"))
    assert a.x.tobytes() == b.x.tobytes()
    assert a.x.tobytes() != mflow.solve_dynamics(**call, method="staggered").x.tobytes()
    with pytest.raises(ValueError, match=r"damping: expected a choice of .*, got 'backwards'; did you mean 'backward_euler'"):
        mflow.solve_dynamics(**call, method="staggered", damping="backwards")
    with pytest.raises(ValueError, match=r"damping: .*, got 'explicit', a choice that newmark does not have"):
        mflow.solve_dynamics(**call, method="newmark", damping="explicit")


@pytest.mark.parametrize("name", ["newmark", "staggered"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -1e200])
def test_conjugate_gradients_do_not_pass_over_a_load_that_is_not_finite(name: str, bad: float) -> None:
    K = springs(3)
    load = lambda t: np.array([0.0, bad if t > 0.25 else 1.0, 0.0])  # noqa: E731
    s = mflow.solve_dynamics(1.0, 0.1 * K, K, load, (0, 1), [1.0, 0.0, 0.0], dt=0.1, linear_solver="cg", method=name)
    assert (s.success, s.reason) == (False, "non_finite")
    assert s.t[-1] == pytest.approx(0.2)
    assert np.all(np.isfinite(s.x))


# ---- sums narrower than the widest matrix ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["central_difference", "staggered"])
@pytest.mark.parametrize(("n", "reach"), [(3, 1), (4, 1), (5, 1), (40, 2), (60, 5)])
def test_banded_damping_beside_a_dense_stiffness(name: str, n: int, reach: int) -> None:
    """M + c C is a band, whose sides are not those of the dense K. Oracle: the step with NumPy."""
    rng = np.random.default_rng(n)
    B = rng.standard_normal((n, n)) / n
    K = B @ B.T + np.eye(n)
    C = sum((0.2 / (1 + abs(k)) * np.eye(n, k=k) for k in range(-reach, reach + 1)), np.zeros((n, n)))
    x, v, dt = rng.standard_normal(n), rng.standard_normal(n), 0.05
    s = mflow.solve_dynamics(None, C, K, t_span=(0, 20 * dt), x0=x, v0=v, method=name, dt=dt)
    a = -C @ v - K @ x
    for _ in range(20):
        half = v + 0.5 * dt * a
        x = x + dt * half
        a = np.linalg.solve(np.eye(n) + 0.5 * dt * C, -K @ x - C @ half)
        v = half + 0.5 * dt * a
    assert s.success
    np.testing.assert_allclose(s.x[:, -1], x, rtol=0, atol=1e-13)
    np.testing.assert_allclose(s.v[:, -1], v, rtol=0, atol=1e-13)


@pytest.mark.filterwarnings("ignore:.*stability limit:RuntimeWarning")
def test_an_indefinite_tridiagonal_sum_beside_a_wider_stiffness() -> None:
    """M + c C is tridiagonal and not positive definite: solved with exchanges, by a band of its own sides."""
    n, dt = 30, 0.1
    K = 2.0 * np.eye(n) - 0.5 * np.eye(n, k=2) - 0.5 * np.eye(n, k=-2)
    C = -30.0 * np.eye(n) + np.eye(n, k=1) + np.eye(n, k=-1)
    x = np.cos(np.arange(n))
    s = mflow.solve_dynamics(None, C, K, t_span=(0, dt), x0=x, method="central_difference", dt=dt)
    half = 0.5 * dt * (-K @ x)
    x = x + dt * half
    a = np.linalg.solve(np.eye(n) + 0.5 * dt * C, -K @ x - C @ half)
    np.testing.assert_allclose(s.x[:, -1], x, rtol=1e-13)
    np.testing.assert_allclose(s.a[:, -1], a, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("stiffness", [-400.0, [1.0, -400.0, 1.0]])
@pytest.mark.filterwarnings("ignore:.*exceeds the stability limit:RuntimeWarning")  # of what grows by itself
def test_a_diagonal_sum_that_is_zero_but_for_rounding(stiffness: Any) -> None:
    """1 - 400 (0.1^2) / 4 is -2e-16 in float64, not 0."""
    n = np.size(stiffness)
    s = mflow.solve_dynamics(1.0, None, stiffness, t_span=(0, 1), x0=np.ones(n), dt=0.1)
    assert not s.success
    assert s.reason == "solve_failed"
    assert f"is singular at t = 0 after 0 steps (see row {n // 2})" in s.message


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("load", {"stiffness": 4.0, "load": lambda t: np.array([1 + 2j])}),
        ("damping", {"stiffness": 4.0, "damping": lambda v: v * 1j}),
        ("dfdx", {"force": lambda t, x, v: -x, "dfdx": lambda t, x, v: np.array([[1j]])}),
        ("dfdx", {"force": lambda t, x, v: -x, "dfdx": lambda t, x, v: scipy.sparse.csr_array([[1j]])}),
    ],
)
def test_complex_numbers_are_refused(name: str, more: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=f"{name}: expected .*real numbers, got .*complex"):
        mflow.solve_dynamics(1.0, t_span=(0, 1), x0=[1.0], dt=0.1, **more)
