"""The battery: every method on every instruction set, from the registry.

Oracles share no code with the kernels: exact solutions, order conditions in exact fractions, textbook formulas and NumPy forms in long
double (reference.py), mpmath. Where bits are promised, they are compared as bits.
"""

import itertools
import math
import os
import subprocess
import sys
import tracemalloc
from typing import Any

import numpy as np
import pytest
from mflow_core import registry
from mflow_core.problems import problem
from mflow_core.stepping import stepper
from mflow_core.stepping.last_step import LastStep

import mflow
from support.battery import EPS, bits, descent_of, end_of, run_of, same_at
from support.levels import LEVELS
from support.oracles.reference import LIMIT_FLOWS, ORACLES, defaults
from support.oracles.tableaus import (
    TEXTBOOK,
    Conditions,
    beta_of,
    butcher,
    documented_step,
    evaluations,
    is_coupled,
    is_rosenbrock,
    solved,
    solves,
    stages_at,
    times_of,
    trees_of,
    weight_of_slopes,
)
from support.problems import GROWTH, PROBLEMS, RHO, SIZES, Array, Boom, componentwise, decay_cfunc, flush_to_zero, start_of, waves
from support.small_cases import for_all

# ---- the method records ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
def test_levels_hold_the_same_records(level: str) -> None:
    def facts(record: Any) -> tuple[Any, ...]:
        return (
            record.name,
            record.kind,
            record.order,
            record.stages,
            record.flags,
            record.parameters_,
            record.tableau,
            record.sizes(),
            record.vectors,
            record.formula,
        )

    assert [facts(record) for record in registry.records_of(level)] == [facts(record) for record in registry.records()]


def test_every_update_record_has_an_oracle() -> None:
    records = [record for record in registry.records() if record.kind == "update"]
    assert records
    assert {record.name for record in records} == set(ORACLES)
    assert {record.name for record in records if "linear" in record.flags} == set(LIMIT_FLOWS)


def test_names_and_aliases_are_found_and_unique() -> None:
    names = [name for record in registry.records() for name in (record.name, *record.aliases)]
    assert len(set(names)) == len(names)
    for record in registry.records():
        assert {registry.find(name).address for name in (record.name, *record.aliases)} == {record.address}


def test_row_facts_are_filled_in(each_method: Any) -> None:
    for text in (each_method.name, each_method.class_name, each_method.family, each_method.formula, each_method.doc, each_method.reference):
        assert text.strip()
    for name, value, lower, upper, kind, _, choices, words in each_method.parameters_:
        assert lower <= value <= upper, name
        assert words, name
        assert (kind == "choice") == bool(choices), name
    assert each_method.sizes()["n_vec"] <= len(each_method.vectors)


# ---- tableaus --------------------------------------------------------------------------------------------------------


def test_rooted_trees_are_counted_right() -> None:
    assert [len(trees_of(k)) for k in range(1, 7)] == [1, 1, 2, 4, 9, 20]  # OEIS A000081


def test_order_conditions(one_step_method: Any) -> None:
    """sum_i b_i weight_i = 1/density for every tree up to the declared order, and not for all of the next."""
    A, b, _ = butcher(one_step_method)
    B = beta_of(one_step_method)
    conditions, roundings = Conditions(A, b, B), 4 if B is None else 32  # these coefficients are made of published ones
    sizes = conditions.sizes()
    for order in range(1, one_step_method.order + 1):
        for tree in trees_of(order):
            assert conditions.residual(tree) <= roundings * EPS * max(1.0, float(sizes.side(tree))), (order, tree)
    assert any(conditions.residual(tree) > 1e-10 for tree in trees_of(one_step_method.order + 1))


def test_tableau_is_triangular_and_consistent(one_step_method: Any) -> None:
    A, b, c = butcher(one_step_method)
    assert len(A) == len(b) == len(c) == one_step_method.stages
    if is_coupled(one_step_method):
        check_transformation(one_step_method.tableau)
    if is_rosenbrock(one_step_method):
        G = np.array(one_step_method.tableau["G"])
        assert np.all(np.triu(G, 1) == 0.0)
        assert len(set(np.diag(G).tolist())) == 1
    for i, line in enumerate(A):
        assert is_coupled(one_step_method) or all(entry == 0 for entry in line[i + ("implicit" in one_step_method.flags) :])
        assert abs(float(sum(line) - c[i])) <= 2 * EPS * max(1.0, float(sum(map(abs, line))))
    assert abs(float(sum(b) - 1)) <= (32 if is_rosenbrock(one_step_method) else 4) * EPS  # coefficients known to 15 digits alone


