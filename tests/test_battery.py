"""The battery: every row on every instruction set, from the registry.

Oracles share no code with the kernels: exact solutions, order conditions in exact fractions, textbook formulas and NumPy forms in long
double (reference.py), mpmath. Where bits are promised, they are compared as bits.
"""

import math
import tracemalloc
from typing import Any

import mpmath
import numpy as np
import pytest
from mflow_core import problem, registry, stepper, updater

import mflow
from conftest import LEVELS
from mflow.nonlinear import make_solver
from problems import PROBLEMS, SIZES, Array, Walk, decay_cfunc, flush_to_zero, gradients, start_of, step_by_c, waves
from reference import (
    LIMIT_FLOWS,
    ORACLES,
    TEXTBOOK,
    Follow,
    butcher,
    defaults,
    documented_step,
    evaluations,
    magnitude,
    residual,
    times_of,
    trees_of,
    ulps,
    variants,
)

EPS = 2.0**-52


class Boom(Exception):
    pass


def bits(a: Any) -> bytes:
    return np.ascontiguousarray(a, dtype=np.float64).tobytes()


def same_at(row: Any, level: str) -> Any:
    return next(other for other in registry._rows_of(level) if other.name == row.name)


def run_of(row: Any, fun: Any, y0: Array, dt: float = 0.05, t0: float = 0.0) -> Any:
    what = problem.rhs_problem(fun, y0.shape)
    solver = make_solver(None, what, y0.shape, (t0, y0)) if "implicit" in row.flags else None
    run = stepper.Run(row, what, y0, t0, dt, solver=solver)
    if "needs_rho" in row.flags:
        run.hold_rho(40.0)
    return run


def descent_of(row: Any, grad: Any, c0: Array, parameters: dict[str, float] | None = None) -> Any:
    what = problem.objective_problem(None, grad, c0.shape)
    return stepper.Run(row, what, c0, 0.0, 0.01, parameters, descend=True)


# ---- the rows themselves ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
def test_levels_hold_the_same_rows(level: str) -> None:
    def facts(row: Any) -> tuple[Any, ...]:
        return row.name, row.kind, row.order, row.stages, row.flags, row.parameters_, row.tableau, row.sizes(), row.vectors, row.formula

    assert [facts(row) for row in registry._rows_of(level)] == [facts(row) for row in registry.rows()]


def test_every_update_row_has_an_oracle() -> None:
    rows = [row for row in registry.rows() if row.kind == "update"]
    assert rows
    assert {row.name for row in rows} == set(ORACLES)
    assert {row.name for row in rows if "linear" in row.flags} == set(LIMIT_FLOWS)


def test_names_and_aliases_are_found_and_unique() -> None:
    names = [name for row in registry.rows() for name in (row.name, *row.aliases)]
    assert len(set(names)) == len(names)
    for row in registry.rows():
        assert {registry.find(name).address for name in (row.name, *row.aliases)} == {row.address}


def test_row_facts_are_filled_in(each_row: Any) -> None:
    for text in (each_row.name, each_row.class_name, each_row.family, each_row.formula, each_row.doc, each_row.reference):
        assert text.strip()
    for name, value, lower, upper, kind, _, choices, words in each_row.parameters_:
        assert lower <= value <= upper, name
        assert words, name
        assert (kind == "choice") == bool(choices), name
    assert each_row.sizes()["n_vec"] <= len(each_row.vectors)


# ---- tableaus --------------------------------------------------------------------------------------------------------


def test_rooted_trees_are_counted_right() -> None:
    assert [len(trees_of(k)) for k in range(1, 7)] == [1, 1, 2, 4, 9, 20]  # OEIS A000081


def test_order_conditions(step_row: Any) -> None:
    """sum_i b_i weight_i = 1/density for every tree up to the declared order, and not for all of the next."""
    A, b, _ = butcher(step_row)
    for order in range(1, step_row.order + 1):
        for tree in trees_of(order):
            assert residual(tree, A, b) <= 4 * EPS * max(1.0, magnitude(tree, A, b)), (order, tree)
    assert max(residual(tree, A, b) for tree in trees_of(step_row.order + 1)) > 1e-6


