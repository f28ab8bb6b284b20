"""Second-order methods one step at a time: formulas, bits, orders over their parameters, stability limits, published examples.

Rows and their parameters come from the registry; oracles are NumPy's dense algebra (motion.py), closed forms and printed tables.
"""

import math
from typing import Any

import numpy as np
import pytest
from mflow_core import registry

from support.levels import LEVELS
from support.motion import ORACLES, Array, MotionKernel, Oscillators, chain, settings
from support.small_cases import for_all

EPS = 2.0**-52
E_CALLBACK = -1002
SIZES = (1, 2, 3, 12, 13, 40)
RECORDS = [record for record in registry.records() if "second_order" in record.flags]
CASES = [
    pytest.param(record, par, id=f"{record.name}-{'-'.join(f'{v:.3g}' for v in par.values())}")
    for record in RECORDS
    for par in settings(record)
]


def bits(a: Any) -> bytes:
    return np.ascontiguousarray(a, dtype=np.float64).tobytes()


def start_of(n: int) -> Array:
    return np.random.default_rng(n).standard_normal((2, n))


def walk(kernel: MotionKernel, start: Array, h: float, steps: int, **more: Any) -> Array:
    """Carried vectors after the steps, from x and v alone."""
    carried, scal, fresh = start, 0.0, True
    for k in range(steps):
        assert kernel.step(k * h, carried, h, scal, fresh, **more) == 0
        carried, scal, fresh = kernel.carried, kernel.s1, False
    return carried


def same_at(record: Any, level: str) -> Any:
    return next(other for other in registry.records_of(level) if other.name == record.name)


# ---- the methods -------------------------------------------------------------------------------------------------------


def test_every_row_has_an_oracle() -> None:
    assert RECORDS
    assert {record.name for record in RECORDS if record.stages == 1 or "implicit" in record.flags} == set(ORACLES)


@pytest.mark.parametrize(("record", "par"), CASES)
@for_all("n", [1, 3, 20])
def test_steps_follow_the_formula(record: Any, par: dict[str, float], n: int) -> None:
    problem, h = chain(n), 0.3
    x, v = start_of(n)
    a = problem.accel(0.0, x, v)
    state = (x, v, a, a)
    kernel = MotionKernel(record, problem, par)
    carried, fresh = np.array([x, v]), True
    for k in range(4):
        assert kernel.step(k * h, carried, h, kernel.s1 if k else 0.0, fresh) == 0
        carried, fresh = kernel.carried, False
        state = ORACLES[record.name](problem, k * h, state, h, par)
        for got, want in zip(kernel.xva, state, strict=False):
            np.testing.assert_allclose(got, want, rtol=0, atol=2e-13 * max(1.0, np.abs(want).max()))


@pytest.mark.parametrize(("record", "par"), CASES)
@for_all("n", SIZES)
def test_same_bits_on_every_level_and_in_place(record: Any, par: dict[str, float], n: int) -> None:
    problem, start = chain(n), start_of(n)
    ends = [
        bits(walk(MotionKernel(same_at(record, level), problem, par), start, 0.2, 3, in_place=place)[:3])
        for level in LEVELS
        for place in (False, True)
    ]
    assert len(set(ends)) == 1


def test_same_bits_in_place_with_errors(second_record: Any) -> None:
    if not second_record.sizes()["n_err"]:
        pytest.skip("no error estimate")
    results = set()
    for place in (False, True):
        kernel = MotionKernel(second_record, chain(13))
        end = walk(kernel, start_of(13), 0.2, 4, want_err=True, in_place=place)
        results.add(bits(end) + bits(kernel.errors) + bits(kernel.s1))
    assert len(results) == 1


@pytest.mark.parametrize(("record", "par"), CASES)
def test_fresh_means_that_the_acceleration_is_made(record: Any, par: dict[str, float]) -> None:
    problem = chain(5)
    x, v = start_of(5)
    made, given = MotionKernel(record, problem, par), MotionKernel(record, problem, par)
    a = problem.accel(0.0, x, v)
    assert made.step(0.0, np.array([x, v]), 0.1) == 0
    first = list(made.calls)
    assert given.step(0.0, np.array([x, v, a, a][: given.sizes["n_vec"]]), 0.1, fresh=False) == 0
    assert first[-len(given.calls) :] == given.calls
    np.testing.assert_allclose(made.xva, given.xva, rtol=1e-15, atol=1e-300)


@pytest.mark.parametrize(("record", "par"), CASES)
def test_calls_are_counted(record: Any, par: dict[str, float]) -> None:
    kernel = MotionKernel(record, chain(4), par)
    for fresh, carried in ((True, start_of(4)), (False, None)):
        assert kernel.step(0.1, kernel.carried if carried is None else carried, 0.1, kernel.s1 if carried is None else 0.0, fresh) == 0
        assert kernel.frame.n_rhs == sum(name == "accel" for name, _ in kernel.calls)
        assert kernel.frame.n_solve == sum(name == "solve_accel" for name, _ in kernel.calls)


