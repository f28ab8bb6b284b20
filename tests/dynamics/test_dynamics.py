"""`mflow.solve_dynamics`, limits of second-order methods and `first_order_system`, through the public face.

Oracles: closed forms (printed tables are in test_dynamics_tables.py), NumPy's dense algebra, METHODS' closed forms of the stability limits.
"""

import itertools
import math
import warnings
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import mflow
from support.motion import Array, Oscillators, chain

EPS = 2.0**-52
METHODS = mflow.methods(family="second_order")


def springs(n: int) -> Array:
    return 2.0 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)


# ---- through the public face ---------------------------------------------------------------------------------------------------------


def test_the_example_of_the_docs() -> None:
    M, C, K = np.diag([2.0, 1.0]), 0.1 * np.eye(2), np.array([[6.0, -2.0], [-2.0, 4.0]])
    s = mflow.solve_dynamics(mass=M, damping=C, stiffness=K, load=lambda t: [0.0, 10.0], t_span=(0, 3), x0=[0, 0], v0=[0, 0],
                             method=mflow.Newmark(0.25, 0.5), dt=0.28)  # fmt: skip
    assert s.t[-1] == 3.0
    assert s.x.shape == (2, 12)
    e = s.energy
    gain = e.kinetic + e.potential - (e.kinetic[0] + e.potential[0])
    np.testing.assert_allclose(gain, e.load - e.damping + e.numerical, atol=1e-12)


# ---- against closed forms ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [m for m in METHODS if m.record.stages == 1], ids=lambda m: m.name)
def test_an_undamped_chain(method: Any) -> None:
    """The first mode of a chain between walls, at the rate of its order, by every method but those of test_higher_order.py."""
    n, w = 9, 2 * math.sin(math.pi / 20)
    shape = np.sin(math.pi * np.arange(1, n + 1) / 10)
    errors = []
    for steps in (400, 800):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # methods without a stable step where nothing damps
            s = mflow.solve_dynamics(stiffness=springs(n), t_span=(0, 4), x0=shape, method=method, dt=4 / steps)
        errors.append(np.abs(s.x[:, -1] - shape * math.cos(4 * w)).max())
    order = 1 if method.name == "constant_acceleration" else method.order
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.15)


def test_error_control_of_x_and_v() -> None:
    system = chain(5, damping=0.3)
    x0, v0 = np.arange(5.0), np.ones(5)
    x, v = Oscillators(system.M, system.C, system.K).exact(3.0, x0, v0)
    errors = []
    for tol in (1e-4, 1e-6):
        s = mflow.solve_dynamics(system.M, system.C, system.K, t_span=(0, 3), x0=x0, v0=v0, rtol=tol, atol=tol)
        errors.append(max(np.abs(s.x[:, -1] - x).max(), np.abs(s.v[:, -1] - v).max()))
    assert errors[1] < 0.1 * errors[0] < 0.02


def test_backwards_and_nowhere() -> None:
    s = mflow.solve_dynamics(stiffness=1.0, t_span=(2, 0), x0=[math.cos(2)], v0=[-math.sin(2)], dt=0.001)
    assert s.x[0, -1] == pytest.approx(1.0, abs=1e-5)
    s = mflow.solve_dynamics(2.0, None, 4.0, t_span=(1, 1), x0=[1.0], dt=0.1)
    assert s.x.shape == (1, 1)
    assert s.reason == "finished"


def test_dt_zero_and_beta_zero() -> None:
    with pytest.raises(ValueError, match=r"dt: expected a finite step above 0 .*, got 0"):
        mflow.solve_dynamics(stiffness=1.0, t_span=(0, 1), x0=[1.0], dt=0)
    s = mflow.solve_dynamics(stiffness=1.0, t_span=(0, 5), x0=[1.0], method=mflow.Newmark(0.0, 0.5), dt=0.1)
    v = mflow.solve_dynamics(stiffness=1.0, t_span=(0, 5), x0=[1.0], method="leapfrog", dt=0.1)
    np.testing.assert_allclose(s.x, v.x, atol=50 * 8 * EPS)


