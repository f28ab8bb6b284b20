"""How integrations end: every run for one reason, soon, with the last good state, and never "finished" with NaN inside."""

import math
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from mflow_core import registry

import mflow
from support.levels import ITERATED
from support.oracles.tableaus import is_coupled
from support.problems import RHS_C, Array, Boom, cfunc, decay
from support.small_cases import for_all

BUDGET = 64  # evaluations from the first non-finite slope to the end, with fixed steps
SOON = 1300  # under error control, which halves its distance to the place some 50 times
ALONG = 100  # with dt="auto", which halves its step likewise, and looks along steps that are longer than those before


def quiet(fun: Callable[[float, Array], Array]) -> Callable[[float, Array], Array]:
    def silent(t: float, y: Array) -> Array:
        with np.errstate(all="ignore"):
            return fun(t, y)

    return silent


class Counted:
    """A right-hand side that says how often it was called, and how often since it first returned something that is not finite."""

    def __init__(self, fun: Callable[[float, Array], Array]) -> None:
        self.fun, self.calls, self.after = quiet(fun), 0, 0

    def __call__(self, t: float, y: Array) -> Array:
        out = np.asarray(self.fun(t, y))
        self.calls += 1
        if self.after or not np.all(np.isfinite(out)):
            self.after += 1
        return out


def modes(record: Any) -> list[dict[str, Any]]:
    """Every way in which a method's steps are chosen."""
    ways: list[dict[str, Any]] = [{"dt": 0.01}]
    if "embedded" in record.flags:
        ways += [{}, {"rtol": 1e-6, "atol": 1e-9}]
    if "linear" in record.flags and "implicit" not in record.flags:
        ways.append({"dt": "auto"})
    return ways


EMBEDDED = [record.name for record in registry.records() if "embedded" in record.flags and "second_order" not in record.flags]
IMPLICIT = [
    record.name
    for record in registry.records()
    if record.kind == "step" and "implicit" in record.flags and "second_order" not in record.flags
]


# ---- numbers that are not finite -----------------------------------------------------------------------------------------------------


@for_all("bad", [math.nan, math.inf, -math.inf])
@for_all("n", [1, 3])
def test_a_wall_of_nan_ends_every_run_soon(step_method: Any, bad: float, n: int) -> None:
    for mode in modes(step_method):
        fun = Counted(lambda t, y: np.full(n, bad) if t > 1.0 else -y)
        r = mflow.solve_ivp(fun, (0, 2), np.ones(n), step_method.name, **mode)
        assert (r.reason, r.success, r.status) == ("non_finite", False, -1), mode
        jacobian = n if "implicit" in step_method.flags else 3 * (n + 3) if "needs_rho" in step_method.flags else 0
        fixed = mode.get("dt", "auto") != "auto"  # dt="auto" halves its step, as error control does
        soon = SOON + (ALONG if mode.get("dt") == "auto" else 0)
        assert fun.after <= (BUDGET + jacobian if fixed else soon), mode
        assert np.all(np.isfinite(r.y))
        assert 0.0 < r.t[-1] <= 1.2 + 1e-12  # euler steps of 0.2 have no slope beyond 1 before the step that ends there
        np.testing.assert_allclose(r.y[:, -1], math.exp(-r.t[-1]), rtol=0.35)
        assert r.nfev + r.ncheck == fun.calls  # dt="auto" looks for oscillations as well
        assert f"t = {r.t[-1]:g}" in r.message


def test_not_finite_at_the_start(step_method: Any) -> None:
    for mode in modes(step_method):
        fun = Counted(lambda t, y: np.array([1.0, math.nan]))
        r = mflow.solve_ivp(fun, (0, 2), np.ones(2), step_method.name, **mode)
        assert (r.reason, r.nsteps, r.t.tolist()) == ("non_finite", 0, [0.0])
        assert fun.after <= BUDGET + 2
        assert r.y.tolist() == [[1.0], [1.0]]


def test_leaving_the_domain_of_a_square_root() -> None:
    """y' = -sqrt(y): the solution (1 - t/2)^2 touches 0 at t = 2, where steps meet the root of a negative number."""
    for method in EMBEDDED:
        fun = Counted(lambda t, y: -np.sqrt(y) - 0.1)
        r = mflow.solve_ivp(fun, (0, 5), [1.0], method)
        assert r.reason in ("non_finite", "solve_failed"), (method, r.message)
        if "staged" not in mflow.get_method(method).flags:  # one step may have more stages than that where J is infinite
            assert fun.after <= SOON, method
        assert 0 <= r.y[0, -1] < 0.5


