"""Runge-Kutta methods step by step through the C API: pairs, implicit methods and RKC, with what a run does not show.

Facts are derived from the tableau and compared with the flags; error estimates, extensions, carried slopes and guesses are compared with
NumPy, mpmath and SciPy. Every list of methods comes from the registry.
"""

import math
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
from mflow_core import registry
from mflow_core.stepping import stepper

import mflow
from support.battery import same_at
from support.kernels import Kernel, dense_of, go
from support.levels import LEVELS, first_order
from support.oracles.tableaus import (
    Conditions,
    beta_of,
    butcher,
    chebyshev,
    density,
    is_coupled,
    is_rosenbrock,
    last_is_first,
    len_of,
    stability_function,
    trees_of,
    weight_of_slopes,
)
from support.problems import PROBLEMS, Array, Componentwise, start_of, waves
from support.small_cases import for_all
from support.solvable import STEPS, Linear, kernel_of, kernel_with, those

EPS = 2.0**-52
SIZES = (1, 2, 3, 7, 13, 600, 1001)


def bits(a: Any) -> bytes:
    return np.ascontiguousarray(a, dtype=np.float64).tobytes()


# ---- tableaus: facts and flags -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("record", "level"), [pytest.param(record, level, id=f"{record.name}-{level}") for record, level in STEPS])
def test_flags_follow_from_the_tableau(record: Any, level: str) -> None:
    A = beta_of(record) or butcher(record)[0]
    implicit = any(A[i][i] != 0 for i in range(len(A)))
    assert ("implicit" in record.flags) == implicit
    ends = is_rosenbrock(record) and max(abs(x - w) for x, w in zip(A[-1], butcher(record)[1], strict=True)) < 4 * EPS
    assert ("stiffly_accurate" in record.flags) == (implicit and (ends or last_is_first(record)) and A[-1][-1] != 0)
    if not implicit and "staged" not in record.flags:
        assert ("fsal" in record.flags) == last_is_first(record)
    carries = record.sizes()["n_vec"] > record.sizes()["n_vis"]
    assert ("fsal" in record.flags) == ("derived" in record.flags) == carries
    assert ("embedded" in record.flags) == (record.order_hat is not None) == (record.sizes()["n_err"] > 0)
    assert ("d" in (record.tableau or {})) == (record.sizes()["n_err"] > 0 and "staged" not in record.flags and not is_coupled(record)
                                                    and not is_rosenbrock(record))  # fmt: skip
    assert is_coupled(record) == any(a != 0 for i, line in enumerate(A) for a in line[i + 1 :])
    assert (dense_of(record) is not None) == (record.sizes()["n_dense"] > 0)
    assert record.sizes()["n_err"] == len((record.tableau or {}).get("d", [0] * record.sizes()["n_err"]))


@those("implicit", linear=False)
def test_implicit_order_conditions(record: Any) -> None:
    A, b, _ = butcher(record)
    conditions = Conditions(A, b)
    sizes = conditions.sizes()
    for order in range(1, record.order + 1):
        for tree in trees_of(order):
            assert conditions.residual(tree) <= 4 * EPS * max(1.0, float(sizes.side(tree))), (order, tree)
    assert any(conditions.residual(tree) > 1e-10 for tree in trees_of(record.order + 1))


@those("embedded", without="staged", coupled=False)
def test_embedded_order_conditions(record: Any) -> None:
    """bhat = b - d meets the conditions up to order_hat and no further; a second estimate has order 3 (dop853)."""
    A, b, _ = butcher(record)
    for d, order_hat in zip(record.tableau["d"], (record.order_hat, 3), strict=False):
        conditions = Conditions(A, [w - Fraction(v) for w, v in zip(b, d, strict=True)])
        sizes = conditions.sizes()
        for order in range(1, order_hat + 1):
            for tree in trees_of(order):
                assert conditions.residual(tree) <= 8 * EPS * max(1.0, float(sizes.side(tree))), (order, tree)
        assert any(conditions.residual(tree) > 1e-10 for tree in trees_of(order_hat + 1))