# ---- fixed degrees of freedom --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["dense", "sparse", "force", "function"])
@pytest.mark.parametrize("place", [0.0, 0.5])
def test_fixed(how: str, place: float) -> None:
    """One end of a chain held at a place: as the chain without it, pulled by the spring."""
    n, C = 5, 0.1
    M, K = np.linspace(1, 2, n), springs(n)
    x0 = np.array([place, 1.0, 0.0, -1.0, place])
    load = np.arange(5.0)
    call: dict[str, Any] = {"mass": M, "t_span": (0, 2), "x0": x0, "dt": 0.1, "fixed": [0, -1], "dense_output": True}
    if how == "force":
        call["force"] = lambda t, x, v: load - C * v - K @ x
    else:
        call |= {"damping": C, "stiffness": scipy.sparse.csr_array(K) if how == "sparse" else K}
        call["load"] = (lambda t: load) if how == "function" else load
    s = mflow.solve_dynamics(**call)
    pull = load[1:4] + np.array([place, 0.0, place])
    free = mflow.solve_dynamics(M[1:4], C, K[1:4, 1:4], pull, (0, 2), x0=x0[1:4], dt=0.1)
    np.testing.assert_allclose(s.x[1:4], free.x, atol=1e-12)
    assert np.all(s.x[[0, 4]] == place)
    assert np.all(s.v[[0, 4]] == 0.0)
    np.testing.assert_allclose(s.sol(2.0), s.x[:, -1], atol=1e-14)
    assert abs(s.energy.residual[-1]) < 1e-12


def test_events_and_callbacks_see_the_whole_state() -> None:
    seen = []

    def crossing(t: float, x: Array, v: Array) -> float:
        assert x.shape == v.shape == (3,)
        assert v[0] == 0.0
        return float(x[1])

    crossing.terminal = True  # type: ignore[attr-defined]
    s = mflow.solve_dynamics(stiffness=np.ones(3), t_span=(0, 9), x0=[2.0, 1.0, 3.0], dt=0.01, fixed=[0], events=crossing,
                             callback=lambda t, x, v: seen.append((t, x, v)))  # fmt: skip
    assert s.reason == "event"
    assert s.t[-1] == pytest.approx(math.pi / 2, abs=1e-4)
    assert s.x_events[0].shape == (1, 3)
    assert s.x_events[0][0, 0] == 2.0
    assert s.v_events[0][0].tolist() == s.v[:, -1].tolist()
    assert np.abs(s.energy.residual).max() < 1e-14  # no step ended there, and yet it closes
    assert seen[0][1].tolist() == s.x[:, 1].tolist()
    assert seen[0][2][0] == 0.0


# ---- output --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [{"dt": 0.05}, {"rtol": 1e-6}])
def test_outputs_agree(more: dict[str, Any]) -> None:
    call: dict[str, Any] = {"stiffness": springs(4), "t_span": (0, 3), "x0": np.arange(4.0).reshape(2, 2), **more}
    everything = mflow.solve_dynamics(**call, dense_output=True)
    assert everything.x.shape == (2, 2, len(everything.t))
    last = mflow.solve_dynamics(**call, save="last")
    assert last.x[..., -1].tobytes() == everything.x[..., -1].tobytes()
    assert last.energy.numerical[-1] == everything.energy.numerical[-1]
    times = np.array([0.0, 0.333, 1.0, 2.71, 3.0])
    at = mflow.solve_dynamics(**call, t_eval=times)
    both = mflow.solve_dynamics(**call, t_eval=times, dense_output=True)
    for name in ("x", "v", "a"):
        np.testing.assert_allclose(at[name], both[name], rtol=0, atol=1e-14)
    np.testing.assert_allclose(at.x, everything.sol(times), rtol=0, atol=1e-14)
    np.testing.assert_allclose(at.v, everything.sol_v(times), rtol=0, atol=1e-14)
    some = mflow.solve_dynamics(**call, save_every=7)
    np.testing.assert_array_equal(some.x[..., 1], everything.x[..., 7])
    assert some.energy.potential[1] == everything.energy.potential[7]