def check_transformation(tableau: dict[str, Any]) -> None:
    """A A_inv = I and A_inv = T L T_inv, L of a real eigenvalue and a complex pair."""
    A, inverse, T, T_inv = (np.array(tableau[name]) for name in ("A", "A_inv", "T", "T_inv"))
    real, re, im = tableau["mu"]
    L = np.array([[real, 0.0, 0.0], [0.0, re, -im], [0.0, im, re]])
    np.testing.assert_allclose(A @ inverse, np.eye(3), rtol=0, atol=64 * EPS)
    np.testing.assert_allclose(T @ T_inv, np.eye(3), rtol=0, atol=16 * EPS)
    np.testing.assert_allclose(T @ L @ T_inv, inverse, rtol=0, atol=64 * EPS)


def test_ssp_methods_are_convex_combinations(step_method: Any) -> None:
    if "ssp" not in step_method.flags:
        assert "alpha" not in (step_method.tableau or {})
        return
    alpha, beta = np.array(step_method.tableau["alpha"]), np.array(step_method.tableau["beta"])
    assert np.all(alpha >= 0)
    assert np.all(beta >= 0)
    assert np.all(alpha[beta > 0] > 0)
    np.testing.assert_allclose(alpha[1:].sum(axis=1), 1.0, rtol=0, atol=2 * EPS)


def test_method_butcher_is_the_tableau(one_step_method: Any) -> None:
    derived = mflow.get_method(one_step_method.name).butcher
    if "staged" in one_step_method.flags:
        assert derived is None  # it depends on the number of stages
        return
    A, b, c = derived
    exact = butcher(one_step_method)
    for got, want in zip((A, [b], [c]), (exact[0], [exact[1]], [exact[2]]), strict=True):
        np.testing.assert_allclose(np.array(got), np.array(want, dtype=np.float64), rtol=0, atol=2 * EPS)


# ---- steps -----------------------------------------------------------------------------------------------------------


def error_after(record: Any, equation: Any, steps: int) -> float:
    run = run_of(record, equation.fun, equation.y0, equation.t_end / steps)
    assert run.fixed(steps) == 0
    return float(np.max(np.abs(run.y - equation.exact(equation.t_end))))