@those("implicit")
def test_decay_at_infinity(record: Any) -> None:
    """What decays fast is forgotten by a stiffly accurate method without an explicit stage; of others the limit of R is left."""
    A = butcher(record)[0]
    left = 0.0 if all(line[i] for i, line in enumerate(A)) else mflow.limit_at_infinity(record.name)
    R = [stability_function(record, -(10.0**k)) for k in (6, 9, 12)]
    assert all(abs(r - left) < 1e3 / 10.0**k + 1e-13 for r, k in zip(R, (6, 9, 12), strict=True))
    stable = max(abs(stability_function(record, -x)) for x in np.geomspace(1e-3, 1e6, 200)) <= 1.0
    assert stable or not mflow.is_a_stable(record.name)


# ---- steps -------------------------------------------------------------------------------------------------------------


@those("fsal")
@pytest.mark.parametrize("fresh", [True, False])
@for_all("n", SIZES)
def test_in_place_has_the_same_bits(record: Any, n: int, fresh: bool) -> None:
    kernel = kernel_of(record, n)
    x = start_of(n)[None] if fresh else go(kernel, 0.1, start_of(n), 0.2, 1)
    results = []
    for in_place in (False, True):
        assert kernel.step(0.3, x, 0.2, fresh=fresh, in_place=in_place) == 0
        results.append((bits(kernel.carried), bits(kernel.errors), kernel.frame.n_rhs, kernel.frame.n_solve))
    assert results[0] == results[1]
    kernel.step(0.3, x, 0.2, fresh=fresh, want_err=False)
    assert bits(kernel.carried) == results[0][0]


@those("fsal")
@for_all("n", [n for n in SIZES if n != 3])
def test_same_bits_at_any_length(record: Any, n: int) -> None:
    """Components of a diagonal problem do not meet: the loops for short and long vectors, and for n = 3, agree."""

    def rhs(t: float, y: Array) -> Array:
        return -0.75 * y + t

    def solve(t: float, gh: float, r: Array, guess: Array) -> Array:
        return (r + gh * t) / (1.0 + 0.75 * gh)

    def results(y: Array) -> tuple[Array, Array, list[Array]]:
        if "implicit" in record.flags:
            system = Componentwise(rhs, rate=lambda t: -0.75, load=lambda t: t).system
            kernel = kernel_with(
                record, rhs, y.size, solve, system, lsolve=(lambda t, gh, r: r / (1.0 + 0.75 * gh)) if is_coupled(record) else None
            )
        else:
            kernel = Kernel(record, rhs, y.size)
        x = go(kernel, 0.1, y, 0.2, 2)
        D = [kernel.dense()(theta) for theta in (0.25, 0.5)] if dense_of(record) else []
        return x, kernel.errors, D

    y = np.resize(start_of(3), n + 3)
    whole, err, D = results(y[:n])
    part, part_err, part_D = results(y[:3])
    assert bits(np.resize(part[0], n)) == bits(whole[0])
    assert bits(np.resize(part[1], n)) == bits(whole[1])
    for a, b in zip((*err, *D), (*part_err, *part_D), strict=True):
        assert bits(np.resize(b, n)) == bits(a)


@those("embedded", without="staged", coupled=False)
def test_error_estimate_is_the_difference_of_both_results(record: Any) -> None:
    n, t, h = 7, 0.3, 0.2
    kernel = kernel_of(record, n)
    x = go(kernel, t - h, start_of(n), h, 1)
    kernel.step(t, x, h, fresh=False)
    A, b, c = (np.array(part, dtype=np.longdouble) for part in butcher(record))
    K: list[Array] = []
    for i in range(len(b)):
        r = x[0] + h * sum((A[i, j] * K[j] for j in range(i)), start=np.zeros(n, np.longdouble))
        time = float(t + c[i] * h)
        if A[i, i]:
            gh = float(A[i, i] * h)
            K.append((kernel.solve(time, gh, r.astype(float), r.astype(float)) - r) / gh)
        else:
            K.append(kernel.rhs(time, r.astype(float)).astype(np.longdouble))
    np.testing.assert_allclose(kernel.carried[1], K[-1].astype(float), rtol=0, atol=1e-14)
    for err, d in zip(kernel.errors, record.tableau["d"], strict=True):
        want = h * sum(np.longdouble(w) * k for w, k in zip(d, K, strict=True))
        np.testing.assert_allclose(err, want.astype(float), rtol=0, atol=4e-16 * sum(map(abs, d)) + 1e-16)
        assert np.max(np.abs(err)) > 1e-12


