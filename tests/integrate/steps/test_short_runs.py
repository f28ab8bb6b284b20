"""Runs that are asked for a few steps alone begin without what longer ones need. Whatever they meet, they are as those that have it all."""

import contextlib
import inspect
import math
import warnings

import numpy as np
import pytest
from scipy.integrate import solve_ivp as by_scipy

import mflow
import mflow.dynamics.solve
import mflow.integrate.flow
import mflow.integrate.ivp
from mflow.dynamics.motion import takes_few_looks
from mflow.integrate.curvature import stable_end, takes_plain_steps

PLAIN = {"rtol": 1e-6, "atol": 1e-9}
PAIRS = [one.name for one in mflow.methods() if stable_end(one.record) > 0.0]
FIXED = [one.name for one in mflow.methods() if takes_plain_steps(one.record)]
MOTIONS = [one.name for one in mflow.methods() if takes_few_looks(one)]
MOST = 250  # evaluations of a run
LONG = {"max_steps": 10**9}  # changes nothing, and a short run takes no such argument


def root(t, y):
    return -np.sqrt(y)


def gives_up(t, y):
    if t > 0.3:
        raise ZeroDivisionError("no more")
    return -y


def interrupted(t, y):
    if t > 0.3:
        raise KeyboardInterrupt
    return -y


def shorter(t, y):
    if y[0] < 0.5:
        raise mflow.Recoverable
    return -y


RUNS = {
    "short": (lambda t, y: -y, (0.0, 1e-3), [1.0, 2.0, 3.0]),
    "longer": (lambda t, y: [y[1], -y[0]], (0.0, 200.0), [1.0, 0.0]),
    "backwards": (lambda t, y: y * np.cos(t), (2.0, -1.0), [1.0]),
    "nowhere": (lambda t, y: y, (1.0, 1.0), [1.0, 2.0]),
    "stiff": (lambda t, y: -1e4 * (y - math.cos(t)), (0.0, 2.0), [0.0]),
    "a little stiff": (lambda t, y: -100.0 * (y - np.cos(t)), (0.0, 10.0), [1.0]),
    "runs off": (lambda t, y: y * y, (0.0, 2.0), [1.0]),
    "runs off late": (lambda t, y: y * y, (0.0, 1.0), [1.0, 2.0]),
    "grows": (lambda t, y: 20.0 * y, (0.0, 3.0), [1.0, -1.0]),
    "no slope at the start": (lambda t, y: y / (t - t), (0.0, 1.0), [1.0]),
    "leaves the domain": (root, (0.0, 4.0), [1.0]),
    "a shelf": (shorter, (0.0, 2.0), [1.0]),
    "a pole of the rate": (lambda t, s: -s / (1e-3 + s), (0.0, 3.0), [1.0]),
    "a relay": (lambda t, y: 0.5 - np.sign(y), (0.0, 3.0), [1.0]),
    "a matrix": (lambda t, y: y @ [[0.0, 1.0], [-1.0, 0.0]], (0.0, 1.0), [[1.0, 0.0], [0.0, 1.0]]),
    "single precision": (lambda t, y: np.float32(-1.0) * y.astype(np.float32), (0.0, 3.0), [1.0]),
    "a small start": (lambda t, y: -y, (0.0, 1.0), [1e-9]),
    "raises": (gives_up, (0.0, 1.0), [1.0, 2.0]),
    "is interrupted": (interrupted, (0.0, 1.0), [1.0, 2.0]),
}


def told(run, *given, **more):
    """What a call gives: its result, or its exception with what was computed before; and what it warns of."""
    with warnings.catch_warnings(record=True) as seen, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        try:
            found, ended = run(*given, **more), None
        except (Exception, KeyboardInterrupt) as error:
            found, ended = getattr(error, "partial_result", {}), [type(error), str(error), getattr(error, "__notes__", [])]
    return found, ended, [(one.category, str(one.message)) for one in seen]


def assert_same(run, fun, *given, others=(LONG,), most=MOST, **more):
    """A call, and the same one with each of the other arguments, ask the function as often and give the same; some are left half way."""
    asked = []

    def counted(*at):
        asked.append(at[0])
        if len(asked) > most:
            raise ArithmeticError("so many")
        return fun(*at)

    short, ended, words = told(run, counted, *given, **more)
    count = len(asked)
    for other in others:
        del asked[:]
        full, *rest = told(run, counted, *given, **more, **other)
        assert rest == [ended, words]
        assert len(asked) == count
        assert sorted(short) == sorted(full)
        for field in full:
            np.testing.assert_array_equal(short[field], full[field], err_msg=field)


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("method", PAIRS)
def test_a_run_is_the_same_with_everything_that_longer_ones_need(name, method):
    fun, span, y0 = RUNS[name]
    for tolerances in ({}, PLAIN):
        assert_same(mflow.solve_ivp, fun, span, y0, method, **tolerances)