def test_observed_order(step_method: Any) -> None:
    """Of the errors of all problems together: that of a single number may change its sign between two steps, and show any order."""
    goal = 1e-8 if step_method.order < 5 else 1e-9  # well above the errors of rounding and Newton's iteration in each step
    steps = min(2000, math.ceil(goal ** (-1.0 / step_method.order)) // 2)
    coarse, fine = (sum(error_after(step_method, equation, n) for equation in PROBLEMS) for n in (steps, 2 * steps))
    observed = math.log2(coarse / fine)
    if step_method.order < 5:
        assert observed == pytest.approx(step_method.order, abs=0.05)
    else:  # doubles end before the next power of h has died away
        assert step_method.order - 0.2 <= observed <= step_method.order + 0.7


@for_all("n", [n for n in SIZES if n])
def test_step_agrees_with_its_tableau(one_step_method: Any, n: int) -> None:
    """One step in long double from the Butcher form, the diagonal of A solved for. The slope is linear, so that it rounds little."""
    y0, t0, h = start_of(n), 0.25, 0.125
    stages = stages_at(one_step_method, h, RHO)
    A, b, c = (np.array(part, dtype=np.longdouble) for part in butcher(one_step_method, stages))
    y, K = y0.astype(np.longdouble), []
    if is_coupled(one_step_method):  # K_i = rate_i (y + h sum_j A_ij K_j)
        rates = 2 - (t0 + c * h)
        K = [weight * y for weight in solved(np.eye(len(b), dtype=np.longdouble) - h * rates[:, None] * A, rates)]
    if is_rosenbrock(one_step_method):  # J = 2 - t0 and f_t = -y
        G = np.array(one_step_method.tableau["G"], dtype=np.longdouble)
        for i in range(len(b)):
            known = (2 - (t0 + c[i] * h)) * (y + h * sum((A[i, j] * K[j] for j in range(i)), start=np.zeros_like(y)))
            known = known + (2 - t0) * h * sum((G[i, j] * K[j] for j in range(i)), start=np.zeros_like(y)) - h * G[i].sum() * y
            K.append(known / (1 - h * G[i, i] * (2 - t0)))
    for i in range(len(K), len(b)):
        rate = 2 - (t0 + c[i] * h)
        K.append(rate * (y + h * sum((A[i, j] * K[j] for j in range(i)), start=np.zeros_like(y))) / (1 - h * A[i, i] * rate))
    want = y + h * sum(w * k for w, k in zip(b, K, strict=True))
    got = end_of(one_step_method, GROWTH, y0, t0, h, 1)
    weight = weight_of_slopes(one_step_method, stages)
    assert np.all(np.abs(got - want) <= max(2 * stages, weight) * EPS * np.abs(want))
    if n < 100 and not is_rosenbrock(one_step_method):  # Newton's iteration is told that fixed steps are to be solved to rounding
        by_newton = run_of(one_step_method, GROWTH.rhs, y0, h, t0).trial(h)
        assert np.all(np.abs(by_newton - want) <= max(64, 8 * weight) * EPS * np.max(np.abs(want)))


@pytest.mark.parametrize(("name", "level"), [(name, level) for name in TEXTBOOK for level in LEVELS])
def test_step_agrees_with_the_textbook(name: str, level: str) -> None:
    y0, t0, h = start_of(17), 0.5, 0.25
    got = run_of(same_at(registry.find(name), level), waves, y0, h, t0).trial(h)
    np.testing.assert_allclose(got, TEXTBOOK[name](waves, t0, y0, h), rtol=0, atol=4e-15)


@for_all("n", SIZES)
def test_step_has_the_documented_bits(one_step_record: Any, n: int) -> None:
    y0, h, equation = start_of(n), 0.1, componentwise(one_step_record)
    x = y0[None]
    for k in range(3):
        x = documented_step(one_step_record, equation, 0.3 + k * h, x, h, stages_at(one_step_record, h, RHO))
    if is_rosenbrock(one_step_record):  # whose kernel works in other unknowns
        np.testing.assert_allclose(end_of(one_step_record, equation, y0, 0.3, h, 3), x[0], rtol=0, atol=1e-13)
        return
    assert bits(end_of(one_step_record, equation, y0, 0.3, h, 3)) == bits(x[0])


@for_all("n", SIZES)
def test_step_has_the_same_bits_on_every_level(step_method: Any, n: int) -> None:
    runs = [run_of(same_at(step_method, level), waves, start_of(n)) for level in LEVELS]
    for run in runs:
        run.fixed(5 if n < 20_000 else 2)
    assert len({run.pack() for run in runs}) == 1


def test_processes_of_all_levels_make_the_same_bits() -> None:
    """The rest of a step, too: reductions, factors, Newton's iteration, error control, in a process that works at that level alone."""
    results = []
    for level in LEVELS:
        command = [sys.executable, "-c", EVERY_ROW]
        out = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "MFLOW_ISA": level})
        assert out.stdout.startswith(f"{level}\n")
        results.append(out.stdout.removeprefix(level).splitlines())
    assert len(results[0]) > 4 * len(
        [record for record in registry.records() if record.kind == "step" and "second_order" not in record.flags]
    )
    assert all(result == results[0] for result in results)


EVERY_ROW = """
import hashlib
import numpy as np
import mflow, mflow_core
from mflow_core import registry

def fun(t, y):  # a chain that stiffens with its length
    return 5.0 * (np.roll(y, 1) - 2.0 * y + np.roll(y, -1)) * np.linspace(1.0, y.size, y.size) + np.sin(y) + t

print(mflow_core.isa())
for record in registry.records():
    if record.kind != "step" or "second_order" in record.flags:
        continue
    ways = [{"dt": 1e-4}, {"rtol": 1e-5}] if "embedded" in record.flags else [{"dt": 1e-4}]
    solvers = ["newton", "newton_krylov", "fixed_point"] if "implicit" in record.flags else [None]
    if "G" in (record.tableau or {}):
        solvers = ["newton"]
    for n in (3, 16, 201):
        for way in ways:
            for solver in solvers:
                y0 = np.random.default_rng(n).standard_normal(n)
                r = mflow.solve_ivp(fun, (0.0, 8e-4), y0, method=record.name, solver=solver, **way)
                print(record.name, n, way, solver, r.reason, r.nfev, hashlib.sha256(r.y.tobytes()).hexdigest())
"""