@those("fsal", without="implicit")
def test_carried_slope_is_that_of_the_result(record: Any) -> None:
    kernel = kernel_of(record, 5)
    kernel.step(0.3, start_of(5)[None], 0.2)
    assert bits(kernel.carried[1]) == bits(waves(0.5, kernel.y))
    first = kernel.frame.n_rhs
    x = kernel.carried
    kernel.step(0.5, x, 0.2, fresh=False)
    again = kernel.carried
    assert kernel.frame.n_rhs == first - 1
    kernel.step(0.5, x[:1], 0.2)
    assert bits(again) == bits(kernel.carried)  # a slope that was made is the slope that was carried


def test_a_failed_call_ends_the_step() -> None:
    """Whatever the call, nothing is called after it, and its code comes back."""
    for record, _ in STEPS:
        whole = kernel_of(record, 3)
        whole.step(0.3, start_of(3)[None], 0.2)
        total = len(whole.calls)
        for fatal in range(1, total + 1):
            for code in (-7, 3):
                kernel = kernel_of(record, 3)
                rhs, solve, system, lsolve, linearize = kernel.rhs, kernel.solve, kernel.system, kernel.lsolve, kernel.linearize
                kernel.lsolve = lambda t, gh, r, k=kernel, f=lsolve, at=fatal, c=code: c if len(k.calls) == at else f(t, gh, r)
                kernel.linearize = lambda t, gh, y, s, k=kernel, f=linearize, at=fatal, c=code: c if len(k.calls) == at else f(t, gh, y, s)
                kernel.rhs = lambda t, y, k=kernel, f=rhs, at=fatal, c=code: c if len(k.calls) == at else f(t, y)
                kernel.solve = lambda t, gh, r, z, k=kernel, f=solve, at=fatal, c=code: c if len(k.calls) == at else f(t, gh, r, z)
                kernel.system = lambda row, t, h, y, k=kernel, f=system, at=fatal, c=code: c if len(k.calls) == at else f(row, t, h, y)
                assert kernel.step(0.3, start_of(3)[None], 0.2) == code, (record.name, fatal)
                assert len(kernel.calls) == fatal


# ---- extensions --------------------------------------------------------------------------------------------------------


def with_extension() -> Any:
    records = [(record, level) for record, level in STEPS if dense_of(record)]
    return pytest.mark.parametrize("record", [pytest.param(record, id=f"{record.name}-{level}") for record, level in records])


@with_extension()
@pytest.mark.parametrize("fresh", [True, False])
@for_all("n", [1, 3, 13, 600])
def test_extension_meets_both_ends(record: Any, n: int, fresh: bool) -> None:
    kernel = kernel_of(record, n)
    x = start_of(n)[None] if fresh else go(kernel, 0.1, start_of(n), 0.2, 1)
    kernel.step(0.3, x, 0.2, fresh=fresh)
    x1 = kernel.carried
    y = kernel.dense()
    assert bits(y(0.0)) == bits(x[0])
    np.testing.assert_allclose(y(1.0), x1[0], rtol=0, atol=16 * EPS * np.max(np.abs(x1[0])))
    if "implicit" not in record.flags:  # the explicit ones join smoothly
        D = kernel.D[:-1, :n]
        np.testing.assert_allclose(D[0], 0.2 * waves(0.3, x[0]), rtol=0, atol=4 * EPS)
        slope = sum((k + 1) * d for k, d in enumerate(D))
        np.testing.assert_allclose(slope, 0.2 * x1[1], rtol=0, atol=64 * EPS * max(1.0, float(np.max(np.abs(D)))))