def test_tableau_is_triangular_and_consistent(step_row: Any) -> None:
    A, b, c = butcher(step_row)
    assert len(A) == len(b) == len(c) == step_row.stages
    for i, line in enumerate(A):
        assert all(entry == 0 for entry in line[i + ("implicit" in step_row.flags) :])
        assert abs(float(sum(line) - c[i])) <= 2 * EPS * max(1.0, float(sum(map(abs, line))))
    assert abs(float(sum(b) - 1)) <= 2 * EPS


def test_ssp_rows_are_convex_combinations(step_row: Any) -> None:
    if "ssp" not in step_row.flags:
        assert "alpha" not in (step_row.tableau or {})
        return
    alpha, beta = np.array(step_row.tableau["alpha"]), np.array(step_row.tableau["beta"])
    assert np.all(alpha >= 0)
    assert np.all(beta >= 0)
    assert np.all(alpha[beta > 0] > 0)
    np.testing.assert_allclose(alpha[1:].sum(axis=1), 1.0, rtol=0, atol=2 * EPS)


def test_method_butcher_is_the_tableau(step_method: Any) -> None:
    derived = mflow.get_method(step_method.name).butcher
    if "staged" in step_method.flags:
        assert derived is None  # it depends on the number of stages
        return
    A, b, c = derived
    exact = butcher(step_method)
    for got, want in zip((A, [b], [c]), (exact[0], [exact[1]], [exact[2]]), strict=True):
        np.testing.assert_allclose(np.array(got), np.array(want, dtype=np.float64), rtol=0, atol=2 * EPS)


# ---- steps -----------------------------------------------------------------------------------------------------------


def error_after(row: Any, what: Any, steps: int) -> float:
    run = run_of(row, what.fun, what.y0, what.t_end / steps)
    assert run.fixed(steps) == 0
    return float(np.max(np.abs(run.y - what.exact(what.t_end))))