@pytest.mark.parametrize("method", FIXED)
def test_fixed_steps_are_the_same_with_everything_that_longer_runs_need(method):
    for fun, span, y0 in RUNS.values():
        for parts in (1.0, 20.3):
            assert_same(mflow.solve_ivp, fun, span, y0, method, dt=(abs(span[1] - span[0]) or 1.0) / parts)


GRADIENTS = {
    "a bowl": lambda c: 2.0 * c,
    "a steep bowl": lambda c: 100.0 * c,
    "a bowl that saturates": lambda c: 50.0 * np.tanh(c),
    "a saddle": lambda c: c * [1.0, -1.0],
    "a wave": lambda c: np.cos(20.0 * c),
    "a root": lambda c: np.sqrt(c - 0.9),
    "none": lambda c: [1.0, 1.0][math.floor(c[0]) + 1],
}


@pytest.mark.parametrize("method", [*dict.fromkeys(PAIRS + FIXED)])
def test_a_gradient_flow_is_the_same_with_everything_that_longer_ones_need(method):
    for grad in GRADIENTS.values():
        if method in PAIRS:
            assert_same(mflow.gradient_flow, grad, [1.0, 1.5], 0.7, method)
        for dt in (0.1, 0.03) if method in FIXED else ():
            assert_same(mflow.gradient_flow, grad, [1.0, 1.5], 0.7, method, dt=dt)


STRUCTURES = {
    "an oscillator": {"mass": 1.0, "stiffness": 4.0, "x0": [1.0]},
    "damped": {"mass": [1.0, 2.0], "stiffness": [[4.0, -1.0], [-1.0, 3.0]], "damping": [0.1, 0.2], "x0": [1.0, 0.0], "v0": [0.0, 3.0]},
    "by Rayleigh": {"stiffness": [[4.0, -1.0], [-1.0, 3.0]], "rayleigh": (0.1, 0.2), "x0": [1.0, 0.0]},
    "not symmetric": {"stiffness": [[4.0, -1.0], [-2.0, 3.0]], "x0": [1.0, 0.0]},
    "negative": {"stiffness": [-100.0], "x0": [1.0]},
    "singular": {"stiffness": [-4.0], "x0": [1.0]},
    "huge": {"stiffness": [1e-300], "x0": [1e300], "v0": [1e308]},
    "a square": {"stiffness": 2.0, "x0": [[1.0, 0.0], [0.0, 1.0]]},
    "without energies": {"stiffness": 2.0, "x0": [1.0], "energy": False},
    "a massless one": {"mass": [1.0, 0.0], "stiffness": [[2.0, -1.0], [-1.0, 1.0]], "x0": [1.0, 1.0]},
}


@pytest.mark.parametrize("method", MOTIONS)
def test_a_motion_is_the_same_with_everything_that_longer_ones_need(method):
    for body in STRUCTURES.values():
        for dt in (1.0, 0.05):
            of = {**body, "t_span": (0.0, 2.0), "method": method, "dt": dt}
            short, *ended = told(mflow.solve_dynamics, **of)
            full, *same = told(mflow.solve_dynamics, **of, **LONG)
            assert ended == same
            assert sorted(short) == sorted(full)
            for field in full:
                if field == "energy" and full[field] is not None:
                    for column in full.energy:
                        np.testing.assert_array_equal(short.energy[column], full.energy[column], err_msg=column)
                else:
                    np.testing.assert_array_equal(short[field], full[field], err_msg=field)


CUTS = {"callback": lambda t, y: None}, LONG | {"max_step": lambda t, y: 1e9}, {"first_step": None, "min_step": 0.0}


@pytest.mark.parametrize("method", PAIRS)
def test_words_of_stiffness_do_not_depend_on_where_a_run_is_cut(method):
    fun, span, y0 = RUNS["a little stiff"]
    assert_same(mflow.solve_ivp, fun, span, y0, method, others=CUTS, most=10**5)
    found, _, words = told(mflow.solve_ivp, fun, span, y0, method)
    assert found.reason == "finished"
    assert [category for category, _ in words] == [mflow.StiffnessWarning]


CALLS = {
    "under error control": (mflow.solve_ivp, lambda *at: -at[-1], (0.0, 1.0), [1.0, 2.0], "dopri5"),
    "fixed steps": (mflow.solve_ivp, lambda *at: -at[-1], (0.0, 1.0), [1.0, 2.0], "rk4", 0.4),
    "a flow": (mflow.gradient_flow, lambda *at: at[-1], [1.0, 2.0], 1.0, "euler", 0.25),
}