@with_extension()
def test_observed_order_of_the_extension(record: Any) -> None:
    """In one step, the extension's error falls as h^(degree + 1) between the ends, or as that of the step itself."""
    problem = PROBLEMS[0]
    degree = record.sizes()["n_dense"]
    errors = []
    for h in (0.3, 0.15) if degree > 4 else (0.125, 0.0625):
        kernel = kernel_of(record, 1, problem.fun)
        kernel.step(0.5, problem.exact(0.5)[None], h)
        y = kernel.dense()
        errors.append(max(abs(y(theta)[0] - problem.exact(0.5 + theta * h)[0]) for theta in np.linspace(0.1, 0.9, 9)))
    assert errors[1] > 1e-14
    assert math.log2(errors[0] / errors[1]) > min(degree, record.order) + 0.6


def test_extension_of_esdirk43_meets_the_conditions_for_all_theta() -> None:
    """b(theta) gives order 4 for every theta, sum_i b_i(theta) weight_i = theta^k/density, and stays bounded as h J grows."""
    kernel = kernel_of(registry.find("esdirk43"), 6)
    A, b, _ = butcher(kernel.row)
    # Unit slopes, and the step that they make from 0: the kernel's own sums show its weights.
    kernel.step(0.0, np.zeros((1, 6)), 1.0)
    units = np.eye(6)
    kernel.work[2:7, :6], kernel.x1[1, :6] = units[:5], units[5]
    kernel.x1[0, :6] = [float(v) for v in b]
    kernel.dense()
    weights_of_powers = [[Fraction(v) for v in line] for line in kernel.D[:-1, :6]]
    assert len(weights_of_powers) == 4
    conditions = Conditions(A, b)
    for order in (1, 2, 3, 4):
        for tree in trees_of(order):
            w = conditions.weights(tree)
            for k, line in enumerate(weights_of_powers, 1):
                want = Fraction(1, density(tree)) if k == len_of(tree) else 0
                largest = max(1.0, *(abs(float(v)) for v in line))
                assert abs(float(sum(v * u for v, u in zip(line, w, strict=True)) - want)) < 64 * EPS * largest
    # y(theta)/y0 for z = h lambda is 1 + z b(theta) (I - z A)^-1 (1, ..., 1): the explicit first stage must not let it grow with z.
    square = np.array([[float(v) for v in [*line, *[0] * (6 - len(line))]] for line in A])
    lines = np.array([[float(v) for v in line] for line in weights_of_powers])
    for z in (-1e1, -1e3, -1e5, -1e7, 1e5j):
        slopes = z * np.linalg.solve(np.eye(6) - z * square, np.ones(6))
        worst = max(abs(1.0 + (theta ** np.arange(1, 5)) @ lines @ slopes) for theta in np.linspace(0.0, 1.0, 101))
        assert worst < 3.3


# ---- against SciPy -----------------------------------------------------------------------------------------------------

PEERS = {"bs32": scipy.integrate.RK23, "dopri5": scipy.integrate.RK45, "dop853": scipy.integrate.DOP853}


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("level", LEVELS)
def test_one_step_is_that_of_scipy(name: str, level: str) -> None:
    n, t, h = 5, 0.3, 0.2
    kernel = kernel_of(next(record for record in registry.records_of(level) if record.name == name), n)
    kernel.step(t, start_of(n)[None], h)
    peer = PEERS[name](waves, t, start_of(n), 10.0, first_step=h, rtol=0.1, atol=10.0)
    peer.step()
    assert peer.t == t + h
    np.testing.assert_allclose(kernel.y, peer.y, rtol=0, atol=1e-15)
    np.testing.assert_allclose(kernel.carried[1], peer.f, rtol=0, atol=1e-15)
    theirs = [peer.E5, peer.E3] if name == "dop853" else [-peer.E]  # SciPy's E is bhat - b, its E5 and E3 are b - bhat
    np.testing.assert_allclose(kernel.errors, [np.dot(peer.K.T, d) * h for d in theirs], rtol=0, atol=1e-15)
    y, peer_y = kernel.dense(), peer.dense_output()
    for theta in np.linspace(0.0, 1.0, 11):
        np.testing.assert_allclose(y(theta), peer_y(t + theta * h), rtol=0, atol=2e-15)


@pytest.mark.parametrize(("theirs", "ours"), [("RK23", "bs32"), ("RK45", "dopri5"), ("rk45", "dopri5"), ("DOP853", "dop853")])
def test_names_that_scipy_uses(theirs: str, ours: str) -> None:
    assert registry.find(theirs).name == ours