@pytest.mark.parametrize("what", PROBLEMS, ids=lambda p: p.name)
def test_observed_order(step_row: Any, what: Any) -> None:
    steps = min(2000, math.ceil(1e-9 ** (-1.0 / step_row.order)) // 2)
    observed = math.log2(error_after(step_row, what, steps) / error_after(step_row, what, 2 * steps))
    if step_row.order < 5:
        assert observed == pytest.approx(step_row.order, abs=0.05)
    else:  # doubles end before the next power of h has died away
        assert step_row.order - 0.2 <= observed <= step_row.order + 0.7


@pytest.mark.parametrize("n", [n for n in SIZES if n])
def test_step_agrees_with_its_tableau(step_row: Any, n: int) -> None:
    """One step in long double from the Butcher form. The slope is linear, so that it rounds little: (2 - t) y."""
    A, b, c = (np.array(part, dtype=np.longdouble) for part in butcher(step_row))
    y0, t0, h = start_of(n), 0.25, 0.125
    y, K = y0.astype(np.longdouble), []
    for i in range(len(b)):
        K.append((2 - (t0 + c[i] * h)) * (y + h * sum((A[i, j] * K[j] for j in range(i)), start=np.zeros_like(y))))
    want = y + h * sum(w * k for w, k in zip(b, K, strict=True))
    run = run_of(step_row, lambda t, y: (2.0 - t) * y, y0, h, t0)
    got = run.trial(h)
    assert np.all(np.abs(got - want) <= 2 * step_row.stages * EPS * np.abs(want))


@pytest.mark.parametrize(("name", "level"), [(name, level) for name in TEXTBOOK for level in LEVELS])
def test_step_agrees_with_the_textbook(name: str, level: str) -> None:
    y0, t0, h = start_of(17), 0.5, 0.25
    got = run_of(same_at(registry.find(name), level), waves, y0, h, t0).trial(h)
    np.testing.assert_allclose(got, TEXTBOOK[name](waves, t0, y0, h), rtol=0, atol=4e-15)


@pytest.mark.parametrize("n", SIZES)
def test_step_has_the_documented_bits(step_row: Any, n: int) -> None:
    y0, h = start_of(n), 0.1
    run = run_of(step_row, waves, y0, h, 0.3)
    want = y0
    for k in range(3):
        want = documented_step(step_row, waves, 0.3 + k * h, want, h)
    assert run.fixed(3) == 0
    assert bits(run.y) == bits(want)


@pytest.mark.parametrize("n", SIZES)
def test_step_has_the_same_bits_on_every_level(step_row: Any, n: int) -> None:
    runs = [run_of(same_at(step_row, level), waves, start_of(n)) for level in LEVELS]
    mine = run_of(step_row, waves, start_of(n))
    for run in (*runs, mine):
        run.fixed(5)
    assert {run.pack() for run in runs} == {mine.pack()}


def test_evaluations_are_counted(step_row: Any) -> None:
    calls: list[float] = []
    run = run_of(step_row, lambda t, y: calls.append(t) or -y, start_of(3), 0.5)
    run.fixed(4)
    assert len(calls) == run.nfev == evaluations(step_row, 4)
    np.testing.assert_allclose(calls, times_of(step_row, 0.0, 0.5, 4), rtol=0, atol=4 * EPS)


def test_large_state_matches_small_ones(step_row: Any) -> None:
    """Components do not meet: any piece of a large state, alone, has the same bits."""
    y0 = start_of(5003)
    whole = run_of(step_row, waves, y0)
    whole.fixed(3)
    for part in (slice(0, 1), slice(0, 13), slice(511, 514), slice(4990, 5003)):
        piece = run_of(step_row, waves, y0[part])
        piece.fixed(3)
        assert bits(piece.y) == bits(whole.y[part])


@pytest.mark.parametrize("dt", [0.05, -0.05])
def test_save_and_resume_same_bits(step_row: Any, dt: float) -> None:
    straight, first = (run_of(step_row, waves, start_of(11), dt) for _ in range(2))
    for run in (straight, first):
        run.fixed(2)
        run.step(0.375 * dt)
        run.step(dt)
    straight.fixed(9)
    first.fixed(3)
    resumed = run_of(step_row, waves, np.zeros(11), 9.0)
    resumed.unpack(first.pack())
    for run in (first, resumed):
        run.fixed(6)
        assert run.pack() == straight.pack()
        assert run.t == straight.t == 2.375 * dt + 10 * dt  # each size of step is counted from where it began


def test_damaged_state_changes_nothing(step_row: Any) -> None:
    run = run_of(step_row, waves, start_of(2))
    run.fixed(2)
    good = run.pack()
    other = run_of(step_row, waves, np.zeros(2))
    before = other.pack()
    for i in range(len(good)):
        with pytest.raises(ValueError, match="damaged"):
            other.unpack(good[:i] + bytes([good[i] ^ 0x11]) + good[i + 1 :])
    for wrong in (good[:-1], good + b"\0", b""):
        with pytest.raises(ValueError, match="damaged"):
            other.unpack(wrong)
    assert other.pack() == before


# ---- steps in place, through the C API -------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [n for n in SIZES if 0 < n < 2000])
def test_step_in_place_has_the_same_bits(step_row: Any, n: int) -> None:
    y0 = start_of(n)
    apart, calls = step_by_c(step_row, y0, 0.1, in_place=False)
    assert calls == evaluations(step_row, 1)
    assert bits(step_by_c(step_row, y0, 0.1, in_place=True)[0]) == bits(apart) == bits(run_of(step_row, waves, y0, 0.1, 0.3).trial(0.1))


# ---- updates ---------------------------------------------------------------------------------------------------------


def test_update_agrees_with_its_oracle(update_row: Any) -> None:
    c0, grads = start_of(61), gradients(61, 25)
    for parameters in variants(update_row):
        for scale in (1.0, -0.5):
            walk, oracle = Walk(update_row, parameters, c0), Follow(update_row.name, parameters, c0)
            moved = np.zeros(c0.shape, np.longdouble)
            for k, g in enumerate(grads):
                before = walk.vectors[0].copy()
                want = oracle.step(before, g, scale)
                walk.step(g, scale)
                moved = moved + np.abs(want - before)
                assert np.all(np.abs(walk.vectors[0] - want) <= 8 * EPS * (np.abs(before) + moved)), (parameters, scale, k)


def test_update_order_in_lr(flow_row: Any) -> None:
    """For lr -> 0 the linear rows follow their flow, to the declared order."""
    L, T, errors = 0.5, 1.0, []
    for steps in (2000, 4000):
        parameters = defaults(flow_row, lr=T / steps)
        parameters.update({"friction": 0.5} if "friction" in parameters else {"momentum": 0.5} if "momentum" in parameters else {})
        walk = Walk(flow_row, parameters, np.ones(1))
        for _ in range(steps):
            walk.step(L * walk.vectors[0])
        errors.append(abs(walk.vectors[0][0] - LIMIT_FLOWS[flow_row.name](parameters, L, T)))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(flow_row.order, abs=0.05)


@pytest.mark.parametrize("n", SIZES)
def test_update_has_the_same_bits_on_every_level(update_row: Any, n: int) -> None:
    c0, grads = start_of(n), gradients(n, 4)
    for parameters in (variants(update_row)[0], variants(update_row)[-1]):
        walks = [Walk(row, parameters, c0) for row in (update_row, *(same_at(update_row, level) for level in LEVELS))]
        for walk in walks:
            for g in grads:
                walk.step(g)
        assert len({walk.bits for walk in walks}) == 1
        assert n == 0 or bits(walks[0].vectors[0]) != bits(c0)


def test_ask_has_the_same_bits_on_every_level(update_row: Any) -> None:
    """Where the gradient is wanted: at c, or ahead of it by a multiple of v, for every form of the row."""
    for parameters in variants(update_row):
        points = []
        for row in (update_row, *(same_at(update_row, level) for level in LEVELS)):
            walk = Walk(row, parameters, start_of(77))
            walk.step(gradients(77, 1)[0])
            points.append(updater.ask(row, updater.begin(row, parameters, 1, walk.scalars), walk.vectors))
            c = walk.vectors[0]
        assert len(set(map(bits, points))) == 1
        ahead = parameters.get("lookahead", 0.0) or parameters.get("form", 0.0)
        assert (bits(points[0]) != bits(c)) == bool(ahead)


@pytest.mark.parametrize("cuts", [(1,), (0, 5, 5), (13, 64, 65, 200), tuple(range(1, 257)), (256,)])
def test_update_chunks_have_the_same_bits(update_row: Any, cuts: tuple[int, ...]) -> None:
    c0, grads = start_of(257), gradients(257, 4)
    for parameters in variants(update_row):
        whole, parts = Walk(update_row, parameters, c0), Walk(update_row, parameters, c0, cuts)
        for g in grads:
            whole.step(g)
            parts.step(g)
        assert whole.bits == parts.bits


def test_update_stays_inside_its_range(update_row: Any) -> None:
    walk = Walk(update_row, defaults(update_row, lr=0.5), start_of(40))
    before = [vector.copy() for vector in walk.vectors]
    g = gradients(40, 1)[0]
    coef = updater.begin(update_row, walk.parameters, 0, walk.scalars)
    updater.update(update_row, coef, 1.0, walk.vectors, g, 11, 29)
    for vector, old in zip(walk.vectors, before, strict=True):
        assert bits(vector[:11]) == bits(old[:11])
        assert bits(vector[29:]) == bits(old[29:])
    assert np.all(walk.vectors[0][11:29] != before[0][11:29])


def test_nan_stays_where_it_is_and_is_not_lost(update_row: Any) -> None:
    for parameters in variants(update_row):
        g = gradients(33, 1)[0]
        dirty, clean = Walk(update_row, parameters, start_of(33)), Walk(update_row, parameters, start_of(33))
        clean.step(g)
        g[7] = np.nan
        dirty.step(g)
        assert np.isnan(dirty.vectors[0][7])
        others = np.arange(33) != 7
        assert bits(dirty.vectors[0][others]) == bits(clean.vectors[0][others])
        dirty.step(gradients(33, 1)[0])
        for name, vector in zip(update_row.vectors, dirty.vectors, strict=False):
            assert np.isnan(vector[7]), (name, parameters)  # no maximum has swallowed it


def test_descent_counts_and_resumes(update_row: Any) -> None:
    """Run.descend: one gradient an iteration; a saved run goes on with the same bits, and with those of the row's own functions."""
    c0, calls = start_of(9), []

    def grad(c: Array) -> Array:
        calls.append(c)
        return 1.5 * c - 0.25

    straight = descent_of(update_row, grad, c0)
    assert straight.descend(20, -1.0, False) == 0
    assert len(calls) == straight.njev == straight.nfev == 20
    first = descent_of(update_row, grad, c0)
    first.descend(7, -1.0, False)
    resumed = descent_of(update_row, grad, np.ones(9))
    resumed.unpack(first.pack())
    resumed.descend(13, -1.0, False)
    assert resumed.pack() == straight.pack()
    walk = Walk(update_row, defaults(update_row), c0)
    for _ in range(20):
        walk.step(grad(walk.vectors[0]))
    assert bits(walk.vectors[0]) == bits(straight.vector(0))


# ---- callbacks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "kind", "words"),
    [
        (None, TypeError, "None: return it, or pass inplace=True"),
        (np.zeros(4), ValueError, r"shape \(4,\), but the state has shape \(3,\)"),
        (np.zeros((3, 1)), ValueError, r"shape \(3, 1\)"),
        (1.0, ValueError, r"shape \(\)"),
        (np.zeros(3, complex), TypeError, "complex128: real numbers are wanted"),
        (["a", "b", "c"], TypeError, "real numbers are wanted"),
    ],
)
def test_wrong_callback_output(step_row: Any, result: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match="fun returned .*" + words):
        run_of(step_row, lambda t, y: result, np.zeros(3)).fixed(2)