def test_only_one_component(step_method: Any) -> None:
    for mode in modes(step_method):
        fun = quiet(lambda t, y: np.array([-y[0], math.inf if t > 0.5 else 0.0]))
        r = mflow.solve_ivp(fun, (0, 1), [1.0, 1.0], step_method.name, **mode)
        assert r.reason == "non_finite"
        assert np.all(np.isfinite(r.y))


def test_a_passing_hole_does_not_end_a_run() -> None:
    """One call in two hundred is not finite: steps are repeated, and the end is as good as ever."""
    for method in EMBEDDED:
        if "needs_rho" in mflow.get_method(method).flags:
            continue  # a hole where the Jacobian is measured is an ending
        calls = 0

        def fun(t: float, y: Array) -> Array:
            nonlocal calls
            calls += 1
            return np.array([math.nan]) if calls % 200 == 29 else -y

        r = mflow.solve_ivp(fun, (0, 2), [1.0], method, rtol=1e-5, atol=1e-8)
        assert r.reason == "finished", (method, r.message)
        assert r.y[0, -1] == pytest.approx(math.exp(-2), rel=1e-3)


# ---- blow-up in finite time ----------------------------------------------------------------------------------------------------------

BLOW_UPS = [
    ("1 + y^2", lambda t, y: 1.0 + y * y, 0.0, math.pi / 2),
    ("y^2", lambda t, y: y * y, 1.0, 1.0),
    ("exp y", lambda t, y: np.exp(y), 0.0, 1.0),
]


@pytest.mark.parametrize("method", EMBEDDED)
@pytest.mark.parametrize(("name", "fun", "y0", "t_end"), BLOW_UPS, ids=[b[0] for b in BLOW_UPS])
def test_blow_up_is_named_within_5000_evaluations(method: str, name: str, fun: Any, y0: float, t_end: float) -> None:
    counted = Counted(fun)
    r = mflow.solve_ivp(counted, (0, 3), [y0], method)
    assert (r.reason, r.status) == ("diverged", -1), r.message
    assert counted.calls <= 5000
    assert "runs off in finite time" in r.message
    assert 0.5 * t_end < r.t[-1] < t_end + 0.1  # a high order stops one long step before
    assert np.all(np.isfinite(r.y))


@pytest.mark.parametrize("method", EMBEDDED)
@pytest.mark.parametrize("p", [1.05, 1.1, 1.3, 2.0, 3.0, 5.0])
def test_growth_by_a_power_runs_off(method: str, p: float) -> None:
    """y' = y^p from 1 runs off at t = 1/(p - 1); with p near 1 the last step is a large part of what is left."""
    r = mflow.solve_ivp(quiet(lambda t, y: y**p), (0, 2 / (p - 1)), [1.0], method)
    assert r.reason == "diverged", r.message
    named = float(r.message.split("near t = ")[1].split(" ")[0])
    assert named == pytest.approx(1 / (p - 1), rel=0.02)
    assert np.all(np.isfinite(r.y))


def test_fast_growth_is_no_blow_up() -> None:
    r = mflow.solve_ivp(lambda t, y: 50.0 * y, (0, 10), [1.0], rtol=1e-6)
    assert r.reason == "finished"
    assert r.y[0, -1] == pytest.approx(math.exp(500), rel=1e-2)
    wall = mflow.solve_ivp(lambda t, y: 5.0 * y if t < 1 else y * math.nan, (0, 10), [1.0], "dop853")
    assert wall.reason == "non_finite"


# ---- steps -----------------------------------------------------------------------------------------------------------------------------


def test_step_underflow_has_its_own_reason() -> None:
    r = mflow.solve_ivp(decay, (0, 1), [1.0], min_step=0.4, rtol=1e-10, atol=1e-12)
    assert (r.reason, r.status) == ("step_too_small", -1)
    assert "min_step" in r.message
    # The slope jumps where y = 0: nothing relative to y, and nothing absolute, allows an error there.
    r = mflow.solve_ivp(lambda t, y: np.array([1.0 if t < 0.5 else -1.0]), (0, 1), [-0.5], rtol=1e-12, atol=1e-30)
    assert r.reason == "step_too_small"
    assert r.t[-1] == pytest.approx(0.5, abs=1e-6)
    assert "t = 0.5" in r.message