# ---- implicit methods --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", first_order("implicit", without=("multistep",)))
def test_observed_order_of_implicit_methods(name: str) -> None:
    """Of the errors of all problems together, as in the battery; on one level, whose bits the others have."""
    record, *others = (same_at(registry.find(name), level) for level in LEVELS)

    def end(record: Any, problem: Any, steps: int) -> Array:
        return go(kernel_of(record, problem.y0.size, problem.fun), 0.0, problem.y0, problem.t_end / steps, steps)[0]

    errors = [0.0, 0.0]
    for problem in PROBLEMS:
        assert all(bits(end(other, problem, 10)) == bits(end(record, problem, 10)) for other in others)
        for k, steps in enumerate((40, 80)):
            errors[k] += float(np.max(np.abs(end(record, problem, steps) - problem.exact(problem.t_end))))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(record.order, abs=0.1 if record.order < 5 else 0.5)


def all_slopes(A: Any, c: Any, t: float, h: float, y0: float) -> list[Any]:
    """K_i = t_i - (y0 + h sum_j A_ij K_j)^2, all together, in the digits at hand."""
    A, c = ([mpmath.mpf(v.numerator) / v.denominator for v in line] for line in ([a for row in A for a in row], c))
    s = len(c)

    def off(*K: Any) -> list[Any]:
        return [K[i] - (t + c[i] * h - (y0 + h * mpmath.fsum(A[s * i + j] * K[j] for j in range(s))) ** 2) for i in range(s)]

    return list(mpmath.findroot(off, [t - y0**2] * s))


@those("implicit", linear=False)
def test_step_is_that_of_the_tableau_in_40_digits(record: Any) -> None:
    """y' = -y^2 + t from mpmath's own solution of each stage."""
    A, b, c = butcher(record)
    t, h, y0 = 0.25, 0.5, 0.75
    with mpmath.workdps(40):
        K: list[Any] = all_slopes(A, c, t, h, y0) if is_coupled(record) else []
        for i, line in enumerate(A if not K else []):
            r = y0 + h * mpmath.fsum(mpmath.mpf(a.numerator) / a.denominator * k for a, k in zip(line, K, strict=False))
            gh, at = mpmath.mpf(line[i].numerator) / line[i].denominator * h, t + mpmath.mpf(c[i].numerator) / c[i].denominator * h
            z = (-1 + mpmath.sqrt(1 + 4 * gh * (r + gh * at))) / (2 * gh) if gh else r
            K.append(at - z**2)
        want = y0 + h * mpmath.fsum(mpmath.mpf(w.numerator) / w.denominator * k for w, k in zip(b, K, strict=True))

    def solve(t: float, gh: float, r: Array, guess: Array) -> Array:
        return (-1.0 + np.sqrt(1.0 + 4.0 * gh * (r + gh * t))) / (2.0 * gh)

    def system(row: Any, t: float, h: float, y: Array) -> Array:
        with mpmath.workdps(40):
            slopes = all_slopes(A, c, t, h, y[0])
            return np.array(
                [
                    [float(h * mpmath.fsum(mpmath.mpf(a.numerator) / a.denominator * k for a, k in zip(line, slopes, strict=True)))]
                    for line in A
                ]
            )

    kernel = kernel_with(record, lambda t, y: t - y**2, 1, solve, system)
    assert kernel.step(t, np.array([[y0]]), h) == 0
    roundings = max(16.0, weight_of_slopes(record))
    assert abs(kernel.y[0] - float(want)) <= roundings * EPS
    assert abs(kernel.carried[1, 0] - float(K[-1])) <= 4 * roundings * EPS


