"""Fixed steps in place, a copy of the state kept now and then: bits, counts and endings are those of steps taken one by one.

Oracle: the same run, advanced one step a call, which never works in place.
"""

import ctypes
import itertools
import math
from typing import Any

import numpy as np
import pytest
from mflow_core.dynamics import force, structure
from mflow_core.stepping import stepper
from mflow_core.stepping.last_step import LastStep

import mflow
from support.motion import ACCEL

METHODS = mflow.methods(family="second_order")


def acting(fun: Any) -> Any:
    """A compiled force of fun(t, x, v), called through a pointer; fun may return a code in place of forces."""

    def call(t: float, x: Any, v: Any, out: Any, n: int, _: Any) -> int:
        value = fun(t, *(np.array(q[:n]) for q in (x, v)))
        if isinstance(value, int):
            return value
        np.ctypeslib.as_array(out, (n,))[:] = value
        return 0

    return ACCEL(call)


def cubic(t: float, x: Any, v: Any) -> Any:
    with np.errstate(all="ignore"):
        return -(x**3) - 0.1 * v + math.sin(t)


def problem_of(kind: str) -> Any:
    if kind == "one":
        return structure.Structure(1, 2.0, 0.1, 3.0), 1
    if kind == "matrices":
        return structure.Structure(20, np.linspace(1, 2, 20), np.linspace(0, 0.3, 20), np.linspace(1, 9, 20), np.ones(20)), 20
    return force.Force(acting(cubic), (20,)), 20


def run_of(method: Any, problem: Any, n: int, dt: float, t0: float = 0.3) -> Any:
    start = np.cos(np.arange(float(n)))
    return stepper.Run(method.record, problem, start, t0, dt, method.numbers, v0=np.sin(start), dense=True)


def told(run: Any, problem: Any) -> tuple[Any, ...]:
    return (run.t, run.k, run.nsolve, problem.counters, *(run.vector(j).tobytes() for j in range(3)))


@pytest.mark.parametrize("method", [*METHODS, mflow.SymplecticEuler(damping="implicit"), mflow.VelocityVerlet(damping="explicit"),
                                 mflow.Newmark(0.0, 0.5), mflow.Newmark(0.3, 0.6)], ids=repr)  # fmt: skip
@pytest.mark.parametrize("kind", ["one", "matrices", "force"])
def test_many_steps_have_the_bits_of_single_ones(method: Any, kind: str) -> None:
    if kind == "force" and (method.is_implicit or method.parameters.get("damping") == "implicit"):
        pytest.skip("solves by Newton's iteration, whose steps are never repeated")
    (one, n), (other, _) = problem_of(kind), problem_of(kind)
    many, single = run_of(method, one, n, 0.037), run_of(method, other, n, 0.037)
    for count in (3, 100, 5, 33, 1, 70):
        assert many.fixed(count) == 0
        for _ in range(count):
            assert single.fixed(1) == 0
        assert told(many, one) == told(single, other)
    inside = [LastStep(run).state(run.t - 0.01).tobytes() for run in (many, single)]
    assert inside[0] == inside[1]
    end = many.t + 40.4 * 0.037  # the last step is longer than the others
    assert (many.fixed(40, end), single.fixed(39), single.fixed(1, end)) == (0, 0, 0)
    assert told(many, one) == told(single, other)


@pytest.mark.parametrize("name", ["velocity_verlet", "symplectic_euler", "yoshida4"])
def test_steps_that_copy_nothing_are_taken_in_place(name: str) -> None:
    """The force is asked at one place in memory again and again; steps from state to state would change it each time."""
    places: list[int] = []

    def springs(t: float, x: Any, v: Any, out: Any, n: int, _: Any) -> int:
        places.append(ctypes.addressof(x.contents))
        np.ctypeslib.as_array(out, (n,))[:] = -np.ctypeslib.as_array(x, (n,))
        return 0

    run = run_of(mflow.get_method(name), force.Force(ACCEL(springs), (20,), velocity_free=True), 20, 0.01)
    assert run.fixed(33) == 0
    assert sum(one != other for one, other in itertools.pairwise(places)) <= 2  # the first and the last may be steps by themselves


def test_the_last_good_step_is_the_same_where_numbers_leave() -> None:
    """A step far too long: the cubic spring's force overflows, at a step that is no multiple of anything."""
    for name, dt in (("leapfrog", 1.9), ("symplectic_euler", 2.1), ("forward_euler_system", 0.9), ("constant_acceleration", 1.1)):
        method = mflow.get_method(name)
        runs = []
        for chunk in (1000, 1):
            problem = force.Force(acting(cubic), (20,))
            run = run_of(method, problem, 20, dt)
            while (status := run.fixed(chunk)) == 0:
                assert run.k < 1000
            runs.append((status, told(run, problem)))
        assert runs[0] == runs[1]
        assert runs[0][0] == stepper.NON_FINITE
        assert runs[0][1][1] > 4


@pytest.mark.parametrize("call", [1, 2, 40, 64, 65])
@pytest.mark.parametrize("code", [-7, 1])
def test_the_last_good_step_is_the_same_where_a_force_gives_up(call: int, code: int) -> None:
    """At a time: the force says so whenever it is asked there."""
    method, runs = mflow.get_method("leapfrog"), []
    for chunk in (200, 1):
        problem = force.Force(acting(lambda t, x, v: code if t > 0.3 + 0.01 * (call - 0.5) else -x), (20,), velocity_free=True)
        run = run_of(method, problem, 20, 0.01)
        while (status := run.fixed(chunk)) == 0:
            assert run.k < 200
        runs.append((status, told(run, problem)))
    assert runs[0] == runs[1]
    assert (runs[0][0], runs[0][1][1]) == (code, call - 1)


def test_saved_rows_are_the_same() -> None:
    """Every seventh state, and the last alone: what is saved of all steps."""
    call: dict[str, Any] = {"force": acting(cubic), "t_span": (0, 9.99), "x0": np.cos(np.arange(20.0)), "method": "leapfrog", "dt": 0.02}
    call |= {"velocity_free": False, "energy": False}
    whole = mflow.solve_dynamics(**call)
    some, last = mflow.solve_dynamics(**call, save_every=7), mflow.solve_dynamics(**call, save="last")
    at = [*range(0, whole.nsteps, 7), whole.nsteps]
    for name in ("t", "x", "v", "a"):
        assert np.array_equal(some[name], whole[name][..., at])
        assert np.array_equal(last[name], whole[name][..., -1:])
    assert whole.nfev == some.nfev == last.nfev


def test_a_table_of_loads_is_never_asked_twice() -> None:
    """Loads are kept at two times, and what is asked again may differ by rounding: such runs take their steps one by one."""
    problem = structure.Structure(1, 1.0, 0.1, 2.0)
    problem.set_table([0.0, 1.0, 5.0], [[0.0], [3.0], [1.0]])
    run = run_of(mflow.get_method("newmark"), problem, 1, 0.05)
    assert run.fixed(100) == 0
    assert problem.counters["nload"] == 101
