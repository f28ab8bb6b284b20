"""`mass=`: M y' = f(t, y), regular and singular, by every method that takes it."""

from __future__ import annotations

import copy
import functools
import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
import scipy.optimize
import scipy.sparse

import mflow
from mflow.solvers.mass import mass_of
from support.daes import AKZO, PENDULUM_MASS, PENDULUM_START, ROBERTSON, TRANSISTOR, pendulum
from support.levels import first_order

Array = Any
METHODS = first_order("mass")
PAIRS = first_order("mass", "embedded")
EXPLICIT = first_order(without=("implicit",))


def digits(y: Array, reference: Array) -> float:
    return -math.log10(float(np.max(np.abs(y - reference) / np.abs(reference))))


# ---- published ends ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", PAIRS)
@pytest.mark.parametrize("problem", [AKZO, TRANSISTOR], ids=["akzo", "transistor"])
def test_published_end_values_at_1e_7(problem, method):
    r = mflow.solve_ivp(problem.fun, (0.0, problem.t_end), problem.y0, method, mass=problem.mass, rtol=1e-7, atol=1e-10, save="last")
    assert r.reason == "finished"
    assert digits(r.y[:, -1], problem.y_end) >= 5.0


@pytest.mark.parametrize("method", first_order("mass", "multistep"))
@pytest.mark.parametrize("tol", [1e-2, 1e-6])
def test_what_is_left_of_algebraic_equations_ends_no_run(method, tol):
    """Differences keep it however short the step is: a step that shrinks for that alone has to begin anew."""
    r = mflow.solve_ivp(TRANSISTOR.fun, (0.0, 0.2), TRANSISTOR.y0, method, mass=TRANSISTOR.mass, rtol=tol, atol=tol, save="last")
    assert r.reason == "finished"
    np.testing.assert_allclose(r.y[:, -1], TRANSISTOR.y_end, rtol=tol, atol=tol)


@pytest.mark.parametrize("method", PAIRS)
def test_robertson_with_its_mass_kept_as_an_equation(method):
    problem, tol = ROBERTSON, 1e-7
    r = mflow.solve_ivp(
        problem.fun, (0.0, problem.t_end), problem.y0, method, mass=problem.mass, jac=problem.jac, rtol=tol, atol=1e-6 * tol, save="last"
    )
    assert r.reason == "finished"
    assert digits(r.y[:, -1], problem.y_end) >= 4.0
    assert abs(float(r.y[:, -1].sum()) - 1.0) < 1e-12


@functools.cache
def robertson_at_100():
    """By SciPy, without mass."""

    def rates(t, y):
        slow, fast = 0.04 * y[0] - 1e4 * y[1] * y[2], 3e7 * y[1] ** 2
        return [-slow, slow - fast, fast]

    return scipy.integrate.solve_ivp(rates, (0.0, 100.0), [1.0, 0.0, 0.0], "Radau", rtol=1e-10, atol=1e-14).y[:, -1]


@pytest.mark.parametrize("atol", [1e-13, 1e-14, 1e-16, 1e-30, [1e-8, 1e-14, 1e-6], [1e-6, 0.0, 1e-6], [1e-6, 1e-30, 1e-30]])
@pytest.mark.parametrize("method", PAIRS)
def test_robertson_with_tolerances_far_below_its_largest_component(method, atol):
    """Differences of a component that is 0 were so short that 1 + h was 1 in the algebraic equation. The oracle is SciPy, without mass."""

    def fun(t, y):
        return np.array([-0.04 * y[0] + 1e4 * y[1] * y[2], 0.04 * y[0] - 1e4 * y[1] * y[2] - 3e7 * y[1] ** 2, y.sum() - 1.0])

    with np.errstate(all="ignore"):
        r = mflow.solve_ivp(fun, (0.0, 100.0), [1.0, 0.0, 0.0], method, mass=np.diag([1.0, 1.0, 0.0]), rtol=1e-6, atol=atol, save="last")
    assert r.reason == "finished"
    assert r.y[:, -1] == pytest.approx(robertson_at_100(), rel=3e-6)