@those("implicit", coupled=False)
def test_calls_of_implicit_methods(record: Any) -> None:
    """One solve for each implicit stage, one right-hand side for each explicit one but a first one that is carried; at their own times."""
    A, _, c = butcher(record)
    kinds = ["solve" if line[i] else "rhs" for i, line in enumerate(A)]
    stages = [(0.3 + float(c[i]) * 0.2, float(A[i][i]) * 0.2) for i in range(len(A)) if A[i][i] != 0]
    kernel = kernel_of(record, 3)
    kernel.step(0.3, start_of(3)[None], 0.2)
    assert [call[0] for call in kernel.calls] == kinds
    assert (kernel.frame.n_rhs, kernel.frame.n_solve) == (kinds.count("rhs"), len(stages))
    kernel.step(0.3, go(kernel, 0.1, start_of(3), 0.2, 1), 0.2, fresh=False)
    carried = kinds[0] == "rhs"
    assert [call[0] for call in kernel.calls] == kinds[carried:]
    np.testing.assert_allclose([call[1:3] for call in kernel.calls if call[0] == "solve"], stages, rtol=4 * EPS)
    assert (kernel.frame.n_rhs, kernel.frame.n_solve) == (kinds.count("rhs") - carried, len(stages))
    last = kernel.calls[-1]
    want = (kernel.y - last[3]) / last[2] if last[0] == "solve" else kernel.rhs(last[1], kernel.y)
    np.testing.assert_allclose(kernel.carried[1], want, rtol=4 * EPS)


@those("implicit", coupled=False)
def test_guesses_are_good(record: Any) -> None:
    """With a carried slope every guess is within O(h^2) of the stage; the first of a fresh step is y + h c f, or y."""
    worst = []
    for h in (0.02, 0.01):
        problem = Linear(4)
        kernel = Kernel(record, problem.rhs, 4, problem.solve)
        x = go(kernel, -h, start_of(4), h, 1)
        kernel.step(0.0, x, h, fresh=False)
        worst.append(max(np.max(np.abs(problem.solve(*call[1:4], call[4]) - call[4])) for call in kernel.calls if call[0] == "solve"))
    assert math.log2(worst[0] / worst[1]) > 1.8
    kernel.step(0.0, x[:1], h)
    solves = [call for call in kernel.calls if call[0] == "solve"]
    want = x[0] + (0.0 if butcher(record)[0][0][0] else float(butcher(record)[2][1]) * h * problem.rhs(0.0, x[0]))
    np.testing.assert_allclose(solves[0][4], want, rtol=4 * EPS)


@those("implicit", linear=False)
def test_a_guess_that_overflows_is_replaced(record: Any) -> None:
    kernel = kernel_of(record, 3)
    x = np.stack([start_of(3), *(len(record.vectors) - 1) * [np.full(3, 1e308)]])
    if is_coupled(record):
        kernel.step(0.3, x, 1e-3)
        kernel.step(0.3, x, 1e10, fresh=False)
        assert np.all(kernel.calls[0][4] == 0.0)
        return
    kernel.step(0.3, x, 1e10, fresh=False)
    guesses = [call[4] for call in kernel.calls if call[0] == "solve" and np.all(np.isfinite(call[3]))]
    assert all(np.all(np.isfinite(guess)) for guess in guesses)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("in_place", [False, True])
def test_backward_euler_reaches_the_steady_state_at_once(sign: float, in_place: bool) -> None:
    problem = Linear(3)
    kernel = Kernel(registry.find("backward_euler"), problem.rhs, 3, problem.solve)
    x = go(kernel, 0.1, start_of(3), 0.2, 1)
    assert kernel.step(0.3, x, sign * math.inf, fresh=False, in_place=in_place) == 0
    assert kernel.calls[0][1:3] == (0.3, sign * math.inf)
    assert bits(kernel.calls[0][3]) == bits(kernel.calls[0][4]) == bits(x[0])  # r and the guess are y
    np.testing.assert_allclose(problem.rhs(0.3, kernel.y), 0.0, atol=1e-15)
    assert np.all(kernel.carried[1] == 0.0)


@those("implicit")
def test_infinite_steps_are_for_one_stage(record: Any) -> None:
    kernel = kernel_of(record, 3)
    status = kernel.step(0.3, start_of(3)[None], math.inf)
    assert status == (0 if record.stages == 1 else -1001)