def test_a_jump_is_stepped_over_or_named() -> None:
    """A jump in the slope is no obstacle: its local error shrinks with the step."""
    r = mflow.solve_ivp(lambda t, y: np.array([1.0 if t < 0.5 else -1.0]), (0, 1), [0.0], rtol=1e-8, atol=1e-10)
    assert r.reason == "finished"
    assert r.y[0, -1] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("mode", [{"dt": 0.01}, {"rtol": 1e-6}, {"dt": "auto"}])
def test_step_limit(mode: dict[str, Any]) -> None:
    r = mflow.solve_ivp(decay, (0, 100), [1.0], "dopri5", max_steps=7, **mode)
    assert (r.reason, r.nsteps, r.status, len(r.t)) == ("max_steps", 7, -1, 8)
    assert "max_steps = 7" in r.message
    assert f"t = {r.t[-1]:g}" in r.message


def test_messages_name_the_limit_that_was_crossed() -> None:
    r = mflow.solve_ivp(quiet(lambda t, y: -1000.0 * y), (0, 10), [1.0], "rk4", dt=0.01)
    assert r.reason == "non_finite"
    for words in ("t = ", "dt = 0.01", "exceeds the stability limit of rk4, about 0.002785", "1000"):
        assert words in r.message
    assert r.message.count("exceeds the stability limit") == 1  # and no warning beside it


# ---- equations that are not solved ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ITERATED)
def test_an_equation_without_solution(method: str) -> None:
    """z - dt (1 + z^2) = 1 has no real root for dt = 1."""
    r = mflow.solve_ivp(lambda t, y: 1.0 + y * y, (0, 10), [1.0], method, dt=4.0)
    assert (r.reason, r.status, r.nsteps) == ("solve_failed", -1, 0)
    for words in (method, "t = 0", "dt = 4", "jac=", "solver="):
        assert words in r.message
    assert r.y.tolist() == [[1.0]]


@pytest.mark.parametrize("method", IMPLICIT)
def test_a_singular_matrix_is_a_failed_solve(method: str) -> None:
    """I - gh J is singular where gh J = 1: J = 1/gh, while f itself has nothing to solve for."""
    record = registry.find(method)
    if is_coupled(record):
        gamma = 1.0 / record.tableau["mu"][0]
    elif "multistep" in record.flags:
        gamma = 1.0  # the first of fixed steps begins with implicit Euler
    else:
        gamma = next(float(line[i]) for i, line in enumerate(record.tableau.get("G", record.tableau["A"])) if line[i] != 0)
    jac = np.array([[1.0 / (gamma * 0.1)]])
    r = mflow.solve_ivp(lambda t, y: np.ones(1), (0, 1), [1.0], method, dt=0.1, jac=jac)
    assert r.reason == "solve_failed"
    assert "turns back" not in r.message
    assert np.all(np.isfinite(r.y))


def test_error_control_steps_around_a_singular_matrix() -> None:
    with pytest.warns(RuntimeWarning, match="jac is not the derivative of fun"):
        r = mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0], "esdirk43", jac=lambda t, y: [[4.0 / 0.1]], first_step=0.1)
    assert r.reason == "finished"  # the step whose matrix is singular is made shorter; wrong Jacobians cost steps, not accuracy
    assert r.y[0, -1] == pytest.approx(math.exp(-1), rel=1e-2)
    bad = mflow.solve_ivp(lambda t, y: -1e3 * y**3, (0, 1), [1.0], "esdirk43", jac=lambda t, y: [[math.nan]])
    assert (bad.reason, bad.status) == ("non_finite", -1) or bad.reason == "solve_failed"
    assert np.all(np.isfinite(bad.y))


# ---- callbacks that give up ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [-3, 5])
def test_codes_of_a_compiled_right_hand_side(step_method: Any, code: int) -> None:
    @RHS_C
    def fun(t: float, y: Any, out: Any, n: int, ctx: int | None) -> int:
        for i in range(n):
            out[i] = -y[i]
        return code if t > 0.5 else 0

    for mode in modes(step_method):
        r = mflow.solve_ivp(fun, (0, 1), [1.0, 2.0], step_method.name, **mode)
        assert (r.reason, r.status) == ("rhs_failed", -1), (mode, r.message)
        assert str(code) in r.message
        assert r.t[-1] <= 0.6 + 1e-12
        assert np.all(np.isfinite(r.y))