@pytest.mark.parametrize(("record", "par"), CASES)
def test_one_callback_where_one_is_enough(record: Any, par: dict[str, float]) -> None:
    """solve_accel alone always is; accel alone where F does not depend on v and the method is explicit in x."""
    free = chain(4, damping=0.0)
    whole = walk(MotionKernel(record, free, par, velocity_free=True), start_of(4), 0.1, 2)[:3]
    alone = walk(MotionKernel(record, free, par, without=("accel",)), start_of(4), 0.1, 2)[:3]
    np.testing.assert_allclose(alone, whole, rtol=1e-13, atol=1e-14)
    explicit = MotionKernel(record, free, par, velocity_free=True, without=("solve_accel",))
    status = explicit.step(0.0, start_of(4), 0.1)
    if any(name == "solve_accel" for name, _ in calls_of(record, par, free)):
        assert status == E_CALLBACK
    else:
        assert bits(walk(explicit, start_of(4), 0.1, 2)[:3]) == bits(whole)


def calls_of(record: Any, par: dict[str, float], problem: Any) -> list[Any]:
    kernel = MotionKernel(record, problem, par, velocity_free=True)
    walk(kernel, start_of(problem.n), 0.1, 2)
    return kernel.calls


@pytest.mark.parametrize(("record", "par"), CASES)
@for_all("code", [-7, 5])
def test_codes_of_callbacks_end_the_step(record: Any, par: dict[str, float], code: int) -> None:
    kernel = MotionKernel(record, chain(3), par)
    kernel.step(0.0, start_of(3), 0.1, want_err=True)
    for at in range(len(kernel.calls)):
        kernel.fail_at, kernel.fail_with = at, code
        assert kernel.step(0.0, start_of(3), 0.1, want_err=True) == code
        assert len(kernel.calls) == at + 1


# ---- orders ------------------------------------------------------------------------------------------------------------


def error_of(record: Any, par: dict[str, float], problem: Oscillators, steps: int) -> Array:
    start = np.array([[1.0, -0.5, 0.3], [0.2, 0.7, -1.0]])
    end = walk(MotionKernel(record, problem, par), start, 1.0 / steps, steps)
    x, v = problem.exact(1.0, *start)
    return np.array([np.abs(end[0] - x).max(), np.abs(end[1] - v).max(), np.abs(end[2] - problem.accel(1.0, x, v)).max()])


@pytest.mark.parametrize(("record", "par"), [case for case in CASES if case.values[0].stages == 1])  # others: test_higher_order.py
@pytest.mark.parametrize("damping", [0.0, 0.2])
def test_order(record: Any, par: dict[str, float], damping: float) -> None:
    """Of x and v; a is as good, but where it is an average over the step (one order, generalised alpha)."""
    problem = chain(3, damping)
    problem.load = lambda t: np.zeros(3)
    order = record.sizes(par)["order"]
    verlet = record.name == "velocity_verlet"
    expected = 1 if verlet and damping and par["damping"] == 0 else 2 if (verlet or par.get("damping") == 2) and not damping else order
    coarse, fine = (error_of(record, par, problem, steps) for steps in (100, 200))
    for k in range(2):
        assert math.log2(coarse[k] / fine[k]) == pytest.approx(expected, abs=0.12), k
    assert math.log2(coarse[2] / fine[2]) > min(expected, 1 + (problem.n == 0)) - 0.12


@pytest.mark.parametrize("beta", [0.0, 1 / 12, 1 / 6, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("gamma", [0.0, 0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("load", [False, True])
def test_newmark_error_estimates(beta: float, gamma: float, load: bool) -> None:
    """Against the true error of one step from the exact solution: they agree as dt -> 0, with and without a step before."""
    problem = Oscillators([[2.0, 0.3], [0.3, 1.0]], [[0.4, 0.1], [0.1, 0.3]], [[6.0, -2.0], [-2.0, 4.0]])
    x0, v0 = np.array([1.0, -0.5]), np.array([0.3, 0.8])
    if load:  # as a motion of the frame, so that the exact solution is known: y = x - s(t)
        moved = np.array([0.7, -0.2])
        problem.load = lambda t: -math.sin(t) * (problem.M @ moved) + math.cos(t) * (problem.C @ moved) + math.sin(t) * (problem.K @ moved)
    record = registry.find("newmark")

    def exact(t: float) -> Array:
        shift = np.array([math.sin(t), math.cos(t)])[:, None] * np.array([0.7, -0.2]) if load else np.zeros((2, 2))
        start = np.array([x0, v0]) - (np.array([[0.0, 0.0], [0.7, -0.2]]) if load else 0.0)
        xv = np.array(problem.exact(t, *start)) + shift
        return np.array([*xv, problem.accel(t, *xv)])

    ratios = []
    for h in (0.008, 0.002):
        for history in (False, True):
            kernel, t = MotionKernel(record, problem, {"beta": beta, "gamma": gamma}), 0.3
            carried, scal = exact(t), 0.0
            if history:  # an earlier step of another length leaves its slope
                carried, scal = np.array([*carried, (carried[2] - exact(t - 0.7 * h)[2]) / (0.7 * h)]), 0.7 * h
            assert kernel.step(t, carried, h, scal, fresh=False, want_err=True) == 0
            true = exact(t + h)[:2] - kernel.xva[:2]
            # Only at beta = 1/6 is e_x smaller than the effect of the error of v through the damping in a+: hence the second scale.
            size = np.abs(true).max(axis=1)
            ratios.append(np.abs(kernel.errors - true).max(axis=1) / np.array([max(size[0], h * size[1]), size[1]]))
    coarse, fine = np.array(ratios[:2]), np.array(ratios[2:])
    assert np.all(fine < 0.1)
    assert np.all(fine < 0.35 * coarse + 1e-3)