@pytest.mark.parametrize("name", CALLS)
def test_ctrl_c_in_any_evaluation_leaves_the_same(name):
    """One more than those of the steps is of the look at whether a flow climbs."""
    run, fun, *given = CALLS[name]
    fixed = {} if name == "under error control" else {"dt": given.pop()}
    for last in range(1, 18):
        reasons = []
        for more in ({}, LONG):
            asked = []

            def until(*at, asked=asked, last=last):
                asked.append(at)
                if len(asked) == last:
                    raise KeyboardInterrupt
                return fun(*at)

            found, ended, words = told(run, until, *given, **fixed, **more)
            assert 0 <= len(asked) - found.nfev - found.ncheck <= 1  # the one that was interrupted is none
            reasons.append((found.reason, found.message, found.nfev, found.ncheck, found.t.tolist(), found.y.tolist(), ended, words))
            assert (ended is None) == (len(asked) < last)
            assert found.reason == ("finished" if ended is None else "interrupted")
        assert reasons[0] == reasons[1]


def test_an_exception_on_the_way_takes_what_was_computed_along():
    for more in ({}, LONG):
        with pytest.raises(ZeroDivisionError, match="no more") as caught:
            mflow.solve_ivp(gives_up, (0.0, 1.0), [1.0, 2.0], max_step=None, **PLAIN, **more)
        partial = caught.value.partial_result
        assert partial.reason == "rhs_failed"
        assert 0.0 < partial.t[-1] <= 0.3
        assert np.allclose(partial.y, np.array([[1.0], [2.0]]) * np.exp(-partial.t), rtol=1e-6)
        assert any("in mflow.solve_ivp" in note for note in caught.value.__notes__)


def test_a_run_of_a_few_steps_can_be_examined():
    found = mflow.solve_ivp(lambda t, y: y, (0.0, 1.0), [1.0], **PLAIN)
    assert found.nsteps < 30
    assert found.posedness().verdict == "ill-posed"
    assert math.isclose(found.y[0, -1], math.e, rel_tol=1e-5)


def decays(**more):
    return mflow.solve_ivp(lambda t, y: -y, (0.0, 1.0), [1.0], **more)


def descends(**more):
    return mflow.gradient_flow(lambda c: c, [1.0], 1.0, **{"dt": 0.1} | more)


@pytest.mark.parametrize(
    ("driver", "call", "taken"),
    [
        ("ivp", decays, "fun t_span y0 method dt rtol atol args inplace parameters"),
        ("flow", descends, "grad c0 t_end method dt args options"),
    ],
)
def test_any_other_argument_makes_a_run_that_has_it_all(monkeypatch, driver, call, taken):
    """A short run takes these alone: another that it does not know of would be without effect."""
    short, of = [], getattr(mflow.integrate, driver)
    begin = of.begin
    monkeypatch.setattr(of, "begin", lambda *given: short.append(given) or begin(*given))
    call()
    assert len(short) == 1
    names = inspect.signature(mflow.solve_ivp if driver == "ivp" else mflow.gradient_flow).parameters
    for name in [one for one in names if one not in taken.split()]:
        with contextlib.suppress(Exception):  # what it is refused with is not asked here
            call(**{name: object()})
        assert len(short) == 1, name


def test_any_other_argument_makes_a_motion_that_has_it_all(monkeypatch):
    short = []
    monkeypatch.setattr(mflow.dynamics.solve, "begin_motion", lambda *given: short.append(given))
    body = {"stiffness": 4.0, "t_span": (0.0, 1.0), "x0": [1.0], "dt": 0.1}
    mflow.solve_dynamics(**body)
    assert len(short) == 1
    taken = {*body, "mass", "damping", "v0", "method", "rayleigh", "energy", "parameters"}
    for name in [one for one in inspect.signature(mflow.solve_dynamics).parameters if one not in taken]:
        with contextlib.suppress(Exception):
            mflow.solve_dynamics(**body, **{name: object()})
        assert len(short) == 1, name


def test_arguments_of_functions_and_functions_that_fill():
    def into(t, y, out, k):
        out[:] = -k * y

    found = mflow.solve_ivp(into, (0.0, 1.0), [1.0, 3.0], args=(2.0,), inplace=True, **PLAIN)
    theirs = by_scipy(lambda t, y: -2.0 * y, (0.0, 1.0), [1.0, 3.0], rtol=1e-10, atol=1e-12)
    assert np.allclose(found.y[:, -1], theirs.y[:, -1], rtol=1e-5)
    with pytest.raises(TypeError, match="method: expected a name or an instance"):
        mflow.solve_ivp(into, (0.0, 1.0), [1.0], mflow.RK4)
    with pytest.raises(ValueError, match="rtol"):
        mflow.solve_ivp(into, (0.0, 1.0), [1.0], rtol=-1.0)
    with pytest.raises(TypeError, match="no argument"):
        mflow.solve_ivp(into, (0.0, 1.0), [1.0], rtoll=1.0)