@pytest.mark.parametrize("method", EMBEDDED)
def test_recoverable_shrinks_the_step(method: str) -> None:
    """A right-hand side that refuses to be asked far from the solution gets shorter steps."""
    refused = 0

    def fun(t: float, y: Array) -> Array:
        nonlocal refused
        if abs(y[0] - math.exp(-10 * t)) > 0.002 or t > 1.0:
            refused += 1
            raise mflow.Recoverable("too far away")
        return -10.0 * y

    r = mflow.solve_ivp(fun, (0, 1), [1.0], method, first_step=1.0, rtol=1e-5)
    assert r.reason == "finished", r.message
    assert refused > 0
    assert r.y[0, -1] == pytest.approx(math.exp(-10), abs=3e-4)
    stuck = mflow.solve_ivp(fun, (0, 2), [1.0], method, rtol=1e-5)
    assert stuck.reason == "rhs_failed"
    assert stuck.t[-1] == pytest.approx(1.0, abs=1e-6)


def test_exceptions_carry_the_partial_result(step_method: Any) -> None:
    for mode in modes(step_method):
        error = Boom("now")

        def fun(t: float, y: Array, error: Boom = error) -> Array:
            if t > 0.5:
                raise error
            return -y

        with pytest.raises(Boom) as info:
            mflow.solve_ivp(fun, (0, 1), [1.0], step_method.name, **mode, dense_output=True)
        assert info.value is error
        r = error.partial_result  # type: ignore[attr-defined]
        assert (r.success, r.reason, r.status) == (False, "rhs_failed", -1)
        assert 0 <= r.t[-1] <= 0.61
        assert any("t = " in note for note in error.__notes__)


# ---- events that fail ------------------------------------------------------------------------------------------------------------------


def test_an_event_that_is_not_finite_ends_the_run(step_method: Any) -> None:
    for mode in modes(step_method):
        r = mflow.solve_ivp(decay, (0, 1), [1.0], step_method.name, events=lambda t, y: math.nan if t > 0.5 else 1.0, **mode)
        assert (r.reason, r.status) == ("event_failed", -1)
        assert "event 0" in r.message
        assert "nan" in r.message
        assert r.t[-1] <= 0.5 + 1e-12
        assert np.all(np.isfinite(r.y))


# ---- the callback after each step ------------------------------------------------------------------------------------------------------


def test_callback_sees_each_step_and_stops(step_method: Any) -> None:
    for mode in modes(step_method):
        seen: list[tuple[float, float]] = []

        def watch(t: float, y: Array, seen: Any = seen) -> bool:
            assert y.shape == (2, 1)
            assert not y.flags.writeable
            seen.append((t, float(y[0, 0])))
            return len(seen) == 4

        r = mflow.solve_ivp(decay, (0, 5), [[1.0], [2.0]], step_method.name, callback=watch, **mode)
        assert (r.reason, r.status, r.success, r.nsteps) == ("callback", 1, True, 4)
        assert [t for t, _ in seen] == r.t[1:].tolist()
        assert [y for _, y in seen] == r.y[0, 0, 1:].tolist()
        assert f"t = {r.t[-1]:g}" in r.message


def test_a_callback_changes_no_bits(step_method: Any) -> None:
    for mode in modes(step_method):
        a = mflow.solve_ivp(decay, (0, 1), [1.0, 2.0], step_method.name, **mode)
        b = mflow.solve_ivp(decay, (0, 1), [1.0, 2.0], step_method.name, callback=lambda t, y: None, **mode)
        assert (a.t.tobytes(), a.y.tobytes(), a.nfev) == (b.t.tobytes(), b.y.tobytes(), b.nfev)


def test_what_a_callback_raises_comes_through() -> None:
    def watch(t: float, y: Array) -> None:
        if t > 0.45:
            raise Boom

    with pytest.raises(Boom) as info:
        mflow.solve_ivp(decay, (0, 1), [1.0], "rk4", dt=0.1, callback=watch)
    r = info.value.partial_result  # type: ignore[attr-defined]
    assert r.t[-1] == 0.5

    def stop(t: float, y: Array) -> None:
        raise StopIteration

    assert mflow.solve_ivp(decay, (0, 1), [1.0], callback=stop).reason == "callback"
    with pytest.raises(TypeError, match="callback: expected it to return"):
        mflow.solve_ivp(decay, (0, 1), [1.0], callback=lambda t, y: y)
    with pytest.raises(TypeError, match="callback: expected a function"):
        mflow.solve_ivp(decay, (0, 1), [1.0], callback=3)


# ---- the progress bar ------------------------------------------------------------------------------------------------------------------