@pytest.mark.parametrize("method", PAIRS)
@pytest.mark.parametrize("tol", [1e-7, 1e-8])
def test_a_pendulum_keeps_the_constraint_of_its_acceleration(method, tol):
    """The others are invariants of the flow, which drift: their size is bounded here by what was seen, times three."""
    r = mflow.solve_ivp(pendulum, (0.0, 10.0), PENDULUM_START, method, mass=PENDULUM_MASS, rtol=tol, atol=tol)
    assert r.reason == "finished"
    broken = [abs(pendulum(t, y)[-1]) / (1.0 + abs(y[-1])) for t, y in zip(r.t, r.y.T, strict=True)]
    assert max(broken) < 10.0 * tol
    drift = np.abs(np.hypot(r.y[0], r.y[1]) - 1.0)
    assert 1e-12 < drift[-1] < 1e-4


# ---- a regular M ---------------------------------------------------------------------------------------------------------------------


def forms_of(M: Array) -> list[tuple[Array, dict[str, Any]]]:
    """A tridiagonal M in every form, with what tells the solver so."""
    n = len(M)
    packed = np.zeros((3, n))
    packed[0, 1:], packed[1], packed[2, :-1] = np.diag(M, 1), np.diag(M), np.diag(M, -1)
    pattern = scipy.sparse.diags_array([np.ones(n - 1), np.ones(n), np.ones(n - 1)], offsets=[-1, 0, 1])
    banded = {"lband": 1, "uband": 1}
    sparse = {"jac_sparsity": pattern, "solver": mflow.nonlinear.Newton(linear_solver="sparse")}
    return [
        (M, {}), (M.tolist(), {}), (scipy.sparse.csr_array(M), {}), (M, banded), (packed, banded), (scipy.sparse.coo_matrix(M), banded),
        (scipy.sparse.csc_array(M), sparse),
    ]  # fmt: skip


def elements(n: int = 12) -> tuple[Array, Any]:
    """Heat conduction with a source by linear finite elements: M of the mass of hat functions, and f."""
    h = 1.0 / (n + 1)
    M = h / 6.0 * (4.0 * np.eye(n) + np.eye(n, k=1) + np.eye(n, k=-1))

    def fun(t, y):
        wide = np.concatenate([[0.0], y, [0.0]])
        return (wide[:-2] - 2.0 * y + wide[2:]) / h + h * (np.cos(3.0 * t) - y**3)

    return M, fun


