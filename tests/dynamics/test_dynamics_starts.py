"""Starts and edges of dynamics: first accelerations, steps of length 0, no mass, orbits and oscillators over a long time, one path.

Oracles: NumPy's dense algebra, closed forms, symmetry.
"""

import contextlib
import itertools
import math
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import mflow
from support.motion import Array, Oscillators, chain
from support.small_cases import for_all

EPS = 2.0**-52
METHODS = mflow.methods(family="second_order")
RNG = np.random.default_rng(5)


def positive(n: int) -> Array:
    A = RNG.standard_normal((n, n))
    return A @ A.T + n * np.eye(n)


# ---- first accelerations ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
@for_all("mass", ["none", "number", "diagonal", "dense", "sparse"])
def test_first_acceleration(method: Any, mass: str) -> None:
    """M a0 = f(t0) - C v0 - K x0, with a full C, whatever the method; and of a force likewise."""
    n = 6
    M: Any = {"none": None, "number": 2.5, "diagonal": np.linspace(1, 2, n), "dense": positive(n), "sparse": positive(n)}[mass]
    full = np.eye(n) if M is None else M * np.eye(n) if np.ndim(M) == 0 else np.diag(M) if np.ndim(M) == 1 else M
    C, K, x0, v0, t0 = positive(n), positive(n), RNG.standard_normal(n), RNG.standard_normal(n), 0.7
    want = np.linalg.solve(full, np.full(n, math.cos(t0)) - C @ v0 - K @ x0)
    M = scipy.sparse.csr_array(M) if mass == "sparse" else M
    call: dict[str, Any] = {"mass": M, "t_span": (t0, t0), "x0": x0, "v0": v0, "method": method.name, "dt": 0.1}
    s = mflow.solve_dynamics(**call, damping=C, stiffness=K, load=lambda t: np.full(n, math.cos(t)))
    f = mflow.solve_dynamics(**call, force=lambda t, x, v: np.full(n, math.cos(t)) - C @ v - K @ x)
    for result in (s, f):
        assert result.reason == "finished"
        np.testing.assert_allclose(result.a[:, 0], want, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_a_step_of_length_0(method: Any) -> None:
    """Leaves the state and the time as they are, and a as it belongs to them, to rounding where a is solved for."""
    st: Any = mflow.Stepper(method.name, lambda t, x, v: -np.sin(x) - 0.3 * v + t, [1.0, 2.0], [0.5, -1.0], t0=0.3)
    for _ in range(3):
        st.step(0.1)
        t, x, v, a = st.t, st.x, st.v, st.a
        st.step(0.0)
        assert (st.t, st.x.tobytes(), st.v.tobytes()) == (t, x.tobytes(), v.tobytes())
        assert np.all(np.isfinite(st.a))
        if method.name not in ("hht", "generalized_alpha", "symplectic_euler"):
            np.testing.assert_allclose(st.a, -np.sin(x) - 0.3 * v + t, atol=1e-14)
        else:
            np.testing.assert_allclose(st.a, a, atol=0.2)
    with pytest.raises(ValueError, match=r"dt: expected a finite step above 0 .*, got 0"):
        mflow.solve_dynamics(stiffness=1.0, t_span=(0, 1), x0=[1.0], method=method.name, dt=0)


@pytest.mark.parametrize(
    ("mass", "words"),
    [
        (0.0, "mass: expected a mass for some degree of freedom that moves, got none"),
        ([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]], r"mass: expected a positive definite matrix, got one that is not \(row 1\)"),
        ([[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]], r"mass: expected a positive definite matrix, got one that is not \(row 1\)"),
    ],
)
@pytest.mark.parametrize("method", ["newmark", "leapfrog"])
def test_masses_that_are_none(mass: Any, words: str, method: str) -> None:
    call: dict[str, Any] = {"mass": mass, "t_span": (0, 1), "x0": np.ones(3), "method": method, "dt": 0.1}
    with pytest.raises(ValueError, match=words):
        mflow.solve_dynamics(**call, stiffness=1.0)
    with pytest.raises(ValueError, match="mass: "):
        mflow.solve_dynamics(**call, force=lambda t, x, v: -x)


@pytest.mark.parametrize("mass", [[1.0, 0.0, 2.0], scipy.sparse.csr_array(np.diag([1.0, 0.0, 2.0]))], ids=["diagonal", "sparse"])
def test_no_mass_and_a_force_alone_is_refused(mass: Any) -> None:
    with pytest.raises(ValueError, match=r"mass: .* \(row 1\); every degree of freedom needs a mass"):
        mflow.solve_dynamics(mass=mass, t_span=(0, 1), x0=np.ones(3), dt=0.1, force=lambda t, x, v: -x)


def test_massless_degrees_of_freedom_may_be_fixed() -> None:
    K = np.array([[2.0, -1.0], [-1.0, 1.0]])
    s = mflow.solve_dynamics([1.0, 0.0], None, K, t_span=(0, 1), x0=[1.0, 0.0], dt=0.01, fixed=[1])
    assert s.x[0, -1] == pytest.approx(math.cos(math.sqrt(2.0)), abs=1e-4)