def test_evaluations_are_counted(one_step_record: Any) -> None:
    """Each call is counted and stands where the tableau says; Newton's iteration makes as many as needed, all at the time of the stage."""
    calls: list[float] = []
    run = run_of(one_step_record, lambda t, y: calls.append(t) or -y, start_of(3), 0.5)
    run.fixed(4)
    stages = stages_at(one_step_record, 0.5, RHO)
    made, times = evaluations(one_step_record, 4, stages), times_of(one_step_record, 0.0, 0.5, 4, stages)
    assert len(calls) == run.nfev
    if "implicit" in one_step_record.flags:
        counters = run.solver.counters
        assert (counters["nsolve"], counters["nfail"]) == (solves(one_step_record, 4), 0)
        assert len(calls) - counters["n_rhs"] == made
        if is_rosenbrock(one_step_record):  # without the differences by t
            calls = [t for t in calls if not 0.0 < t % 0.5 < 1e-6]
        calls, times = ([t for t, _ in itertools.groupby(seen)] for seen in (calls, times))
    else:
        assert len(calls) == made
    if is_coupled(one_step_record):  # all stages again and again, and the start, where the Jacobian is taken
        calls, times = sorted({round(t, 12) for t in calls}), sorted({0.0, *(round(t, 12) for t in times)})
    np.testing.assert_allclose(calls, times, rtol=0, atol=1e-12 if is_coupled(one_step_record) else 4 * EPS)


def test_large_state_matches_small_ones(step_record: Any) -> None:
    """Components do not meet: any piece of a large state, alone, has the same bits."""
    y0, equation = start_of(5003), componentwise(step_record)
    whole = end_of(step_record, equation, y0, 0.0, 0.05, 3)
    for part in (slice(0, 1), slice(0, 13), slice(511, 514), slice(4990, 5003)):
        assert bits(end_of(step_record, equation, y0[part], 0.0, 0.05, 3)) == bits(whole[part])


@for_all("dt", [0.05, -0.05])
def test_save_and_resume_same_bits(step_record: Any, dt: float) -> None:
    straight, first = (run_of(step_record, waves, start_of(11), dt) for _ in range(2))
    for run in (straight, first):
        run.fixed(2)
        run.step(0.375 * dt)
        run.step(dt)
    straight.fixed(9)
    first.fixed(3)
    resumed = run_of(step_record, waves, np.zeros(11), 9.0)
    resumed.unpack(first.pack())
    for run in (first, resumed):
        run.fixed(6)
        assert run.pack() == straight.pack()
        assert run.t == straight.t == 2.375 * dt + 10 * dt  # each size of step is counted from where it began


def test_damaged_state_changes_nothing(step_record: Any) -> None:
    run = run_of(step_record, waves, start_of(2))
    run.fixed(2)
    good = run.pack()
    other = run_of(step_record, waves, np.zeros(2))
    before = other.pack()
    for i in range(len(good)):
        with pytest.raises(ValueError, match="damaged"):
            other.unpack(good[:i] + bytes([good[i] ^ 0x11]) + good[i + 1 :])
    for wrong in (good[:-1], good + b"\0", b""):
        with pytest.raises(ValueError, match="damaged"):
            other.unpack(wrong)
    assert other.pack() == before


# ---- steps in place, through the C API -------------------------------------------------------------------------------


@for_all("n", [n for n in SIZES if 0 < n < 2000])
def test_step_in_place_has_the_same_bits(one_step_record: Any, n: int) -> None:
    """With a carried slope, too; and all these are the bits of a run."""
    y0, h, equation = start_of(n), 0.1, componentwise(one_step_record)
    kernel = equation.kernel(one_step_record, n)
    x = y0[None]
    for k in range(2):
        ends = []
        for in_place in (False, True):
            assert kernel.step(0.3 + k * h, x, h, fresh=k == 0, in_place=in_place) == 0
            ends.append(kernel.carried)
            stages = stages_at(one_step_record, h, RHO)
            made = evaluations(one_step_record, k + 1, stages) - (k and evaluations(one_step_record, k, stages))
            assert kernel.frame.n_rhs == made
            assert kernel.frame.n_solve == ("implicit" in one_step_record.flags) * solves(one_step_record, 1)
        assert bits(ends[0]) == bits(ends[1])
        x = ends[0]
    assert bits(x[0]) == bits(end_of(one_step_record, equation, y0, 0.3, h, 2))


# ---- callbacks -------------------------------------------------------------------------------------------------------