def test_many_rows_keep_their_energies() -> None:
    """More steps than the first chunk holds, of a run whose length is not known before."""
    s = mflow.solve_dynamics(stiffness=1.0, damping=0.01, t_span=(0, 20), x0=[1.0], rtol=1e-7, atol=1e-9)
    assert s.nsteps > 1000
    np.testing.assert_allclose(s.energy.kinetic, s.v[0] ** 2 / 2, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(s.energy.potential, s.x[0] ** 2 / 2, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("beta", [0.0, 1 / 6, 0.25, 0.5])
@pytest.mark.parametrize("gamma", [0.5, 0.6])
def test_energy_ledger(beta: float, gamma: float) -> None:
    """Closes to 1e-14 of what went through it over 2000 steps; the columns against sums over the saved states."""
    M, K = np.linspace(1, 2, 6), springs(6)
    s = mflow.solve_dynamics(M, None, K, np.ones(6), (0, 100), x0=np.arange(6.0), method=mflow.Newmark(beta, gamma), dt=0.05,
                             rayleigh=(0.02, 0.01))  # fmt: skip
    e, C = s.energy, 0.02 * np.diag(M) + 0.01 * K
    assert s.nsteps == 2000
    assert np.abs(e.residual).max() <= 1e-14 * max(np.abs(e[name]).max() for name in e)
    np.testing.assert_allclose(e.load, np.sum(s.x, axis=0) - np.sum(s.x[:, 0]), rtol=1e-10, atol=1e-10)
    mean, dx = 0.5 * (s.v[:, 1:] + s.v[:, :-1]), np.diff(s.x)
    np.testing.assert_allclose(e.damping[1:], np.cumsum(np.sum(dx * (C @ mean), axis=0)), rtol=1e-10)
    if gamma == 0.5:
        assert np.abs(e.numerical).max() < 0.02 * e.kinetic.max()
    else:
        assert e.numerical[-1] < 0.0


def test_no_ledger_where_there_is_none() -> None:
    K = [[2.0, 0.5], [0.0, 1.0]]
    with pytest.warns(UserWarning, match="stiffness: it differs from its transpose.*energy=False"):
        assert mflow.solve_dynamics(stiffness=K, t_span=(0, 1), x0=[1, 1], dt=0.1).energy is None
    assert mflow.solve_dynamics(stiffness=K, t_span=(0, 1), x0=[1, 1], dt=0.1, energy=False).energy is None
    with pytest.raises(ValueError, match="energy: the stiffness is not symmetric"):
        mflow.solve_dynamics(stiffness=K, t_span=(0, 1), x0=[1, 1], dt=0.1, energy=True)
    s = mflow.solve_dynamics(stiffness=1.0, t_span=(0, 1), x0=[1.0], method=mflow.HHT(load="shifted"), dt=0.1)
    assert np.all(np.isnan(s.energy.numerical))


# ---- forces --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", [None, "newton_krylov", "fixed_point", mflow.Newton(full=True)])
def test_a_pendulum(solver: Any) -> None:
    def force(t: float, x: Array, v: Array) -> Array:
        return -np.sin(x) - 0.1 * v

    s = mflow.solve_dynamics(force=force, t_span=(0, 5), x0=[1.0], dt=0.005, solver=solver)
    r = mflow.solve_ivp(mflow.first_order_system(force, 2), (0, 5), [1.0, 0.0], rtol=1e-11, atol=1e-12)
    assert [s.x[0, -1], s.v[0, -1]] == pytest.approx(r.y[:, -1], abs=1e-5)
    np.testing.assert_allclose(s.a, force(0.0, s.x, s.v), atol=1e-12)
    assert abs(s.energy.residual[-1]) < 1e-13


def test_tangents_and_potential() -> None:
    more = {"dfdx": lambda t, x, v: np.diag(-3 * x**2), "potential": lambda x: np.sum(x**4) / 4}
    s = mflow.solve_dynamics(2.0, force=lambda t, x, v: -(x**3), t_span=(0, 20), x0=[1.0, 0.5], dt=0.02, **more)
    total = s.energy.kinetic + s.energy.potential
    assert np.abs(total / total[0] - 1).max() < 1e-3
    assert s.njev >= 1


def test_an_exception_brings_what_was_before() -> None:
    def fails(t: float, x: Array, v: Array) -> Array:
        if t > 0.55:
            raise KeyError("no more")
        return -x

    with pytest.raises(KeyError, match="no more") as caught:
        mflow.solve_dynamics(force=fails, t_span=(0, 1), x0=[1.0], method="leapfrog", dt=0.1)
    partial = caught.value.partial_result  # type: ignore[attr-defined]
    assert partial.t[-1] == pytest.approx(0.5)
    assert partial.x.shape == (1, 6)


def test_force_not_finite_at_the_start() -> None:
    s = mflow.solve_dynamics(
        force=lambda t, x, v: x / 0.0 if x[0] else np.array([np.nan]), t_span=(0, 1), x0=[0.0], method="leapfrog", dt=0.1
    )
    assert (s.status, s.reason) == (-1, "non_finite")
    assert s.x.shape == (1, 1)


def test_max_steps() -> None:
    s = mflow.solve_dynamics(stiffness=1.0, t_span=(0, 1), x0=[1.0], dt=0.1, max_steps=4)
    assert (s.status, s.reason, s.nsteps) == (-1, "max_steps", 4)


# ---- stability -----------------------------------------------------------------------------------------------------------------------


def limit_of(name: str, par: dict[str, Any], z: float) -> float:
    """The limit on omega dt by METHODS' closed forms."""
    root = math.sqrt(1 + z * z)
    if name == "symplectic_euler":
        return 2 * root + (2 * z if par["damping"] == "implicit" else -2 * z)
    if name == "forward_euler_system":
        return 2 * z
    if name == "constant_acceleration":
        return min(4 * z, 1 / z) if z else 0.0
    if name == "newmark":
        d = par["gamma"] / 2 - par["beta"]
        g = par["gamma"] - 0.5
        return (z * g + math.sqrt(d + z * z * g * g)) / d if d > 0 else math.inf
    if name == "staggered" and par["damping"] == "backward_euler":
        return z + math.sqrt(z * z + 2)
    return math.inf if name in ("hht", "generalized_alpha") else 2.0


LIMITS = [("symplectic_euler", {"damping": d}) for d in ("implicit", "explicit")]
LIMITS += [("newmark", {"beta": b, "gamma": g}) for b, g in itertools.product((0.0, 1 / 6, 0.25), (0.5, 0.7))]
LIMITS += [("staggered", {"damping": d}) for d in ("trapezoidal", "backward_euler")]
LIMITS += [(name, {}) for name in ("forward_euler_system", "constant_acceleration", "central_difference", "hht", "generalized_alpha")]


@pytest.mark.parametrize(("name", "par"), LIMITS)
@pytest.mark.parametrize("z", [0.0, 0.01, 0.3])
def test_stability_limit(name: str, par: dict[str, Any], z: float) -> None:
    assert mflow.stability_limit(name, axis="frequency", zeta=z, **par) == pytest.approx(limit_of(name, par, z), rel=1e-6)


def test_amplification() -> None:
    """Average acceleration of an undamped oscillator turns the phase by 2 arctan(omega dt/2), and keeps its size."""
    A = mflow.amplification("newmark", omega_dt=[[0.5, 1.0, 20.0]])
    assert A.shape[:2] == (1, 3)
    for matrix, w in zip(A[0], (0.5, 1.0, 20.0), strict=True):
        values = np.linalg.eigvals(matrix)
        turned = values[np.argmax(values.imag)]
        assert abs(turned) == pytest.approx(1.0, abs=1e-13)
        assert np.angle(turned) == pytest.approx(2 * math.atan(w / 2), abs=1e-12)
    radius = np.abs(np.linalg.eigvals(mflow.amplification("generalized_alpha", omega_dt=1e6, rho_inf=0.6))).max()
    assert radius == pytest.approx(0.6, abs=1e-4)


@pytest.mark.parametrize("n", [1, 5, 30, 450, 3000])
@pytest.mark.parametrize("stored", ["dense", "sparse"])
def test_max_stable_dt_of_a_chain(n: int, stored: str) -> None:
    if stored == "dense" and n > 1000:
        pytest.skip("too large")
    K: Any = scipy.sparse.diags_array([-np.ones(n - 1), 2 * np.ones(n), -np.ones(n - 1)], offsets=[-1, 0, 1]).tocsr()
    K = K.toarray() if stored == "dense" else K
    dt = 2 / (2 * math.sin(math.pi * n / 2 / (n + 1)))
    assert mflow.max_stable_dt("central_difference", stiffness=K) == pytest.approx(dt, rel=1e-3)


@pytest.mark.parametrize("name", ["symplectic_euler", "forward_euler_system", "constant_acceleration", "staggered"])
@pytest.mark.parametrize("damping", ["rayleigh", "uneven"])
def test_max_stable_dt_against_what_happens(name: str, damping: str) -> None:
    """Within one per cent of the blow-up, with damping that modes share and with damping that they do not."""
    n = 6
    M, K = np.linspace(1, 2, n), springs(n)
    C = 0.1 * np.diag(M) + 0.2 * K if damping == "rayleigh" else np.diag(np.linspace(0.2, 1.0, n))
    limit = mflow.max_stable_dt(name, mass=M, stiffness=K, damping=C)
    assert 0.0 < limit < math.inf
    for factor, stable in ((0.99, True), (1.01, False)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            dt = factor * limit
            s = mflow.solve_dynamics(
                M, C, K, t_span=(0, 60_000 * dt), x0=np.cos(np.arange(n)), method=name, dt=dt, save="last", energy=False
            )
        assert (s.success and np.abs(s.x[:, -1]).max() < 10) == stable


@pytest.mark.parametrize("size", [1e-290, 1e-200, 1e200])
def test_a_swing_of_any_size_is_seen(size: float) -> None:
    """The squares of these numbers are 0 or infinite."""
    with pytest.warns(RuntimeWarning, match="stable, not accurate ones: .* with a period of about 0.6"):
        mflow.solve_dynamics(stiffness=100.0, x0=[size], t_span=(0, 50), dt="auto", method="leapfrog")


@pytest.mark.parametrize("stiffness", [[], 1.0, np.zeros((0, 0))])
def test_a_structure_of_nothing(stiffness: Any) -> None:
    r = mflow.solve_dynamics(mass=2.0, stiffness=stiffness, x0=[], t_span=(0, 1), dt=0.1)
    assert (r.reason, r.x.shape) == ("finished", (0, 11))


def test_a_step_past_the_limit_is_warned_of_and_explained() -> None:
    call: dict[str, Any] = {"mass": 1.0, "stiffness": springs(4), "t_span": (0, 5000), "x0": np.ones(4), "method": "leapfrog"}
    with pytest.warns(
        RuntimeWarning, match="dt = 1.2 exceeds the stability limit 1.051 of velocity_verlet for the largest frequency 1.902"
    ):
        s = mflow.solve_dynamics(**call, dt=1.2)
    assert s.reason == "non_finite"
    assert "exceeds the stability limit 1.051" in s.message
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mflow.solve_dynamics(**call, dt=1.05)
        mflow.solve_dynamics(**{**call, "method": "newmark"}, dt=50.0)
    with pytest.warns(RuntimeWarning, match="stable, not accurate ones: .* there are 9.4 steps in each"):
        assert mflow.solve_dynamics(**call, dt="auto").nsteps == math.ceil(5000 / (0.9 * 2 / (2 * math.sin(0.4 * math.pi))))


def test_a_force_past_the_limit_is_explained() -> None:
    with np.errstate(over="ignore"), pytest.warns(RuntimeWarning, match="exceeds the stability limit 0.6667"):
        s = mflow.solve_dynamics(force=lambda t, x, v: -9.0 * x, t_span=(0, 1000), x0=[1.0], method="leapfrog", dt=1.0)
    assert s.reason == "non_finite"
    assert "exceeds the stability limit 0.6667 of velocity_verlet" in s.message


# ---- bad input -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"mass": [1.0, -1.0]}, ValueError, "mass: .*, got -1 at degree of freedom 1"),
        ({"mass": [1.0, -2.0]}, ValueError, "mass: .*, got -2 at degree of freedom 1 .*fixed="),
        ({"mass": [[1.0, 2.0], [2.0, 1.0]]}, ValueError, "mass: expected a positive definite matrix"),
        ({"mass": [[1.0, 0.5], [0.0, 1.0]]}, ValueError, "mass: expected a symmetric matrix"),
        ({"mass": [1.0, 2.0, 3.0]}, ValueError, r"mass: expected .* for 2 degrees of freedom, got shape \(3,\)"),
        ({"mass": ["a", "b"]}, TypeError, "mass: expected real numbers"),
        ({"stiffness": np.ones((2, 3))}, ValueError, r"stiffness: expected .*, got shape \(2, 3\)"),
        ({"damping": [1.0, math.nan]}, ValueError, "damping: expected finite numbers, got an entry that is not"),
        ({"load": [1.0, 2.0, 3.0]}, ValueError, r"load: .*, got shape \(3,\)"),
        ({"load": lambda t: np.zeros(3)}, ValueError, r"load: expected a function that returns .*, got shape \(3,\)"),
        ({"load": lambda t: np.zeros(3), "fixed": 0}, ValueError, r"load returned shape \(3,\)"),
        ({"load": ([0.0, 1.0], np.zeros((2, 3)))}, ValueError, r"load: .*shape \(2, 2\) in a table of 2 times .*, got shape \(2, 3\)"),
        ({"load": ([1.0, 0.0], np.zeros((2, 2)))}, ValueError, "load: expected two or more finite times"),
        ({"v0": [1.0]}, ValueError, r"v0: .* x0's shape \(2,\), got shape \(1,\)"),
        ({"v0": [1.0, 2.0], "fixed": [1]}, ValueError, r"v0: expected 0 .*, got 2\.0 at degree of freedom 1"),
        ({"x0": [1.0, math.inf]}, ValueError, "x0: .*, got inf in entry 1"),
        ({"fixed": [2]}, ValueError, r"fixed: .*from 0 to 1.*, got \[2\]"),
        ({"rayleigh": 3}, ValueError, "rayleigh: expected two numbers .*, got 3"),
        ({"stiffness": None}, ValueError, "nothing acts on the masses"),
        ({"stiffness": None, "rayleigh": (0.1, 0.2)}, ValueError, "rayleigh: expected b = 0 without a stiffness"),
        ({"dfdx": np.eye(2)}, ValueError, "dfdx: it belongs to a nonlinear force"),
        ({"t_span": None}, TypeError, "t_span is missing"),
        ({"method": "rk4"}, ValueError, "rk4 is no method for M x'' = F"),
        ({"dt": None, "method": "staggered"}, ValueError, "dt: expected the size of the fixed steps of"),
        ({"rtol": 1e-3}, ValueError, "give one of them"),
        ({"method": "newmark", "bets": 1}, TypeError, "bets"),
    ],
)
def test_bad_input(given: dict[str, Any], error: type[Exception], words: str) -> None:
    call: dict[str, Any] = {"stiffness": 1.0, "t_span": (0, 1), "x0": [1.0, 2.0], "dt": 0.1}
    with pytest.raises(error, match=words):
        mflow.solve_dynamics(**{**call, **given})


@pytest.mark.filterwarnings("ignore:.*exceeds the stability limit:RuntimeWarning")  # of what grows by itself
def test_singular_effective_stiffness() -> None:
    s = mflow.solve_dynamics(1.0, None, [1.0, -4.0], t_span=(0, 5), x0=[1.0, 1.0], dt=1.0)
    assert (s.status, s.reason) == (-1, "solve_failed")
    assert "singular" in s.message
    assert "row 1" in s.message


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mflow.stability_limit("newmark", axis="real"), r"axis \(of newmark\): expected 'frequency', got 'real'"),
        (lambda: mflow.stability_limit("rk4", zeta=0.1), "zeta: expected a second-order method, got rk4"),
        (lambda: mflow.amplification("newmark", 1.0), "expected omega_dt= "),
        (lambda: mflow.amplification("rk4", omega_dt=1.0), "omega_dt: expected a second-order method, got rk4"),
        (lambda: mflow.max_stable_dt("newmark", jac=[[1.0]]), "jac, eigenvalues: newmark steps M x'' = F: give stiffness= "),
        (lambda: mflow.max_stable_dt("rk4", stiffness=1.0), "fixed: expected a second-order method, got rk4"),
        (lambda: mflow.solve_ivp(lambda t, y: y, (0, 1), [1.0], "newmark", dt=0.1), "mflow.solve_dynamics takes it"),
    ],
)
def test_wrong_doors(call: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()


# ---- an ODE of order k ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("shape", [(), (2,), (2, 3)])
def test_first_order_system(order: int, shape: tuple[int, ...]) -> None:
    """x^(k) = (-1)^k x with x = exp(-t)."""
    f = mflow.first_order_system(lambda t, x, *more: (-1) ** order * x, order)
    ones = np.ones(shape)
    y0 = np.array([(-1) ** k * ones for k in range(order)])
    y0 = y0.reshape(order, *shape) if len(shape) > 1 else y0.ravel()
    r = mflow.solve_ivp(f, (0, 1), y0, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(r.y[..., -1], y0 * math.exp(-1), rtol=1e-8)


def test_first_order_system_refuses() -> None:
    with pytest.raises(ValueError, match="order: expected a whole number of at least 1, got 0"):
        mflow.first_order_system(lambda t, x: x, 0)
    with pytest.raises(TypeError, match="fun: expected a function"):
        mflow.first_order_system(3, 2)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"y: .*, got shape \(3,\)"):
        mflow.first_order_system(lambda t, x, v: x, 2)(0.0, np.zeros(3))
    with pytest.raises(ValueError, match=r"fun: .*, got shape \(3,\)"):
        mflow.first_order_system(lambda t, x, v: np.zeros(3), 2)(0.0, np.zeros(4))


# ---- optimization as dynamics --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [m.name for m in mflow.methods() if "second_order" in m.flags])
@pytest.mark.filterwarnings("ignore:solve_dynamics. .* is of first order where forces:RuntimeWarning")
def test_minimize_by_motion(name: str) -> None:
    H, b = np.array([[3.0, 1.0], [1.0, 2.0]]), np.array([1.0, -1.0])
    res = mflow.minimize(
        lambda x: (0.5 * x @ H @ x - b @ x, H @ x - b), np.zeros(2), jac=True, method=name, dt=0.1, friction=2.0, gtol=1e-9
    )
    assert res.reason == "converged"
    np.testing.assert_allclose(res.x, np.linalg.solve(H, b), atol=1e-8)
    s = mflow.solve_dynamics(stiffness=H, damping=2.0, load=b, t_span=(0, 0.1 * res.nit), x0=np.zeros(2), method=name, dt=0.1)
    np.testing.assert_allclose(res.x, s.x[:, -1], atol=1e-12)


def test_minimize_past_the_limit_says_so() -> None:
    def cost(x: Array) -> Any:
        with np.errstate(over="ignore"):
            return 50 * x @ x, 100 * x

    res = mflow.minimize(cost, np.ones(2), jac=True, method="leapfrog", dt=0.5, friction=0.1, maxiter=100_000)
    assert res.reason == "diverged"
    assert "exceeds the stability limit" in res.message


def test_minimize_without_friction_warns() -> None:
    with pytest.warns(UserWarning, match="friction = 0 keeps its energy"):
        res = mflow.minimize(lambda x: (x @ x, 2 * x), np.ones(2), jac=True, method="leapfrog", dt=0.1, friction=0.0, maxiter=50)
    assert res.reason == "max_iter"
    with pytest.raises(ValueError, match=r"friction: expected .* of at least 0, got -1"):
        mflow.minimize(lambda x: (x @ x, 2 * x), np.ones(2), jac=True, method="leapfrog", dt=0.1, friction=-1)