def test_an_indefinite_sparse_mass_is_found() -> None:
    """Positive diagonal, numbered at random with long links, beyond any band: the signs of pivots tell."""
    n = 260
    rng = np.random.default_rng(0)
    links = scipy.sparse.random_array((n, n), density=0.03, random_state=rng, data_sampler=lambda size: 0.1 * rng.standard_normal(size))
    good = (scipy.sparse.eye_array(n) + links @ links.T).tocsr()
    for shift, fits in ((0.0, True), (1.2, False)):
        M = (good - shift * scipy.sparse.eye_array(n)).tocsr()
        M.setdiag(np.maximum(M.diagonal(), 0.01))
        smallest = np.linalg.eigvalsh(M.toarray())[0]
        assert (smallest > 0) == fits
        call: dict[str, Any] = {"mass": M, "stiffness": 1.0, "t_span": (0, 0.1), "x0": np.ones(n), "dt": 0.1}
        if fits:
            assert mflow.solve_dynamics(**call).reason == "finished"
        else:
            with pytest.raises(ValueError, match=r"mass: expected a positive definite matrix, got one that is not \(row \d+\)"):
                mflow.solve_dynamics(**call)


# ---- one path ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["structure", "force"])
def test_rows_that_are_one_path(kind: str) -> None:
    """Newmark(0, 1/2), central differences, leapfrog and staggered agree to rounding undamped; damped, all that are implicit in v."""
    n, h, steps = 8, 0.2, 300
    rng = np.random.default_rng(2)
    x0, v0 = rng.standard_normal((2, n))
    K = chain(n).K
    for damping in (0.0, 0.15):
        given: dict[str, Any] = {"stiffness": K, "damping": damping}
        if kind == "force":
            given = {"force": lambda t, x, v, d=damping: -K @ x - d * v, "dfdx": -K, "dfdv": -damping * np.eye(n)}
        names: list[Any] = [mflow.Newmark(0.0, 0.5), "central_difference", "staggered"]
        names += [] if damping else ["leapfrog", mflow.Staggered(damping="explicit")]
        paths = [mflow.solve_dynamics(**given, t_span=(0, h * steps), x0=x0, v0=v0, method=name, dt=h) for name in names]
        scale = np.abs(paths[0].x).max()
        for other in paths[1:]:
            np.testing.assert_allclose(other.x, paths[0].x, rtol=0, atol=steps * 8 * EPS * scale)
            np.testing.assert_allclose(other.v, paths[0].v, rtol=0, atol=steps * 16 * EPS * scale / h)


@pytest.mark.parametrize(("name", "gamma", "beta"), [("hht", 0.5, 0.25), ("generalized_alpha", 0.5, 0.25)])
def test_alpha_methods_without_damping_are_average_acceleration(name: str, gamma: float, beta: float) -> None:
    more = {"alpha": 0.0} if name == "hht" else {"rho_inf": 1.0}
    call: dict[str, Any] = {"stiffness": chain(5).K, "t_span": (0, 10), "x0": np.arange(5.0), "dt": 0.1}
    a = mflow.solve_dynamics(**call, method=name, **more)
    b = mflow.solve_dynamics(**call, method=mflow.Newmark(beta, gamma))
    np.testing.assert_allclose(a.x, b.x, rtol=0, atol=1e-11)


# ---- orders and periods over the plane ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gamma", [0.4, 0.5, 0.6, 1.0])
@pytest.mark.parametrize("beta", [0.0, 1 / 12, 1 / 6, 0.25, 0.5])
def test_order_over_the_plane_with_damping_and_load(beta: float, gamma: float) -> None:
    """x, v and a of a loaded, damped structure: second order iff gamma = 1/2. The load is the one that makes x = sin(t) s + free motion."""
    system = Oscillators(np.diag([2.0, 1.0]), [[0.4, -0.1], [-0.1, 0.3]], [[6.0, -2.0], [-2.0, 4.0]])
    shape, x0, v0 = np.array([1.0, -2.0]), np.array([0.3, 0.4]), np.array([-0.2, 0.5])

    def load(t: float) -> Array:
        return -math.sin(t) * system.M @ shape + math.cos(t) * system.C @ shape + math.sin(t) * system.K @ shape

    x, v = system.exact(2.0, x0, v0)
    exact = np.concatenate([x + math.sin(2.0) * shape, v + math.cos(2.0) * shape])
    errors = []
    for steps in (200, 400):
        with contextlib.nullcontext() if gamma >= 0.5 else pytest.warns(RuntimeWarning, match="has negative damping"):
            s = mflow.solve_dynamics(system.M, system.C, system.K, load, (0, 2), x0, v0 + shape, mflow.Newmark(beta, gamma), dt=2 / steps)
        errors.append(np.abs(np.concatenate([s.x[:, -1], s.v[:, -1]]) - exact).max())
    assert math.log2(errors[0] / errors[1]) == pytest.approx(2 if gamma == 0.5 else 1, abs=0.15)


@pytest.mark.parametrize(("beta", "w"), list(itertools.product((0.0, 1 / 12, 1 / 6, 0.25), (0.2, 0.8, 1.6))))
def test_period_error_is_the_closed_form(beta: float, w: float) -> None:
    """T'/T - 1 = W/arccos(1 - (W^2/2)/(1 + beta W^2)) - 1; the angle of a step from x+ + x- = 2 cos(angle) x, over 3000 steps."""
    s = mflow.solve_dynamics(stiffness=1.0, t_span=(0, 3000 * w), x0=[1.0], method=mflow.Newmark(beta, 0.5), dt=w, energy=False)
    x = s.x[0]
    angle = math.acos(np.sum(x[1:-1] * (x[2:] + x[:-2])) / (2 * np.sum(x[1:-1] ** 2)))
    assert w / angle - 1 == pytest.approx(w / math.acos(1 - w**2 / 2 / (1 + beta * w**2)) - 1, abs=1e-12)