@for_all(
    ("result", "kind", "words"),
    [
        (None, TypeError, "None; return it, or pass inplace=True"),
        (np.zeros(4), ValueError, r"as the state has, got shape \(4,\)"),
        (np.zeros((3, 1)), ValueError, r"shape \(3, 1\)"),
        (1.0, ValueError, r"shape \(\)"),
        (np.zeros(3, complex), TypeError, "real numbers .*complex128"),
        (["a", "b", "c"], TypeError, "real numbers"),
    ],
)
def test_wrong_callback_output(step_method: Any, result: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match="fun: expected a return value of .*" + words):
        run_of(step_method, lambda t, y: result, np.zeros(3)).fixed(2)


def test_wrong_gradient_output(update_record: Any) -> None:
    with pytest.raises(ValueError, match=r"grad: expected a return value of shape \(3,\), as the state has, got shape \(2,\)"):
        descent_of(update_record, lambda c: np.zeros(2), np.zeros(3)).descend(1, 0.0, False)
    with pytest.raises(TypeError, match=r"grad: expected a return value of .*, got None; return it"):
        descent_of(update_record, lambda c: None, np.zeros(3)).descend(1, 0.0, False)


def test_exception_arrives_unchanged_from_every_call(step_record: Any) -> None:
    """From every stage, and from every call of Newton's iteration and for its Jacobian."""
    calls, fatal, error = 0, -1, Boom("as it is")

    def fun(t: float, y: Array) -> Array:
        nonlocal calls
        calls += 1
        if calls == fatal:
            raise error
        return -y

    run_of(step_record, fun, start_of(3)).fixed(1)
    first, calls = calls, 0
    run_of(step_record, fun, start_of(3)).fixed(2)
    both = calls
    assert first < both
    for fatal in range(1, both + 1):  # `fun` sees it
        error, calls = Boom("as it is"), 0
        run = run_of(step_record, fun, start_of(3))
        with pytest.raises(Boom) as info:
            run.fixed(5)
        assert info.value is error
        assert calls == fatal  # nothing more was called
        assert run.k == (fatal > first)
        assert np.all(np.isfinite(run.y))


def test_exception_from_a_gradient_arrives_unchanged(update_record: Any) -> None:
    error, calls = Boom("as it is"), 0

    def grad(c: Array) -> Array:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise error
        return c

    run = descent_of(update_record, grad, start_of(3), {"lr": 0.125})
    with pytest.raises(Boom) as info:
        run.descend(10, 0.0, False)
    assert info.value is error
    assert (calls, run.k) == (4, 3)


def test_non_finite_state_keeps_the_last_good_step(step_record: Any) -> None:
    """The same reason, whether a state shows it or a slope inside the iteration of an implicit step."""
    implicit = "implicit" in step_record.flags and not is_rosenbrock(step_record)
    run = run_of(step_record, lambda t, y: np.full(3, np.inf if t >= 0.2 else 1.0), np.zeros(3), 0.125)
    assert run.fixed(10) == (stepper.RETRY_NON_FINITE if implicit else stepper.NON_FINITE)
    assert 0 < run.k < 3
    np.testing.assert_allclose(run.y, run.t, rtol=0, atol=4 * EPS)


def test_non_finite_state_is_told_by_its_reason(step_method: Any) -> None:
    fixed = {"dt": 0.125, "method": step_method.name}
    r = mflow.solve_ivp(lambda t, y: np.full(3, np.inf if t >= 0.2 else 1.0), (0.0, 1.0), np.zeros(3), **fixed)
    assert (r.success, r.reason) == (False, "non_finite")
    assert 0.0 < r.t[-1] < 0.3
    np.testing.assert_allclose(r.y[:, -1], r.t[-1], rtol=0, atol=4 * EPS)


def test_a_state_that_decays_to_nothing_goes_on(step_record: Any) -> None:
    """Through numbers without a full mantissa, down to 0, and from there up again."""
    steps = 40 if "multistep" in step_record.flags else 10  # in longer ones its slowest root is not that of the solution
    run = run_of(step_record, lambda t, y: -y if t < 900.0 else 1.0 - y, np.array([1.0, 2.0, -3.0]), 5.0 / steps)
    smallest = 1.0
    for _ in range(180):
        assert run.fixed(steps) == 0
        smallest = min(smallest, float(np.min(np.abs(run.y))))
    assert smallest < 1e-308
    starts = [np.full(3, size) for size in (1e-200, 1e-309, 0.0)]
    for up in (run, *(run_of(step_record, lambda t, y: 1.0 - y, y0, 5.0 / steps) for y0 in starts)):
        assert up.fixed(8 * steps) == 0
        np.testing.assert_allclose(up.y, 1.0, rtol=0, atol=1e-12)