def test_wrong_gradient_output(update_row: Any) -> None:
    with pytest.raises(ValueError, match=r"grad returned shape \(2,\), but the state has shape \(3,\)"):
        descent_of(update_row, lambda c: np.zeros(2), np.zeros(3)).descend(1, 0.0, False)
    with pytest.raises(TypeError, match="grad returned None: return it"):
        descent_of(update_row, lambda c: None, np.zeros(3)).descend(1, 0.0, False)


def test_exception_arrives_unchanged_from_every_stage(step_row: Any) -> None:
    for fatal in range(evaluations(step_row, 2)):
        error, calls = Boom("as it is"), 0

        def fun(t: float, y: Array, fatal: int = fatal, error: Exception = error) -> Array:
            nonlocal calls
            calls += 1
            if calls == fatal + 1:
                raise error
            return -y

        run = run_of(step_row, fun, start_of(3))
        with pytest.raises(Boom) as info:
            run.fixed(5)
        assert info.value is error
        assert calls == fatal + 1  # nothing more was called
        assert run.k == (fatal >= evaluations(step_row, 1))
        assert np.all(np.isfinite(run.y))


def test_exception_from_a_gradient_arrives_unchanged(update_row: Any) -> None:
    error, calls = Boom("as it is"), 0

    def grad(c: Array) -> Array:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise error
        return c

    run = descent_of(update_row, grad, start_of(3))
    with pytest.raises(Boom) as info:
        run.descend(10, 0.0, False)
    assert info.value is error
    assert (calls, run.k) == (4, 3)