@those("implicit", "embedded", coupled=False)
def test_estimate_is_filtered_where_the_problem_can(record: Any) -> None:
    """(I - gh J)^-1 times the plain estimate, in which components live on that y+ has forgotten."""
    problem = Linear(4, stiffness=1e6)
    plain, filtered = (Kernel(record, problem.rhs, 4, problem.solve, lsolve) for lsolve in (None, problem.lsolve))
    gh = [float(line[i]) for i, line in enumerate(butcher(record)[0]) if line[i]][-1] * 0.1
    for kernel in (plain, filtered):
        kernel.step(0.3, np.full((1, 4), math.cos(0.3) + 1e-3), 0.1)
    assert bits(plain.carried) == bits(filtered.carried)
    assert filtered.calls[-1][:3] == ("lsolve", 0.3 + 0.1, gh)
    assert bits(filtered.calls[-1][3]) == bits(plain.errors[0])
    assert bits(filtered.errors[0]) == bits(problem.lsolve(0.4, gh, plain.errors[0]))
    left = 1e-3 * abs(stability_function(record, -1e12))  # it began at 1e-3
    assert np.max(np.abs(plain.y[1:] - math.cos(0.4))) < left + 1e-6
    assert np.max(np.abs(plain.errors)) > 1e-4
    assert np.all(np.abs(filtered.errors[0, 1:]) < 1e-3 * np.abs(plain.errors[0, 1:]))


# ---- RKC ---------------------------------------------------------------------------------------------------------------

RKC = [pytest.param(record, id=f"{record.name}-{level}") for record, level in STEPS if "staged" in record.flags]


def amplification(record: Any, s: int, z: Array) -> tuple[Array, Array]:
    """R(z) with s stages, and its error estimate, from the kernel."""
    kernel = Kernel(record, lambda t, y: z * y, z.size, parameters={"stages": s})
    assert kernel.step(0.0, np.ones((1, z.size)), 1.0) == 0
    return kernel.y, kernel.errors[0]