def test_progress_by_tqdm(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    r = mflow.solve_ivp(decay, (0, 2), [1.0], progress=True)
    out, err = capsys.readouterr()
    assert r.reason == "finished"
    assert out == ""
    assert "solve_ivp" in err
    assert "100%" in err
    assert "t = 2" in err


def test_progress_without_tqdm(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    mflow.gradient_flow(lambda c: c, [1.0], 2.0, dt=0.1, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "gradient_flow: 100%, t = 2" in err
    assert err.endswith("\n")
    mflow.solve_ivp(decay, (0, 2), [1.0], progress=True, callback=lambda t, y: t > 0.5)
    _, err = capsys.readouterr()
    assert "100%" not in err
    with pytest.raises(Boom):
        mflow.solve_ivp(boom_beyond_half, (0, 2), [1.0], progress=True)
    assert capsys.readouterr().err.endswith("\n")


def boom_beyond_half(t: float, y: Array) -> Array:
    if t > 0.5:
        raise Boom
    return -y


def test_progress_changes_no_bits() -> None:
    a, b = (mflow.solve_ivp(decay, (0, 2), [1.0], progress=p) for p in (False, True))
    assert (a.t.tobytes(), a.y.tobytes()) == (b.t.tobytes(), b.y.tobytes())


# ---- Ctrl-C ----------------------------------------------------------------------------------------------------------------------------

SCRIPT = """
import os, signal, threading, time
import numpy as np
import mflow
mflow.solve_ivp  # imported now
{make}
def interrupt():
    global sent
    sent = time.perf_counter()
    os.kill(os.getpid(), signal.SIGINT)
for call in ({calls}):
    threading.Timer(0.4, interrupt).start()
    try:
        call()
    except KeyboardInterrupt as error:
        late = time.perf_counter() - sent
        r = error.partial_result
        assert (r.reason, r.status, r.success) == ("interrupted", -1, False), r
        assert r.nsteps > 0 and len(r.t) >= 1 and np.all(np.isfinite(r.y)), r
        print("late", late)
    else:
        print("not interrupted")
"""

COMPILED = """
import numba
double_p = numba.types.CPointer(numba.types.float64)
@numba.cfunc(numba.types.int32(numba.types.float64, double_p, double_p, numba.types.intp, numba.types.voidptr))
def fun(t, y, dydt, n, ctx):
    for i in range(n):
        dydt[i] = -y[i]
    return 0
"""

PYTHON = """
def fun(t, y):
    return -y
"""


ENDLESS = [
    'mflow.solve_ivp(fun, (0, 1e9), np.ones(3), "rk4", dt=1e-3, save="last")',
    'mflow.solve_ivp(fun, (0, 1e9), np.ones(3), "dopri5", max_step=1e-3, save_every=10000)',
    'mflow.solve_ivp(fun, (0, 1e9), np.ones(3), "esdirk43", max_step=1e-3, save="last", callback=lambda t, y: None)',
]


@pytest.mark.parametrize("make", [COMPILED, PYTHON], ids=["compiled", "python"])
def test_ctrl_c_is_answered_soon_with_the_partial_result(make: str) -> None:
    """Fixed steps, error control, a callback: in one process, each after the other was interrupted."""
    if make is COMPILED:
        pytest.importorskip("numba")
    code = SCRIPT.format(make=make, calls=", ".join(f"lambda: {call}" for call in ENDLESS))
    out = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120, check=False)
    assert out.returncode == 0, out.stderr
    said = [line.split() for line in out.stdout.splitlines()]
    assert [word for word, *_ in said] == ["late"] * len(ENDLESS), out.stdout
    assert max(float(seconds) for _, seconds in said) < 0.5  # about 0.02 on a machine with nothing else to do


@pytest.mark.parametrize("spans", [(0, 1), [[0, 1]] * 2])
def test_max_steps_of_a_batch(spans: Any) -> None:
    @cfunc("block")
    def ones(t, y, f, n, lanes, ctx):
        for i in range(lanes):
            f[i] = 1.0
        return 0

    r = mflow.solve_ivp_batch(ones, spans, np.zeros((2, 1)), "rk4", dt=0.125, max_steps=3, batch=True)
    assert r.reason == ["max_steps"] * 2
    assert r.nsteps.tolist() == [3, 3]
    assert r.t.tolist() == [0.375, 0.375]
    assert mflow.solve_ivp_batch(ones, spans, np.zeros((2, 1)), "rk4", dt=0.125, max_steps=8, batch=True).success