def test_non_finite_state_keeps_the_last_good_step(step_row: Any) -> None:
    run = run_of(step_row, lambda t, y: np.full(3, np.inf if t >= 0.2 else 1.0), np.zeros(3), 0.125)
    assert run.fixed(10) == stepper.NON_FINITE
    assert 0 < run.k < 3
    np.testing.assert_allclose(run.y, run.t, rtol=0, atol=4 * EPS)


def test_recoverable_stops_a_fixed_step(step_row: Any) -> None:
    def fun(t: float, y: Array) -> Array:
        raise mflow.Recoverable("no")

    run = run_of(step_row, fun, np.ones(2))
    assert run.fixed(3) == 1
    assert run.k == 0


@pytest.mark.parametrize(
    ("y0", "kind", "words"),
    [
        (np.zeros(3, np.float32), TypeError, "y0: a C-contiguous float64 array"),
        (np.zeros((3, 2)).T, TypeError, "y0: a C-contiguous float64 array"),
        (np.zeros(6)[::2], TypeError, "y0: a C-contiguous float64 array"),
        (np.zeros(4), ValueError, "y0 has 4 components, the problem 3"),
    ],
)
def test_run_refuses_what_it_cannot_use(any_row: Any, y0: Array, kind: type[Exception], words: str) -> None:
    step = any_row.kind == "step"
    what = problem.rhs_problem(waves, (3,)) if step else problem.objective_problem(None, waves, (3,))
    with pytest.raises(kind, match=words):
        stepper.Run(any_row, what, y0, descend=not step)