@pytest.mark.parametrize("record", RKC)
@pytest.mark.parametrize("s", [3, 5, 10, 50])
def test_rkc_meets_the_conditions_of_second_order(record: Any, s: int) -> None:
    A, b, c = chebyshev(s)
    conditions = Conditions(A, b)
    for order in (1, 2):
        assert max(map(conditions.residual, trees_of(order))) < 1e-30  # the oracle is right
    calls: list[float] = []
    kernel = Kernel(record, lambda t, y: calls.append(t) or np.zeros(1), 1, parameters={"stages": s})
    kernel.step(0.25, np.ones((1, 1)), 0.5)
    np.testing.assert_allclose(calls, [0.25 + 0.5 * float(v) for v in (*c, 1)], rtol=0, atol=4 * s * EPS)
    # The kernel's weights b: right-hand sides that are zero but at one stage.
    for i in (0, 1, s // 2, s - 1):
        slopes = iter([float(k == i) for k in range(s + 1)])
        kernel = Kernel(record, lambda t, y, slopes=slopes: np.full(1, next(slopes)), 1, parameters={"stages": s})
        kernel.step(0.0, np.zeros((1, 1)), 1.0)
        assert kernel.y[0] == pytest.approx(float(b[i]), rel=0, abs=max(8, s * s) * EPS)  # rounding grows as s^2


@pytest.mark.parametrize("record", RKC)
@pytest.mark.parametrize("s", [3, 7, 20, 100, 500])
def test_rkc_is_stable_and_damped_on_its_interval(record: Any, s: int) -> None:
    """|R| <= 1 on [-0.65 s^2, 0] (2/3 (s^2 - 1)(1 - 2/15 eps) to be exact), damped by eps/3 inside, and large beyond."""
    reach = 2.0 / 3.0 * (s * s - 1.0) * (1.0 - 2.0 / 15.0 * 2.0 / 13.0)
    R, _ = amplification(record, s, -np.linspace(0.0, reach, 20 * s + 1))
    assert np.max(np.abs(R)) <= 1.0
    if s > 3:
        assert np.max(np.abs(R[len(R) // 10 : -len(R) // 10])) < 1.0 - 0.9 * 2.0 / 39.0
    assert abs(amplification(record, s, np.array([-1.1 * reach - 1.0]))[0][0]) > 1.0


@pytest.mark.parametrize("record", RKC)
def test_rkc_stability_function_in_closed_form(record: Any) -> None:
    """R(z) = a_s + b_s T_s(w0 + w1 z), in mpmath."""
    for s in (3, 9, 64):
        z = -np.linspace(0.0, 0.65 * s * s, 57)
        got, _ = amplification(record, s, z)
        with mpmath.workdps(40):
            w0 = 1 + mpmath.mpf(2) / 13 / s**2
            T, d1 = mpmath.chebyt(s, w0), s * mpmath.chebyu(s - 1, w0)
            d2 = (w0 * d1 - s**2 * T) / (1 - w0**2)
            w1, b = d1 / d2, d2 / d1**2
            want = [float(1 - b * T + b * mpmath.chebyt(s, w0 + w1 * mpmath.mpf(x))) for x in z]
        np.testing.assert_allclose(got, want, rtol=0, atol=s * s * EPS)


@pytest.mark.parametrize("record", RKC)
@pytest.mark.parametrize("s", [5, 30])
def test_rkc_error_estimate_and_order(record: Any, s: int) -> None:
    problem = PROBLEMS[1]
    errors = []
    for steps in (50, 100):
        kernel = Kernel(record, problem.fun, 3, parameters={"stages": s})
        x, h = problem.y0[None], problem.t_end / steps
        for k in range(steps):
            before = x
            assert kernel.step(k * h, x, h, fresh=k == 0) == 0
            x = kernel.carried
            assert kernel.frame.n_rhs == s + (k == 0)
        first = problem.fun((steps - 1) * h, before[0])
        want = 0.8 * (before[0] - x[0]) + 0.4 * h * (first + problem.fun(steps * h, x[0]))
        np.testing.assert_allclose(kernel.errors[0], want, rtol=0, atol=8 * EPS)
        errors.append(np.max(np.abs(x[0] - problem.exact(problem.t_end))))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("record", RKC)
@pytest.mark.parametrize(("rho", "h"), [(0.0, 1.0), (1.0, 1e-9), (3.0, 0.5), (400.0, 0.1), (400.0, -0.1), (1e6, 0.01), (6e7, 1.0)])
def test_rkc_takes_its_stages_from_the_spectral_radius(record: Any, rho: float, h: float) -> None:
    kernel = Kernel(record, lambda t, y: -rho * y, 1, rho=rho)
    assert kernel.step(0.0, np.ones((1, 1)), h) == 0
    s = max(3, 1 + int(math.sqrt(1.54 * abs(h) * rho + 1.0)))
    assert kernel.frame.n_rhs == s + 1
    assert 0.65 * (s * s - 1) >= abs(h) * rho
    assert h < 0 or abs(kernel.y[0]) <= 1.0


@pytest.mark.parametrize("record", RKC)
def test_rkc_asks_for_a_smaller_step_or_a_radius(record: Any) -> None:
    ask = stepper.MANY_STAGES  # above 0, as any code that asks for a smaller step, and no code that a callback would return
    assert ask > 1002
    for rho, h, status in ((1e9, 1.0, ask), (math.inf, 1.0, ask), (math.nan, 1.0, -1001), (-1.0, 1.0, -1001), (1e9, -1.0, ask)):
        kernel = Kernel(record, lambda t, y: -y, 1, rho=rho)
        assert kernel.step(0.0, np.ones((1, 1)), h) == status
        assert kernel.calls == []
    with pytest.raises(ValueError, match="stages: rkc2 does not work with stages = 1"):
        record.sizes({"stages": 1.0})
    with pytest.raises(ValueError, match="expected a whole number in"):
        record.sizes({"stages": 10_001.0})
    assert record.sizes({"stages": 10_000.0})["n_work"] == 5


@pytest.mark.parametrize("record", RKC)
def test_rkc_rounds_little_with_many_stages(record: Any) -> None:
    """A state of size 1e8 that moves by 1: rounding grows with the move, not with s^2 times the state."""
    s = 1000
    kernel = Kernel(record, lambda t, y: np.full(1, 1.0), 1, parameters={"stages": s})
    kernel.step(0.0, np.full((1, 1), 1e8), 1.0)
    assert kernel.y[0] == 1e8 + 1.0
    assert abs(kernel.errors[0][0]) <= 1e-11