def test_recoverable_stops_a_fixed_step(step_record: Any) -> None:
    def fun(t: float, y: Array) -> Array:
        raise mflow.Recoverable("no")

    run = run_of(step_record, fun, np.ones(2))
    assert run.fixed(3) == 1
    assert run.k == 0


@for_all(
    ("y0", "kind", "words"),
    [
        (np.zeros(3, np.float32), TypeError, "y0: expected a C-contiguous float64 array"),
        (np.zeros((3, 2)).T, TypeError, "y0: expected a C-contiguous float64 array"),
        (np.zeros(6)[::2], TypeError, "y0: expected a C-contiguous float64 array"),
        (np.zeros(4), ValueError, "y0: expected 3 components, as the problem has, got 4"),
    ],
)
def test_run_refuses_what_it_cannot_use(any_method: Any, y0: Array, kind: type[Exception], words: str) -> None:
    step = any_method.kind == "step"
    equation = problem.rhs_problem(waves, (3,)) if step else problem.objective_problem(None, waves, (3,))
    with pytest.raises(kind, match=words):
        stepper.Run(any_method, equation, y0, descend=not step)


def test_update_needs_a_gradient(update_record: Any) -> None:
    with pytest.raises(TypeError, match=f"problem: {update_record.name} needs a callback"):
        stepper.Run(update_record, problem.rhs_problem(waves, (3,)), np.zeros(3))


def test_parameters_outside_their_bounds(update_record: Any) -> None:
    for name, _, lower, upper, _, open_, _, _ in update_record.parameters_:
        wrong = [math.nan, np.nextafter(lower, -math.inf)] + ([upper] if open_[1] else [])
        for value in wrong:
            with pytest.raises(ValueError, match="expected a number in"):
                update_record.sizes({name: value})
    with pytest.raises(TypeError, match="did you mean 'lr'"):
        update_record.sizes({"lrr": 1.0})


# ---- memory, modes of the processor, long products -------------------------------------------------------------------


def test_no_allocation_per_step(step_record: Any) -> None:
    """Python's allocators: a thousand steps of a compiled problem take no more than one does."""
    compiled = decay_cfunc()
    peaks = []
    for steps in (1, 1, 1000, 1000, 1000):
        run = run_of(step_record, compiled, np.ones(64), 1e-3)
        tracemalloc.start()
        run.fixed(steps)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert min(peaks[2:]) <= peaks[1]  # a thread of the runner of tests may allocate meanwhile, in one of them


HUGE = 150_000  # 1.2 MB: `no_more_memory` takes every block of this size that is left, so that one inside a step would be refused


def test_no_allocation_inside_a_step(step_method: Any, no_more_memory: Any) -> None:
    run = run_of(step_method, decay_cfunc(), np.ones(HUGE), 1e-3)
    no_more_memory(HUGE)
    with pytest.raises(MemoryError):
        np.ones(HUGE)
    assert run.fixed(2) == 0


def test_no_allocation_inside_an_update(update_method: Any, no_more_memory: Any) -> None:
    c, g = np.ones(HUGE), np.ones(HUGE)
    opt = getattr(mflow.optim, update_method.class_name)(c)
    no_more_memory(HUGE)
    with pytest.raises(MemoryError):
        np.ones(HUGE)
    opt.step(g)
    opt.step(g)
    assert opt.steps == 2


def test_flush_to_zero_of_the_host_does_not_reach_the_bits(any_record: Any) -> None:
    tiny, between = np.linspace(1.0, 2.0, 40) * 1e-309, []
    if any_record.kind == "step":
        runs = [run_of(any_record, lambda t, y: -0.7 * y, tiny, dense=True) for _ in range(2)]
        goes = [lambda run=run: (run.fixed(3), between.append(LastStep(run).state(0.12))) for run in runs]
    else:
        runs = [descent_of(any_record, lambda c: 0.7 * c, tiny, defaults(any_record, lr=0.25)) for _ in range(2)]
        goes = [lambda run=run: run.descend(3, -1.0, False) for run in runs]
    goes[0]()
    with flush_to_zero():
        flushed = bool((tiny * 0.5 == 0.0).all())
        goes[1]()
        still = bool((tiny * 0.5 == 0.0).all())
    assert (flushed, still) == (True, True)  # the host's mode was on, and was given back
    assert runs[0].pack() == runs[1].pack()
    assert len(set(map(bits, between))) <= 1
    assert np.any(runs[0].vector(0) != tiny) or any_record.kind == "update"  # gradients as small as these may lie on a plateau