def test_update_needs_a_gradient(update_row: Any) -> None:
    with pytest.raises(TypeError, match=f"{update_row.name} needs another callback"):
        stepper.Run(update_row, problem.rhs_problem(waves, (3,)), np.zeros(3))


def test_parameters_outside_their_bounds(update_row: Any) -> None:
    for name, _, lower, upper, _, open_, _, _ in update_row.parameters_:
        wrong = [math.nan, np.nextafter(lower, -math.inf)] + ([upper] if open_[1] else [])
        for value in wrong:
            with pytest.raises(ValueError, match="outside"):
                update_row.sizes({name: value})
    with pytest.raises(TypeError, match="did you mean 'lr'"):
        update_row.sizes({"lrr": 1.0})


# ---- memory, modes of the processor, long products -------------------------------------------------------------------


def test_no_allocation_per_step(step_row: Any) -> None:
    """Python's allocators: a thousand steps of a compiled problem take no more than one does."""
    what = decay_cfunc()
    peaks = []
    for steps in (1, 1, 1000):
        run = run_of(step_row, what, np.ones(64), 1e-3)
        tracemalloc.start()
        run.fixed(steps)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] <= peaks[1]


HUGE = 5_000_000  # 40 MB: glibc maps such a block by itself, so one inside a step would be refused


def test_no_allocation_inside_a_step(step_method: Any, no_more_memory: Any) -> None:
    run = run_of(step_method, decay_cfunc(), np.ones(HUGE), 1e-3)
    no_more_memory()
    with pytest.raises(MemoryError):
        np.ones(HUGE)
    assert run.fixed(2) == 0


def test_no_allocation_inside_an_update(update_method: Any, no_more_memory: Any) -> None:
    c, g = np.ones(HUGE), np.ones(HUGE)
    opt = getattr(mflow.optim, update_method.class_name)(c)
    no_more_memory()
    with pytest.raises(MemoryError):
        np.ones(HUGE)
    opt.step(g)
    opt.step(g)
    assert opt.steps == 2


def test_flush_to_zero_of_the_host_does_not_reach_the_bits(any_row: Any) -> None:
    tiny = np.linspace(1.0, 2.0, 40) * 1e-309
    if any_row.kind == "step":
        runs = [run_of(any_row, lambda t, y: -0.7 * y, tiny) for _ in range(2)]
        goes = [lambda run=run: run.fixed(3) for run in runs]
    else:
        runs = [descent_of(any_row, lambda c: 0.7 * c, tiny, defaults(any_row, lr=0.25)) for _ in range(2)]
        goes = [lambda run=run: run.descend(3, -1.0, False) for run in runs]
    goes[0]()
    with flush_to_zero():
        flushed = bool((tiny * 0.5 == 0.0).all())
        goes[1]()
        still = bool((tiny * 0.5 == 0.0).all())
    assert (flushed, still) == (True, True)  # the host's mode was on, and was given back
    assert runs[0].pack() == runs[1].pack()
    assert np.any(runs[0].vector(0) != tiny)


