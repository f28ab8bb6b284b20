"""Limits of the step in second order against the blow-up that is observed; warnings before it; tolerances of the velocity."""

from __future__ import annotations

import math
import pickle
import warnings
from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
import scipy.sparse

import mflow
from mflow.spectra.definite import falls_below
from support.motion import settings
from support.small_cases import for_all

Array = np.ndarray

METHODS = [(method.name, par) for method in mflow.methods(family="second_order") for par in settings(method.record)]
DAMPINGS = ["none", "rayleigh", "diagonal", "uneven"]


def structure_of(damping: str, seed: int, n: int = 4) -> tuple[Array, Any, Array]:
    """A random structure: dense, all matrices positive definite."""
    rng = np.random.default_rng(seed)
    M, K, C = (B @ B.T + n * shift * np.eye(n) for B, shift in zip(rng.standard_normal((3, n, n)), (1.0, 0.2, 0.2), strict=True))
    if damping == "none":
        return M, None, K
    if damping == "rayleigh":
        return M, 0.05 * M + 0.08 * K, K
    return M, np.diag(rng.uniform(0.05, 2.0, n)) if damping == "diagonal" else 0.3 * C, K


def grows(method: Any, matrices: tuple[Any, Any, Any], dt: float, steps: int = 3000) -> bool:
    """Whether the second half of a run leaves the first half behind."""
    M, C, K = matrices
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        s = mflow.solve_dynamics(M, C, K, t_span=(0, steps * dt), x0=np.cos(np.arange(4.0)), v0=np.sin(np.arange(4.0)), method=method,
                                 dt=dt, energy=False, save_every=10)  # fmt: skip
    if not s.success:
        return True
    size = np.abs(s.x).max(axis=0) + dt * np.abs(s.v).max(axis=0)
    return bool(size[len(size) // 2 :].max() > 2.0 * size[: len(size) // 2].max())


@pytest.mark.parametrize(("name", "par"), METHODS)
@for_all("damping", DAMPINGS)
def test_max_stable_dt_is_where_it_blows_up(name: str, par: dict[str, Any], damping: str) -> None:
    """Within one per cent, for each method, its choices and each kind of damping."""
    words = {p.name: p.choices for p in mflow.get_method(name).parameters_ if p.choices}
    par = {key: words[key][int(value)] if key in words else value for key, value in par.items()}
    matrices = structure_of(damping, seed=len(name) + DAMPINGS.index(damping))
    method = type(mflow.get_method(name))(**par)
    limit = mflow.max_stable_dt(method, mass=matrices[0], damping=matrices[1], stiffness=matrices[2])
    if method.record.stages > 1 and limit < math.inf:  # beyond it some grow too slowly to be seen: see test_higher_order.py
        assert limit == 0.0 or not grows(method, matrices, 0.99 * limit, 1000)
    elif limit == 0.0:
        assert grows(method, matrices, 0.02, 60_000)
    elif limit == math.inf:
        assert not grows(method, matrices, 1e3)
    else:
        assert not grows(method, matrices, 0.99 * limit)
        assert grows(method, matrices, 1.01 * limit) or grows(method, matrices, 1.01 * limit, 60_000)  # slow modes grow slowly


@pytest.mark.parametrize("name", ["leapfrog", "staggered", "symplectic_euler", "forward_euler_system"])
def test_limits_of_sparse_matrices_are_those_of_dense_ones(name: str) -> None:
    M, C, K = structure_of("uneven", seed=3)
    dense = mflow.max_stable_dt(name, mass=M, damping=C, stiffness=K)
    sparse = mflow.max_stable_dt(
        name, mass=scipy.sparse.csr_array(M), damping=scipy.sparse.csc_array(C), stiffness=scipy.sparse.coo_array(K)
    )
    assert sparse == pytest.approx(dense, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "par"), [("symplectic_euler", {}), ("staggered", {"damping": "backward_euler"}), ("leapfrog", {"damping": "explicit"})]
)
def test_many_masses_with_uneven_damping(name: str, par: dict[str, Any]) -> None:
    """Against the spectral radius of the whole step, which is too large to be taken apart by the library itself."""
    from mflow_core.dynamics import structure
    from mflow_core.stepping import probe

    n, rng = 64, np.random.default_rng(5)
    M, C, K = rng.uniform(1, 2, n), np.diag(rng.uniform(0.0, 2.0, n)), 2.0 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    method = type(mflow.get_method(name))(**par)
    limit = mflow.max_stable_dt(method, mass=M, damping=C, stiffness=K)
    radii = [
        np.abs(np.linalg.eigvals(probe.system_matrix(method.record, method.numbers, structure.Structure(n, M, C, K), factor * limit))).max()
        for factor in (0.99, 1.01)
    ]
    assert radii[0] <= 1.0 + 1e-6
    assert radii[1] > 1.0 + 1e-6


def test_the_worst_of_many_single_masses() -> None:
    """The mode that sets the limit is extreme neither in frequency nor in damping."""
    rng = np.random.default_rng(0)
    k, zeta = rng.uniform(0.5, 100.0, 20_000), rng.uniform(0.0, 0.05, 20_000)
    k[777], zeta[777] = 60.0, 1.5
    limits = np.array([2.0 * (math.sqrt(1 + z * z) - z) for z in zeta]) / np.sqrt(k)  # symplectic Euler with explicit damping
    assert np.argmin(limits) == 777
    largest = mflow.max_stable_dt("symplectic_euler", stiffness=k, damping=2 * zeta * np.sqrt(k))
    assert largest == pytest.approx(limits.min(), rel=1e-2)


@pytest.mark.parametrize(
    ("mass", "words"),
    [
        ([0.0, 0.0], "mass: expected a mass above 0 at every degree of freedom, got 0 at 0"),
        ([1.0, -2.0], "mass: expected a mass above 0 at every degree of freedom, got -2 at 1"),
        ([[1.0, 0.5], [0.0, 1.0]], "mass: expected a symmetric matrix"),
        (scipy.sparse.csr_array([[1.0, 0.5], [0.0, 1.0]]), "mass: expected a symmetric matrix"),
        ([[1.0, 2.0], [2.0, 1.0]], "mass: expected a positive definite matrix"),
    ],
)
def test_masses_that_are_none(mass: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        mflow.max_stable_dt("leapfrog", mass=mass, stiffness=np.eye(2))


def test_the_damping_of_a_method_is_no_matrix() -> None:
    with pytest.raises(TypeError, match="give the method's own damping to an instance"):
        mflow.max_stable_dt("staggered", stiffness=1.0, damping="backward_euler")


# ---- warnings ------------------------------------------------------------------------------------------------------------------------


def chain(t: float, x: Array, v: Array) -> Array:
    a = -2.0 * x - 0.3 * x**3
    a[1:] += x[:-1]
    a[:-1] += x[1:]
    return a


@pytest.mark.parametrize("n", [1, 5, 500])
def test_a_nonlinear_force_is_warned_of_before_it_is_run(n: int) -> None:
    """The limit is known to two per cent, from a few tens of calls."""
    limit = 2.0 / math.sqrt(4.0 * math.sin(math.pi * n / (2 * (n + 1))) ** 2)
    call: dict[str, Any] = {"force": chain, "x0": np.zeros(n), "velocity_free": True}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        s = mflow.solve_dynamics(**call, method="leapfrog", dt=0.98 * limit, t_span=(0, 10 * 0.98 * limit))
        assert s.nfev <= 11 + 25
        mflow.solve_dynamics(**call, method="newmark", dt=50 * limit, t_span=(0, 50 * limit))
    seen = []

    def watch(t: float, x: Array, v: Array) -> Array:
        seen.append(t)
        return chain(t, x, v)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(
            RuntimeWarning, match=r"exceeds the stability limit .* of velocity_verlet for the largest frequency .* at the start"
        ):
            mflow.solve_dynamics(**{**call, "force": watch}, method="leapfrog", dt=1.02 * limit, t_span=(0, 10 * limit))
    assert set(seen) == {0.0}
    assert len(seen) <= 25


def test_what_grows_by_itself_is_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mflow.solve_dynamics(force=lambda t, x, v: 9.0 * x + 0.1 * v, x0=[1e-3], t_span=(0, 1), method="leapfrog", dt=0.5)
        mflow.solve_dynamics(stiffness=-9.0, x0=[1e-3], t_span=(0, 1), method="leapfrog", dt=0.5)


@pytest.mark.parametrize("K", [[-9.0, 1.0], [[-4.0, 5.0], [5.0, -4.0]]])  # both have the eigenvalues -9 and 1
def test_newmark_past_the_step_with_which_it_overtakes_what_buckles(K: Any) -> None:
    """The factor of a step of 1 is (1 + 1.5)/(1 - 1.5) = -5, where the solution grows by e^3."""
    call: dict[str, Any] = {"mass": [1.0, 1.0], "stiffness": K, "x0": [1.0, -1.0], "v0": [3.0, -3.0], "method": "newmark"}
    with pytest.warns(RuntimeWarning, match="exceeds the stability limit 0.4736 of newmark for what grows by itself at the rate 3"):
        s = mflow.solve_dynamics(**call, t_span=(0, 5), dt=1.0)
    assert "exceeds the stability limit" in s.message
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        s = mflow.solve_dynamics(**call, t_span=(0, 5), dt=0.01)
    assert s.x[0, -1] == pytest.approx(math.exp(15.0), rel=1e-2)


def test_newmark_past_the_step_with_which_it_overtakes_what_buckles_among_many() -> None:
    """A chain on a bed that pushes: the least eigenvalue is 2000 (1 - cos(pi/(n + 1))) - 9; beyond 400 masses nothing was said."""
    n = 401
    chain = 1e3 * (2.0 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1))
    call: dict[str, Any] = {"x0": np.ones(n), "method": "newmark", "mass": np.full(n, 2.0), "t_span": (0, 3)}
    rate = math.sqrt((9.0 - 2e3 * (1.0 - math.cos(math.pi / (n + 1)))) / 2.0)
    with pytest.warns(
        RuntimeWarning, match=rf"stability limit {1.4208 / rate:.4g} of newmark for what grows by itself at the rate {rate:.4g}"
    ):
        mflow.solve_dynamics(**call, stiffness=scipy.sparse.csr_array(chain - 9.0 * np.eye(n)), dt=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mflow.solve_dynamics(**call, stiffness=scipy.sparse.csr_array(chain - 9.0 * np.eye(n)), dt=0.1)
        mflow.solve_dynamics(
            **call, stiffness=scipy.sparse.csr_array(chain @ chain - 1e-3 * np.eye(n)), dt=1.0
        )  # soft, not dominated by its diagonal


def test_the_least_eigenvalue_below_a_level() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        B, M = rng.normal(size=(9, 9)), rng.uniform(0.5, 2.0, 9)
        K = B + B.T
        values, vectors = scipy.linalg.eigh(K, np.diag(M))
        for kind in (np.array, scipy.sparse.csr_array):
            u = falls_below(M, kind(K), 0.9 * values[0])
            assert u is not None
            assert abs(u @ (M * vectors[:, 0])) / math.sqrt(u @ (M * u)) == pytest.approx(1.0, abs=1e-6)
            assert falls_below(M, kind(K), 1.1 * values[0]) is None


@pytest.mark.parametrize("K", [[1.0, 0.0], [[1.0, -1.0], [-1.0, 1.0]]])
def test_newmark_on_a_structure_that_is_free_to_move_has_no_limit(K: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert mflow.solve_dynamics(stiffness=K, x0=[1.0, -1.0], t_span=(0, 90), method="newmark", dt=30.0).success


@pytest.mark.filterwarnings("ignore:solve_dynamics")
def test_a_step_whose_square_overflows_is_looked_at_all_the_same() -> None:
    s = mflow.solve_dynamics(mass=1e112, damping=-7.0, stiffness=16.0, x0=[-8.0], t_span=(0, 1e299), dt=1e299, method="newmark")
    assert s.reason


def test_many_masses_with_a_stiffness_that_is_not_symmetric() -> None:
    """Toeplitz, tridiagonal: its eigenvalues are 4 + 2 sqrt(b c) cos(k pi / (n + 1))."""
    n, below, above = 450, -1.2, -0.8
    K = scipy.sparse.diags_array([np.full(n - 1, below), np.full(n, 4.0), np.full(n - 1, above)], offsets=[-1, 0, 1]).tocsr()
    top = 4.0 + 2.0 * math.sqrt(below * above) * math.cos(math.pi / (n + 1))
    assert mflow.max_stable_dt("central_difference", stiffness=K) == pytest.approx(2.0 / math.sqrt(top), rel=0.01)


def test_a_structure_that_grows_by_itself_has_the_limit_of_what_swings() -> None:
    """A buckled spring, and damping that is no a M + b K, so that the structure is looked at as a whole."""
    K, C = np.diag([-0.01, 4.0, 1.0]), np.array([[0.1, 0.02, 0.0], [0.02, 0.0, 0.0], [0.0, 0.0, 0.3]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        s = mflow.solve_dynamics(damping=C, stiffness=K, x0=[1e-3, 1.0, 1.0], t_span=(0, 9), method="central_difference", dt=0.9)
    assert s.success
    limit = mflow.max_stable_dt("central_difference", damping=C, stiffness=K)
    assert limit == pytest.approx(2.0 / 2.0, rel=0.02)
    with pytest.warns(RuntimeWarning, match="exceeds the stability limit"):
        mflow.solve_dynamics(damping=C, stiffness=K, x0=[1e-3, 1.0, 1.0], t_span=(0, 5), method="central_difference", dt=1.1)


def test_many_masses_that_grow_by_themselves() -> None:
    """The limit is on the safe side of the undamped one, and not that of the growth."""
    n = 120
    K = 2.0 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    K[0, 0] = -3.0
    C = np.diag(np.linspace(0.1, 0.5, n) ** 2)
    undamped = 2.0 / math.sqrt(np.linalg.eigvalsh(K)[-1])
    assert 0.8 * undamped < mflow.max_stable_dt("central_difference", damping=C, stiffness=K) <= 1.001 * undamped


def test_a_force_that_fails_near_the_start_is_run_all_the_same() -> None:
    def narrow(t: float, x: Array, v: Array) -> Array:
        if t == 0.0 and x[0] != 1.0:
            raise ValueError("not here")
        return -x

    assert mflow.solve_dynamics(force=narrow, x0=[1.0], t_span=(0, 1), method="leapfrog", dt=0.1).success


# ---- tolerances of the velocity ------------------------------------------------------------------------------------------------------


def oscillators(t: float, y: Array) -> Array:
    return np.concatenate([y[2:], -np.array([1.0, 400.0]) * np.sin(y[:2])])


@pytest.mark.parametrize("beta", [0.0, 1 / 12, 1 / 6, 0.25])
@pytest.mark.parametrize("gamma", [0.5, 0.6])
def test_each_tolerance_is_kept(beta: float, gamma: float) -> None:
    """Against SciPy at 1e-12: the error of v follows rtol_v and atol_v, and where v is left out that of x follows rtol and atol."""
    reference = scipy.integrate.solve_ivp(
        oscillators, (0, 2), [1.0, 0.1, 0.0, 0.0], "DOP853", rtol=1e-12, atol=1e-13, dense_output=True
    ).sol
    call: dict[str, Any] = {"force": lambda t, x, v: -np.array([1.0, 400.0]) * np.sin(x), "t_span": (0, 2), "x0": [1.0, 0.1]}
    method, largest = mflow.Newmark(beta, gamma), []
    for more in (
        {"rtol": 1e-4, "atol": 1e-4, "atol_v": math.inf},
        {"rtol": 1e-5, "atol": 1e-5, "atol_v": math.inf},
        {"rtol": 1e-3, "atol": 1e3, "rtol_v": 1e-3, "atol_v": 1e-3},
        {"rtol": 1e-3, "atol": 1e3, "rtol_v": 1e-4, "atol_v": 1e-4},
    ):
        s = mflow.solve_dynamics(**call, method=method, **more)
        error = np.abs(np.concatenate([s.x, s.v]) - reference(s.t))
        largest.append((error[:2].max(), error[2:].max(), s.nsteps))
    power = 2 / 3 if gamma == 0.5 else 1 / 2  # of the tolerance: global errors under local control
    for k, which in ((0, 0), (2, 1)):
        # At beta = 1/6 the local error of x loses its leading term: alone it says little about what v does to x later.
        assert largest[k + 1][which] < largest[k][which] * (0.8 if which == 0 and beta == 1 / 6 else 10.0 ** (-power + 0.25))
        assert largest[k + 1][2] > largest[k][2]


def test_tolerances_of_v_default_to_those_of_x() -> None:
    call: dict[str, Any] = {"stiffness": [1.0, 400.0], "t_span": (0, 3), "x0": [1.0, 0.1], "rtol": 1e-4, "atol": [1e-4, 1e-5]}
    a = mflow.solve_dynamics(**call)
    b = mflow.solve_dynamics(**call, rtol_v=1e-4, atol_v=[1e-4, 1e-5])
    np.testing.assert_array_equal(a.x, b.x)
    fewer = mflow.solve_dynamics(**call, atol_v=math.inf)
    assert fewer.nsteps < a.nsteps


def test_tolerances_with_supports() -> None:
    """One for each degree of freedom, the fixed one too."""
    call: dict[str, Any] = {"stiffness": [1.0, 9.0, 400.0], "t_span": (0, 3), "x0": [1.0, 0.0, 0.1], "fixed": 1}
    a = mflow.solve_dynamics(**call, atol=[1e-4, 1.0, 1e-5], rtol_v=1e-4)
    b = mflow.solve_dynamics(stiffness=[1.0, 400.0], t_span=(0, 3), x0=[1.0, 0.1], atol=[1e-4, 1e-5], rtol_v=1e-4)
    np.testing.assert_array_equal(a.x[[0, 2]], b.x)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"rtol_v": 1e-20}, "rtol_v: expected a finite number .*, got 1e-20"),
        ({"atol_v": -1.0}, "atol_v: expected a number of at least 0, got -1.0"),
        ({"atol_v": [1.0, 2.0, 3.0]}, r"atol_v: .* shape \(2,\), got shape \(3,\)"),
        ({"rtol_v": 1e-3, "dt": 0.1}, "give one of them"),
        ({"rtol_v": 1e-3, "method": "staggered"}, "no error estimate"),
    ],
)
def test_tolerances_that_do_not_fit(more: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        mflow.solve_dynamics(stiffness=1.0, t_span=(0, 1), x0=[1.0, 2.0], **more)


def test_an_amplification_knows_its_spectral_radius() -> None:
    """Central differences: 1 below omega dt = 2, and above it the larger root of r^2 - (2 - w^2) r + 1 = 0; hht against its eigenvalues;
    integrators: |R(z)|."""
    w = np.array([[0.5, 1.9], [2.1, 3.0]])
    A = mflow.amplification("central_difference", omega_dt=w)
    half = 0.5 * w[1] ** 2 - 1.0
    np.testing.assert_allclose(A.spectral_radius, [[1.0, 1.0], half + np.sqrt(half**2 - 1.0)], rtol=1e-7)
    assert A[1].spectral_radius.tobytes() == A.spectral_radius[1].tobytes()
    again = pickle.loads(pickle.dumps(A))
    assert again.spectral_radius.tobytes() == A.spectral_radius.tobytes()
    assert type(A + 1.0) is np.ndarray
    assert isinstance(A.sum(), float)
    one = mflow.amplification("hht", omega_dt=7.0, zeta=0.1)
    assert one.spectral_radius == pytest.approx(np.max(np.abs(np.linalg.eigvals(np.array(one)))), rel=1e-14)
    z = mflow.amplification("euler", [-0.5, 1j, -3.0])
    np.testing.assert_allclose(z.spectral_radius, [0.5, math.sqrt(2.0), 2.0], rtol=1e-15)
    assert complex(mflow.amplification("euler", -0.5)) == 0.5
    with pytest.raises(ValueError, match="spectral_radius: expected whole matrices"):
        _ = A[..., 0].spectral_radius


def test_a_limit_that_is_smaller_where_the_run_broke_off_is_named() -> None:
    """dt was said to be inside the limit, which was that of the start, and the force to have left its domain."""

    calls = [0]

    def spring(t, x, v):
        calls[0] += 1
        return np.where(np.abs(x) > 0.5, np.nan, 2.0 - 1e4 * x**3)

    call: dict[str, Any] = {"mass": 1.0, "t_span": (0, 50), "x0": [0.01], "v0": [5.0], "force": spring, "velocity_free": True}
    r = mflow.solve_dynamics(**call, method="central_difference", dt=0.08)
    assert r.reason == "non_finite"
    assert 0 < r.ncheck == calls[0] - r.nfev  # what the message asked for is none of the run's
    k = 3e4 * r.x[0, -1] ** 2
    assert f"exceeds the stability limit {2 / math.sqrt(k):.4g} of central_difference" in r.message
    assert "where it broke off, not for the one at the start" in r.message
    edge = mflow.solve_dynamics(**call | {"force": lambda t, x, v: np.where(t > 1.0, np.nan, -x)}, method="central_difference", dt=0.08)
    assert "inside the stability limit of central_difference at the start, and later it may not be" in edge.message


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"stiffness": 4.0, "force": lambda t, x, v: -x}, "stiffness: expected none beside force=.*put stiffness and damping into force"),
        ({"damping": 4.0, "force": lambda t, x, v: -x}, "damping: expected none beside force=.*put stiffness and damping into force"),
        (
            {"rayleigh": (0.1, 0.2), "force": lambda t, x, v: -x},
            "rayleigh: expected none beside force=.*put stiffness and damping into force",
        ),
    ],
)
def test_what_a_limit_does_not_take_is_said_with_what_to_do(more: dict[str, Any], text: str) -> None:
    with pytest.raises((TypeError, ValueError), match=text):
        mflow.max_stable_dt("central_difference", mass=1.0, **{"x0": [0.0]} | more)