@pytest.mark.parametrize("method", PAIRS)
def test_a_regular_mass_is_the_inverse_by_another_library(method):
    M, fun = elements()
    y0 = np.sin(np.pi * np.linspace(0.0, 1.0, 14)[1:-1])
    inverse = np.linalg.inv(M)
    other = scipy.integrate.solve_ivp(lambda t, y: inverse @ fun(t, y), (0.0, 1.0), y0, "Radau", rtol=1e-11, atol=1e-12).y[:, -1]
    for form, linear in forms_of(M):
        r = mflow.solve_ivp(fun, (0.0, 1.0), y0, method, mass=form, rtol=1e-8, atol=1e-10, save="last", **linear)
        assert r.reason == "finished"
        np.testing.assert_allclose(r.y[:, -1], other, rtol=0, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_a_regular_mass_takes_the_steps_of_the_solved_equation(method):
    """In fixed steps both are the same numbers but for rounding."""
    M, fun = elements(5)
    y0, inverse = np.linspace(0.2, 1.0, 5), np.linalg.inv(M)
    mine = mflow.solve_ivp(fun, (0.0, 0.5), y0, method, dt=0.03125, mass=M).y
    solved = mflow.solve_ivp(lambda t, y: inverse @ fun(t, y), (0.0, 0.5), y0, method, dt=0.03125).y
    np.testing.assert_allclose(mine, solved, rtol=0, atol=1e-8 if method in LINEAR else 1e-12)


LINEAR = [
    name for name in METHODS if mflow.get_method(name).family == "rosenbrock"
]  # whose Jacobian, here of differences, is in the result


def test_a_unit_mass_changes_nothing_but_rounding():
    fun = lambda t, y: np.array([y[1], (1.0 - y[0] ** 2) * y[1] * 5.0 - y[0]])  # noqa: E731
    plain, unit = (
        mflow.solve_ivp(fun, (0.0, 5.0), [2.0, 0.0], "radau5", rtol=1e-8, atol=1e-10, **more) for more in ({}, {"mass": [1.0, 1.0]})
    )
    np.testing.assert_allclose(unit.y[:, -1], plain.y[:, -1], rtol=1e-6)


# ---- index 1: order, extension, events -----------------------------------------------------------------------------------------------


def circle(t, y):
    """y = (cos t, sin t, cos(t)^2 + t), where the algebraic part mixes with the rest through M."""
    return np.array([-y[1], y[0], y[0] ** 2 + t - y[2]])


CIRCLE = np.diag([1.0, 1.0, 0.0])
MIXED = np.array([[1.0, 2.0, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 0.0]])


def exact(t: Array) -> Array:
    return np.array([np.cos(t), np.sin(t), np.cos(t) ** 2 + t])


@pytest.mark.parametrize("method", METHODS)
def test_fixed_steps_keep_their_order_in_every_component(method):
    order = mflow.get_method(method).order
    errors = []
    for steps in (32, 64) if "multistep" in mflow.get_method(method).flags else (16, 32):
        r = mflow.solve_ivp(circle, (0.0, 1.0), exact(0.0), method, dt=1.0 / steps, mass=CIRCLE, save="last")
        errors.append(np.abs(r.y[:, -1] - exact(1.0)))
    rates = np.log2(errors[0] / errors[1])
    assert np.all(rates > order - 0.35), rates
    assert np.all(rates < order + 1.6), rates


@pytest.mark.parametrize("method", PAIRS)
def test_the_extension_is_right_in_algebraic_components_too(method):
    r = mflow.solve_ivp(circle, (0.0, 3.0), exact(0.0), method, mass=CIRCLE, rtol=1e-7, atol=1e-9, dense_output=True)
    at = np.linspace(0.0, 3.0, 301)
    off = np.max(np.abs(r.sol(at) - exact(at)), axis=1)
    assert np.all(off[:2] < 1e-5)
    assert off[2] < 1e-3  # stages of esdirk43 are of order 2, and it is their values that say what is algebraic between the ends
    np.testing.assert_allclose(r.y, exact(r.t), rtol=0, atol=2e-6)


def test_lines_are_straight_between_steps_without_an_extension():
    r = mflow.solve_ivp(circle, (0.0, 1.0), exact(0.0), "backward_euler", dt=0.25, mass=CIRCLE, dense_output=True)
    np.testing.assert_allclose(r.sol(0.375), 0.5 * (r.y[:, 1] + r.y[:, 2]), rtol=1e-14)


@pytest.mark.parametrize("method", PAIRS)
def test_events_see_algebraic_components(method):
    event = lambda t, y: y[2] - 1.2  # noqa: E731
    event.terminal = True
    r = mflow.solve_ivp(circle, (0.0, 3.0), exact(0.0), method, mass=CIRCLE, rtol=1e-8, atol=1e-10, events=event)
    root = scipy.optimize.brentq(lambda t: exact(t)[2] - 1.2, 1e-3, 3.0)
    assert r.reason == "event"
    np.testing.assert_allclose([*r.t_events[0], r.t[-1]], root, rtol=1e-3 if method == "esdirk43" else 1e-5)  # as its extension is


@pytest.mark.parametrize("method", PAIRS)
def test_a_mass_without_a_row_of_zeros(method):
    """M is of rank 2 in the upper block's rows alone; the algebraic equation is a combination of two."""
    T = np.array([[1.0, 0.3, -0.2], [0.4, 1.0, 0.5], [-0.3, 0.2, 1.0]])  # equations and unknowns are mixed
    S = np.array([[0.9, -0.1, 0.4], [0.2, 1.1, -0.3], [0.1, 0.3, 0.8]])
    M, back = T @ CIRCLE @ S, np.linalg.inv(S)
    assert mass_of(M, 3).n_algebraic == 1
    assert np.all(np.abs(M) > 1e-3)
    r = mflow.solve_ivp(lambda t, y: T @ circle(t, S @ y), (0.0, 2.0), back @ exact(0.0), method, mass=M, rtol=1e-8, atol=1e-10)
    assert r.reason == "finished"
    np.testing.assert_allclose(S @ r.y[:, -1], exact(2.0), rtol=0, atol=3e-6)


@pytest.mark.parametrize("method", PAIRS)
def test_a_resumed_run_has_the_same_bits(method, tmp_path):
    path = tmp_path / "run"
    call = {"mass": AKZO.mass, "rtol": 1e-5, "atol": 1e-8}
    whole = mflow.solve_ivp(AKZO.fun, (0.0, 180.0), AKZO.y0, method, **call)
    for k in (1, 7, 20):
        mflow.solve_ivp(AKZO.fun, (0.0, 180.0), AKZO.y0, method, max_steps=k, checkpoint=path, checkpoint_every=k, **call)
        rest = mflow.solve_ivp(AKZO.fun, (0.0, 180.0), AKZO.y0, method, resume=path, **call)
        assert rest.y[:, -1].tobytes() == whole.y[:, -1].tobytes()
        assert (rest.nfev, rest.nsteps, rest.nlu) == (whole.nfev, whole.nsteps, whole.nlu)
    with pytest.raises(ValueError, match="mass"):
        mflow.solve_ivp(AKZO.fun, (0.0, 180.0), AKZO.y0, method, resume=path, **{**call, "mass": 2.0 * AKZO.mass})


def test_error_norms_may_leave_out_the_algebraic_part():
    """An algebraic component that needs many digits holds the steps only where it counts."""
    fun = lambda t, y: np.array([-y[1], y[0], 1e3 * (y[0] ** 2 + t) - y[2]])  # noqa: E731
    call = {"mass": CIRCLE, "rtol": np.array([1e-4, 1e-4, 1e-12]), "atol": np.array([1e-6, 1e-6, 1e-12])}
    steps = [mflow.solve_ivp(fun, (0.0, 3.0), [1.0, 0.0, 1e3], "radau5", exclude_algebraic=out, **call).nsteps for out in (False, True)]
    assert steps[1] < 0.2 * steps[0]


# ---- starts --------------------------------------------------------------------------------------------------------------------------


def test_an_inconsistent_start_is_projected_or_refused():
    off = np.array([1.0, 0.0, 0.5])
    r = mflow.solve_ivp(circle, (0.0, 1.0), off, "radau5", mass=CIRCLE)
    assert r.y0.tolist() == r.y[:, 0].tolist() == [1.0, 0.0, 1.0]
    assert "the start moved by 0.5 in component 2" in r.message
    kept = mflow.solve_ivp(circle, (0.0, 1.0), exact(0.0), "radau5", mass=CIRCLE)
    assert kept.y0.tobytes() == exact(0.0).tobytes()
    assert "moved" not in kept.message
    with pytest.raises(ValueError, match=r"would have to move by 0\.5 in component 2"):
        mflow.solve_ivp(circle, (0.0, 1.0), off, "radau5", mass=CIRCLE, consistent="check")
    assert mflow.solve_ivp(circle, (0.0, 1.0), exact(0.0), "radau5", mass=CIRCLE, consistent="check").success


def test_a_projection_keeps_what_the_mass_multiplies():
    start = TRANSISTOR.y0 + 0.02
    r = mflow.solve_ivp(TRANSISTOR.fun, (0.0, 1e-5), start, "radau5", mass=TRANSISTOR.mass)
    np.testing.assert_allclose(TRANSISTOR.mass @ r.y0, TRANSISTOR.mass @ start, rtol=0, atol=1e-19)
    left = mass_of(TRANSISTOR.mass, 8).left
    assert left.height == 3
    assert np.max(np.abs(left.times(TRANSISTOR.fun(0.0, r.y0)))) < 1e-15 < np.max(np.abs(left.times(TRANSISTOR.fun(0.0, start))))


@pytest.mark.parametrize("seed", range(8))
def test_a_start_within_rounding_of_large_equations_is_taken(seed):
    """Of 200 such problems 32 were refused: their residual of 1e-13 is rounding beside entries of 3000."""
    rng, n, k = np.random.default_rng(seed), 6, 2
    A = -np.diag(np.exp(rng.uniform(-2.0, 8.0, n))) + 0.5 * rng.normal(size=(n, n))
    A[n - k :] = rng.normal(size=(k, n))
    A[n - k :, n - k :] += 3.0 * np.eye(k)
    U, V = (np.linalg.qr(rng.normal(size=(n, n)))[0] for _ in range(2))
    M, J, z = U @ np.diag([1.0] * (n - k) + [0.0] * k) @ V.T, U @ A @ V.T, rng.normal(size=n)
    z[n - k :] = np.linalg.solve(A[n - k :, n - k :], -A[n - k :, : n - k] @ z[: n - k])
    r = mflow.solve_ivp(lambda t, y: J @ y, (0, 1e-3), V @ z, "radau5", mass=M)
    np.testing.assert_allclose(r.y0, V @ z, atol=1e-12)


def test_a_projection_that_needs_many_steps():
    """0 = exp(5 z) - 1 - y from far away: whole Newton steps overflow."""
    fun = lambda t, y: np.array([-y[0], np.expm1(5.0 * y[1]) - y[0]])  # noqa: E731
    with np.errstate(over="ignore"):
        r = mflow.solve_ivp(fun, (0.0, 0.1), [1.0, -2.0], "radau5", mass=[1.0, 0.0])
    assert abs(r.y0[1] - math.log(2.0) / 5.0) < 1e-14


# ---- null spaces ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_null_spaces_of_block_matrices(seed):
    """Blocks of known rank, rows and columns shuffled, against the whole matrix's singular values."""
    rng = np.random.default_rng(seed)
    blocks = [rng.standard_normal((m, r)) @ rng.standard_normal((r, k)) for m, k, r in ((4, 3, 2), (2, 3, 2), (1, 1, 1), (3, 3, 1))]
    n = 12
    M = np.zeros((n, n))
    M[:10, :10] = scipy.linalg.block_diag(*blocks)
    M = M[rng.permutation(n)][:, rng.permutation(n)]
    found = mass_of(scipy.sparse.csr_array(M) if seed % 2 else M, n)
    U, V = found.left.full(), found.right.full()
    assert found.n_algebraic == n - np.linalg.matrix_rank(M) == 6
    np.testing.assert_allclose(U @ U.T, np.eye(6), atol=1e-14)
    np.testing.assert_allclose(V @ V.T, np.eye(6), atol=1e-14)
    np.testing.assert_allclose(U @ M, 0.0, atol=1e-13)
    np.testing.assert_allclose(M @ V.T, 0.0, atol=1e-13)


def test_a_large_sparse_mass_with_many_algebraic_equations():
    """Half of 4000 unknowns are algebraic: y_i' = -y_i + z_i/2, 0 = z_i - y_i, so y = exp(-t/2)."""
    n = 2000
    M = scipy.sparse.diags_array(np.repeat([1.0, 0.0], n))
    eye = scipy.sparse.eye_array(n)
    J = scipy.sparse.block_array([[-eye, 0.5 * eye], [-eye, eye]], format="csc")
    r = mflow.solve_ivp(
        lambda t, y: J @ y,
        (0.0, 1.0),
        np.concatenate([np.ones(n), np.zeros(n)]),
        "radau5",
        mass=M,
        jac=J,
        rtol=1e-6,
        atol=1e-8,
        save="last",
    )
    np.testing.assert_allclose(r.y[:, -1], math.exp(-0.5), rtol=1e-5)


# ---- without a matrix ----------------------------------------------------------------------------------------------------------------


def scaled_circle(size, t, y):
    return size * circle(t, y)


WITHOUT = [name for name in METHODS if "G" not in (mflow.get_method(name).tableau or {})]  # linearly implicit ones need a matrix


@pytest.mark.parametrize("method", WITHOUT)
def test_newton_krylov_takes_a_mass(method):
    """Regular and singular, rows of any size: against Newton's iteration with a matrix."""
    how = {"rtol": 1e-7, "atol": 1e-10} if method in PAIRS else {"dt": 0.01}
    for mass, size in ((CIRCLE, 1.0), (1e-6 * CIRCLE, 1e-6), (np.array([[2.0, 1.0, 0.0], [1.0, 3.0, 0.0], [0.0, 5e-4, 1e-3]]), 1.0)):
        call = partial(scaled_circle, size), (0.0, 1.0), exact(0.0), method
        plain = mflow.solve_ivp(*call, mass=mass, save="last", **how)
        r = mflow.solve_ivp(*call, mass=mass, solver="newton_krylov", save="last", **how)
        assert r.reason == "finished"
        np.testing.assert_allclose(r.y[:, -1], plain.y[:, -1], rtol=0, atol=3e-6 if method in PAIRS else 1e-9)


@pytest.mark.parametrize("method", [name for name in WITHOUT if name in PAIRS and name != "radau5"])
def test_a_preconditioner_sees_the_mass(method):
    def prec(t, y, gamma):
        J = np.array([[(TRANSISTOR.fun(t, y + 1e-7 * e)[i] - TRANSISTOR.fun(t, y)[i]) / 1e-7 for e in np.eye(8)] for i in range(8)])
        return lambda b: np.linalg.solve(TRANSISTOR.mass - gamma * J, b)

    call = TRANSISTOR.fun, (0.0, 0.01), TRANSISTOR.y0, method
    plain = mflow.solve_ivp(*call, mass=TRANSISTOR.mass, rtol=1e-4, atol=1e-6, save="last")
    r = mflow.solve_ivp(*call, mass=TRANSISTOR.mass, rtol=1e-4, atol=1e-6, save="last", solver=mflow.NewtonKrylov(prec=prec))
    assert r.reason == "finished"
    np.testing.assert_allclose(r.y[:, -1], plain.y[:, -1], rtol=0, atol=3e-3)


# ---- refusals ------------------------------------------------------------------------------------------------------------------------

BAD = [
    ({"mass": np.ones(4)}, ValueError, r"mass: expected shape \(3,\) of a diagonal or \(3, 3\)"),
    ({"mass": np.ones((3, 2))}, ValueError, "mass: expected shape"),
    ({"mass": scipy.sparse.eye_array(4)}, ValueError, "sparse matrix of"),
    ({"mass": [1.0, np.nan, 0.0]}, ValueError, "mass: expected finite entries"),
    ({"mass": scipy.sparse.diags_array([1.0, np.inf, 0.0])}, ValueError, "mass: expected finite entries"),
    ({"mass": "diagonal"}, TypeError, "mass: expected an array of real numbers"),
    ({"mass": [1.0, 1j, 0.0]}, TypeError, "mass: expected an array of real numbers"),
    ({"mass": CIRCLE, "consistent": "yes"}, ValueError, "consistent: expected"),
    ({"exclude_algebraic": True}, ValueError, "exclude_algebraic: expected mass="),
    ({"mass": CIRCLE, "solver": "fixed_point"}, ValueError, "solver: expected 'newton' or 'newton_krylov' with mass="),
    ({"mass": MIXED, "lband": 0, "uband": 1}, ValueError, "lband, uband: expected at least 1 and 1, as mass"),
    ({"mass": CIRCLE, "y0": [1.0, 0.0, np.inf]}, ValueError, "y0"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "words"), BAD)
def test_bad_input_is_told(call, error, words):
    call = dict(call)
    y0 = call.pop("y0", exact(0.0))
    with pytest.raises(error, match=words):
        mflow.solve_ivp(circle, (0.0, 1.0), y0, "radau5", **call)


@pytest.mark.parametrize("method", EXPLICIT)
def test_explicit_methods_refuse_a_mass(method):
    with pytest.raises(ValueError, match=f"{method}, which is explicit"):
        mflow.solve_ivp(
            circle, (0.0, 1.0), exact(0.0), method, mass=np.eye(3), **({} if method in first_order("embedded") else {"dt": 0.1})
        )


def test_a_steady_state_is_none_of_a_mass():
    with pytest.raises(ValueError, match="dt: expected finite steps"):
        mflow.solve_ivp(circle, (0.0, math.inf), exact(0.0), "backward_euler", dt=math.inf, mass=CIRCLE)


def test_a_complex_mass_of_a_real_state_says_what_to_give():
    with pytest.raises(TypeError, match=r"mass: expected an array of real numbers .*; for complex entries pass a complex y0"):
        mflow.solve_ivp(lambda t, y: -y, (0.0, 1.0), [1.0, 1.0], "radau5", mass=np.diag([1.0, 1.0j]))
    r = mflow.solve_ivp(lambda t, y: -y, (0.0, 1.0), [1.0 + 0j, 1.0], "radau5", mass=np.diag([1.0, 1.0j]), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(r.y[:, -1], [math.exp(-1.0), np.exp(1.0j)], rtol=1e-6)


def test_problems_of_a_higher_index_are_told():
    """x' = u, u' = -tension x, 0 = x - cos t: index 3; and a pendulum with the constraint of its position."""
    position = lambda t, y: np.array([*pendulum(t, y)[:4], y[0] ** 2 + y[1] ** 2 - 1.0])  # noqa: E731
    for more in ({}, {"jac": lambda t, y: np.array(
        [[0, 0, 1.0, 0, 0], [0, 0, 0, 1.0, 0], [-y[4], 0, 0, 0, -y[0]], [0, -y[4], 0, 0, -y[1]], [2 * y[0], 2 * y[1], 0, 0, 0]]
    )}):  # fmt: skip
        with pytest.raises(ValueError, match="index 1, got one of a higher index at the start: the 1 algebraic equation does not"):
            mflow.solve_ivp(position, (0.0, 1.0), PENDULUM_START, "radau5", mass=PENDULUM_MASS, **more)
    with pytest.raises(ValueError, match="higher index"):  # M - gh J is regular for every gh above 0
        mflow.solve_ivp(lambda t, y: np.array([y[1], y[0] - t]), (0.0, 1.0), [0.0, 1.0], "radau5", mass=[1.0, 0.0])


def test_a_singular_pencil_is_told():
    fun = lambda t, y: np.array([-y[0], y[0] - 1.0])  # noqa: E731  (nothing determines y_1)
    with pytest.raises(ValueError, match=r"regular pencil \(M, J\), got one that is singular"):
        mflow.solve_ivp(fun, (0.0, 1.0), [1.0, 0.0], "radau5", mass=[1.0, 0.0])


def test_a_start_outside_the_domain_and_one_without_a_solution():
    with pytest.raises(ValueError, match=r"y0: expected a start where fun is finite, got nan in component 0"):
        mflow.solve_ivp(AKZO.fun, (0.0, 1.0), AKZO.y0 - 0.1, "radau5", mass=AKZO.mass)
    fun = lambda t, y: np.array([-y[0], y[1] ** 2 + 1.0 + y[0]])  # noqa: E731
    with pytest.raises(ValueError, match="from which Newton's iteration finds none"):
        mflow.solve_ivp(fun, (0.0, 1.0), [1.0, 2.0], "radau5", mass=[1.0, 0.0])


def test_a_problem_that_stops_being_of_index_1_ends_with_a_reason():
    """0 = z^2 - (1 - t): z = sqrt(1 - t) ends at t = 1, where 2 z is singular."""
    r = mflow.solve_ivp(lambda t, y: np.array([-y[0], y[1] ** 2 - 1.0 + t]), (0.0, 2.0), [1.0, 1.0], "radau5", mass=[1.0, 0.0])
    assert r.status == -1
    assert r.reason in ("solve_failed", "step_too_small")
    assert 0.99 < r.t[-1] < 1.001


# ---- Stepper -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", PAIRS)
def test_a_stepper_takes_a_mass_and_goes_on_with_the_same_bits(method, tmp_path):
    call = {"mass": CIRCLE, "rtol": 1e-6, "atol": 1e-9}
    straight, saved = (mflow.Stepper(method, circle, [1.0, 0.0, 0.5], **call) for _ in range(2))
    assert straight.y.tolist() == [1.0, 0.0, 1.0]
    straight.advance_to(2.0)
    saved.advance_to(2.0)
    saved.save(tmp_path / "state")
    loaded = mflow.Stepper.load(tmp_path / "state", circle, mass=CIRCLE)
    copied = copy.copy(saved)
    for stepper in (straight, loaded, copied):
        stepper.advance_to(3.0)
        assert stepper.y.tobytes() == straight.y.tobytes()
    np.testing.assert_allclose(straight.y, exact(3.0), rtol=0, atol=1e-4)
    with pytest.raises(ValueError, match="mass: expected the matrix of the saved stepper, got none"):
        mflow.Stepper.load(tmp_path / "state", circle)
    straight.y = [0.0, 1.0, 7.0]
    np.testing.assert_allclose(straight.y, [0.0, 1.0, 3.0], rtol=0, atol=1e-14)