def first_update(row: Any, parameters: dict[str, float], coef: Array) -> float:
    """What a step with these coefficients makes of c = 0, g = 1 and vectors of zeros."""
    vectors = [np.zeros(1) for _ in range(row.sizes(parameters)["n_vec"])]
    updater.update(row, coef, 1.0, vectors, np.ones(1))
    return float(vectors[0][0])


@pytest.mark.parametrize(("name", "which"), [("adam", 0), ("adam", 1), ("adamw", 0), ("adamw", 1), ("adamax", 0)])
@pytest.mark.parametrize("level", LEVELS)
def test_bias_corrections_after_many_steps(name: str, which: int, level: str) -> None:
    """1 - beta^t over 1e5 steps, seen through an update in which nothing else rounds; the other beta is 0, and eps too.

    which = 0: c = -lr (1 - beta1)/(1 - beta1^t). which = 1: c = -lr sqrt(1 - beta2^t)/sqrt(1 - beta2). Each ends in three roundings
    beside that of 1 - beta^t itself.
    """
    row, steps, beta = same_at(registry.find(name), level), 100_000, 1.0 - 1e-5
    parameters = defaults(row, lr=1.0, eps=0.0, weight_decay=0.0) | {"betas[0]": 0.0, "betas[1]": 0.0} | {f"betas[{which}]": beta}
    scalars = np.zeros(row.sizes(parameters)["n_scal"])
    with mpmath.workdps(40):
        b = mpmath.mpf(beta)
        for k in range(steps):
            coef = updater.begin(row, parameters, k, scalars)
            if k in (0, 1, 2, 9, 99, 999, 9_999, steps - 1):
                correction = 1 - b ** (k + 1)
                want = -(1 - b) / correction if which == 0 else -mpmath.sqrt(correction) / mpmath.sqrt(1 - b)
                assert ulps(first_update(row, parameters, coef), want) <= 3.0, k


@pytest.mark.parametrize("level", LEVELS)
def test_bias_correction_after_a_million_steps(level: str) -> None:
    row = same_at(registry.find("adam"), level)
    beta, steps = 1.0 - 1e-6, 1_000_000 if level == LEVELS[0] else 300_000
    parameters = defaults(row, lr=1.0, eps=0.0) | {"betas[0]": beta, "betas[1]": 0.0}
    scalars = np.zeros(row.sizes(parameters)["n_scal"])
    for k in range(steps):
        coef = updater.begin(row, parameters, k, scalars)
    with mpmath.workdps(40):
        b = mpmath.mpf(beta)
        assert ulps(first_update(row, parameters, coef), -(1 - b) / (1 - b**steps)) <= 2.0
        assert ulps(scalars[0], b**steps) <= 1.0  # the running product itself


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("rate", [0.004, 1.0, 0.0, math.inf, 0.37])
def test_nadam_schedule(level: str, rate: float) -> None:
    """mu_t = b1 (1 - 0.96^(t rate)/2) and the products of mu, by mpmath: c = -(1 - mu_t)/(1 - P) - (1 - b1) mu_(t+1)/(1 - P mu_(t+1))."""
    row = same_at(registry.find("nadam"), level)
    b1 = 0.9995
    parameters = defaults(row, lr=1.0, eps=0.0, momentum_decay=rate) | {"betas[0]": b1, "betas[1]": 0.0}
    scalars = np.zeros(row.sizes(parameters)["n_scal"])
    with mpmath.workdps(40):

        def mu(t: int) -> Any:
            return b1 * (1 - (mpmath.mpf(96) / 100) ** (t * mpmath.mpf(rate)) / 2) if rate < math.inf else mpmath.mpf(b1)

        product = mpmath.mpf(1)
        for k in range(4000):
            coef = updater.begin(row, parameters, k, scalars)
            now, after = mu(k + 1), mu(k + 2)
            product *= now
            if k < 40 or k % 97 == 0:
                want = -(1 - now) / (1 - product) - (1 - mpmath.mpf(b1)) * after / (1 - product * after)
                relative = abs((first_update(row, parameters, coef) - want) / want)
                assert relative <= 8 * EPS / float(1 - now), k  # 1 - mu carries the rounding of mu
