"""`DenseOutput`: the stored states at the ends of steps, each step's polynomial between them, in any order and direction."""

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest

import mflow
from mflow.base.checks import Array
from mflow.integrate.dense import DenseOutput
from mflow.integrate.history import History
from support.problems import Boom


def pieces(ts: Any, n: int = 3, degree: int = 4, seed: int = 0) -> tuple[DenseOutput, Any]:
    """Random polynomials joined end to end, and the same as numpy.polynomial objects in t."""
    rng = np.random.default_rng(seed)
    ts = np.asarray(ts, dtype=float)
    steps = len(ts) - 1
    D = rng.normal(size=(steps, degree, n))
    y = np.empty((steps + 1, n))
    y[0] = rng.normal(size=n)
    for i in range(steps):
        y[i + 1] = y[i] + D[i].sum(axis=0)

    def exact(t: float) -> Any:
        i = min(max(int(np.sum((ts <= t) if ts[-1] >= ts[0] else (ts >= t))) - 1, 0), steps - 1)
        theta = (t - ts[i]) / (ts[i + 1] - ts[i])
        return y[i] + sum(theta ** (k + 1) * D[i, k] for k in range(degree))

    return DenseOutput(ts, y[:-1], D, y[-1]), (exact, y)


@pytest.mark.parametrize("ts", [[0.0, 0.5, 0.7, 2.0], [3.0, 2.5, -1.0, -1.25], [0.1, 0.2], [-1e-3, 0.0, 1e3]])
def test_values_are_those_of_the_polynomials(ts: list[float]) -> None:
    sol, (exact, y) = pieces(ts)
    rng = np.random.default_rng(1)
    t = rng.uniform(min(ts), max(ts), 60)
    want = np.array([exact(v) for v in t]).T
    np.testing.assert_allclose(sol(t), want, rtol=1e-12, atol=1e-12)
    assert sol(t).shape == (3, 60)
    for k in (0, 17, 59):
        np.testing.assert_array_equal(sol(t[k]), sol(t)[:, k])
    np.testing.assert_array_equal(sol(np.asarray(ts)), y.T)  # bit for bit
    assert (sol.t_min, sol.t_max) == (min(ts), max(ts))
    np.testing.assert_array_equal(sol.ts, ts)


def test_order_and_shape_of_t_do_not_matter() -> None:
    sol, _ = pieces([0.0, 1.0, 3.0])
    t = np.array([[2.0, 0.1, 0.1], [3.0, 0.0, 1.0]])
    out = sol(t)
    assert out.shape == (3, 2, 3)
    for index in np.ndindex(2, 3):
        np.testing.assert_array_equal(out[(slice(None), *index)], sol(float(t[index])))
    assert sol([]).shape == (3, 0)
    assert sol(2).shape == (3,)


def test_chunks_do_not_change_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    sol, _ = pieces(np.linspace(0, 5, 12), n=7)
    t = np.random.default_rng(2).uniform(-1, 6, 500)
    whole, slopes = sol(t), sol.derivative(t)
    monkeypatch.setattr("mflow.integrate.dense.CHUNK", 20)
    np.testing.assert_array_equal(sol(t), whole)
    np.testing.assert_array_equal(sol.derivative(t), slopes)


def test_derivative_is_that_of_the_polynomials() -> None:
    sol, _ = pieces([2.0, 1.0, -1.0])
    t = np.array([1.9, 1.5, 0.3, -0.9])
    step = 1e-5
    want = (sol(t + step) - sol(t - step)) / (2 * step)
    np.testing.assert_allclose(sol.derivative(t), want, rtol=1e-7, atol=1e-7)
    line = DenseOutput([0.0, 4.0], [[1.0]], [[[8.0]]], [9.0])
    np.testing.assert_array_equal(line.derivative([0.0, 1.0, 4.0, 5.0]), [[2.0, 2.0, 2.0, 2.0]])


def test_outside_the_span_the_end_steps_go_on() -> None:
    for ts in ([0.0, 1.0, 2.0], [2.0, 1.0, 0.0]):
        sol, (exact, _) = pieces(ts)
        for t in (-0.3, 2.3):
            np.testing.assert_allclose(sol(t), exact(t), rtol=1e-12)


def test_a_jump_belongs_to_what_comes_behind() -> None:
    ts = [0.0, 0.0, 1.0, 1.0, 2.0, 2.0]
    y0 = [[9.0], [0.0], [1.0], [5.0], [6.0]]
    D = [[[-9.0]], [[1.0]], [[4.0]], [[1.0]], [[1.0]]]
    sol = DenseOutput(ts, y0, D, [7.0])
    np.testing.assert_array_equal(sol([-0.5, 0.0, 0.5, 1.0, 1.5, 2.0]), [[-0.5, 0.0, 0.5, 5.0, 5.5, 7.0]])
    assert np.all(np.isfinite(sol.derivative([0.0, 1.0, 2.0])))


def test_a_step_cut_short_by_an_event() -> None:
    sol = DenseOutput([0.0, 1.0, 1.5], [[0.0], [1.0]], [[[1.0]], [[2.0]]], [1.5], h=[1.0, 2.0])
    np.testing.assert_array_equal(sol([0.5, 1.25, 1.5]), [[0.5, 1.25, 1.5]])
    np.testing.assert_array_equal(sol.derivative([0.5, 1.25]), [[1.0, 1.0]])


def test_states_of_any_shape() -> None:
    D = np.arange(24.0).reshape(2, 2, 6)
    sol = DenseOutput([0.0, 1.0, 2.0], np.zeros((2, 6)), D, np.ones(6), shape=(2, 3))
    assert sol(0.5).shape == (2, 3)
    assert sol([0.5, 1.5, 0.0, 2.0]).shape == (2, 3, 4)
    np.testing.assert_array_equal(sol([0.5, 1.5])[..., 1], sol(1.5))
    np.testing.assert_array_equal(sol(2.0), np.ones((2, 3)))
    np.testing.assert_array_equal(sol(0.5).ravel(), 0.5 * (D[0, 0] + 0.5 * D[0, 1]))


def test_no_step_at_all() -> None:
    sol = DenseOutput([1.0], np.empty((0, 2)), np.empty((0, 3, 2)), [4.0, 5.0])
    np.testing.assert_array_equal(sol(1.0), [4.0, 5.0])
    np.testing.assert_array_equal(sol([1.0, 1.0]), [[4.0, 4.0], [5.0, 5.0]])
    with pytest.raises(ValueError, match="nothing was integrated"):
        sol(1.5)
    with pytest.raises(ValueError, match="no length"):
        sol.derivative(1.0)


def test_copies_and_pickles() -> None:
    sol, _ = pieces([0.0, 1.0, 3.0])
    t = np.linspace(-1, 4, 50)
    for other in (pickle.loads(pickle.dumps(sol)), copy.copy(sol), copy.deepcopy(sol)):
        np.testing.assert_array_equal(other(t), sol(t))
        assert repr(other) == repr(sol) == "DenseOutput(2 steps from t = 0 to 3, state of shape (3,))"


@pytest.mark.parametrize("t", [math.nan, math.inf, [0.0, -math.inf]])
def test_a_time_that_is_not_finite(t: Any) -> None:
    sol, _ = pieces([0.0, 1.0])
    with pytest.raises(ValueError, match="expected finite times"):
        sol(t)


def test_arrays_that_do_not_fit() -> None:
    with pytest.raises(TypeError, match="complex"):
        pieces([0.0, 1.0])[0](1j)
    good = {"ts": [0.0, 1.0], "y0": [[1.0]], "D": [[[1.0]]], "y_end": [2.0]}
    for change in ({"ts": [0.0, 2.0, 1.0], "y0": [[1.0], [2.0]], "D": [[[1.0]], [[1.0]]]}, {"D": [[[1.0, 2.0]]]}, {"shape": (2,)},
                   {"h": [-1.0]}, {"h": [0.0]}, {"ts": [0.0, math.nan]}, {"y0": [[1.0], [1.0]]}):  # fmt: skip
        with pytest.raises(ValueError):  # noqa: PT011
            DenseOutput(**{**good, **change})


# ---- a step that does not come about, and a state without a shape ---------------------------------------------------------------------


def at_once(t: float, y: Array) -> Array:
    raise Boom("mine")


OUTPUTS: list[dict[str, Any]] = [
    {"t_eval": [0.5], "dense_output": True}, {"t_eval": [1.0, 0.5], "dense_output": True}, {"t_eval": [0.5]}, {"dense_output": True}, {},
    {"t_eval": [], "dense_output": True}, {"t_eval": [0.5], "dense_output": True, "events": lambda t, y: np.sum(y) - 0.1}, {"save": "last"},
]  # fmt: skip
MODES: list[dict[str, Any]] = [
    {},
    {"method": "rk4", "dt": 0.1},
    {"method": "rk4", "dt": "auto"},
    {"method": "esdirk43"},
    {"method": "rkc2"},
]


@pytest.mark.parametrize("start", [[1.0], 1.0, [[1.0, 2.0]]], ids=["vector", "scalar", "matrix"])
@pytest.mark.parametrize("span", [(1.0, 0.0), (0.0, 1.0)], ids=["backwards", "forwards"])
def test_a_first_step_that_raises(span: tuple[float, float], start: Any) -> None:
    """The exception is the user's own, whatever was to be written down; what there was before comes along."""
    for mode in MODES:
        for output in OUTPUTS:
            more = dict(output)
            if "t_eval" in more:
                more["t_eval"] = sorted(more["t_eval"], reverse=span[0] > span[1])
            with pytest.raises(Boom, match="mine") as info:
                mflow.solve_ivp(at_once, span, start, **mode, **more)
            partial = info.value.partial_result  # type: ignore[attr-defined]
            times = [t for t in more.get("t_eval", [span[0]]) if t == span[0]]
            assert partial.t.tolist() == times
            assert partial.y.shape == (*np.shape(start), len(times))
            assert partial.reason == "rhs_failed"


@pytest.mark.parametrize("mode", MODES[:4])
def test_a_first_step_backwards_that_is_not_finite(mode: dict[str, Any]) -> None:
    for output in OUTPUTS:
        with np.errstate(all="ignore"):
            r = mflow.solve_ivp(lambda t, y: y * np.nan, (1.0, 0.0), [1.0], **mode, **output)
        assert (r.success, r.reason) == (False, "non_finite")
        assert r.t.tolist() == [t for t in output.get("t_eval", [1.0]) if t == 1.0]


def test_a_motion_backwards_that_raises_at_once() -> None:
    def accel(t: float, x: Array, v: Array) -> Array:
        if t < 1.0:
            raise Boom("mine")
        return -x

    for output in ({"t_eval": [0.5], "dense_output": True}, {"t_eval": [1.0, 0.5], "dense_output": True}, {"dense_output": True}):
        with pytest.raises(Boom, match="mine") as info:
            mflow.solve_dynamics(force=accel, t_span=(1.0, 0.0), x0=[1.0], method="newmark", dt=0.1, **output)  # type: ignore[arg-type]
        assert info.value.partial_result.x.shape == (1, 0 if output.get("t_eval") == [0.5] else 1)  # type: ignore[attr-defined]


def test_the_solution_of_one_number() -> None:
    r = mflow.solve_ivp(lambda t, y: -y, (0, 1), 1.0, dense_output=True, rtol=1e-9, atol=1e-12)
    for t in (0.5, [0.5], [[0.1, 0.2], [0.3, 0.4]], []):
        assert r.sol(t).shape == np.shape(t)
        np.testing.assert_allclose(r.sol(t), np.exp(-np.asarray(t)), rtol=1e-7)
        np.testing.assert_allclose(r.sol.derivative(t), -np.exp(-np.asarray(t)), rtol=1e-5)
    assert float(mflow.solve_ivp(lambda t, y: -y, (0, 0), 1.0, dense_output=True).sol(0.0)) == 1.0
    motion = mflow.solve_dynamics(force=lambda t, x, v: -x, t_span=(0, 1), x0=1.0, dt=0.01, dense_output=True)
    assert abs(motion.sol(0.5) - math.cos(0.5)) < 1e-4


def test_what_goes_wrong_with_the_result_does_not_replace_an_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: Any) -> Any:
        raise MemoryError("no memory for the result")

    monkeypatch.setattr(History, "arrays", fails)
    with pytest.raises(Boom, match="mine") as info:
        mflow.solve_ivp(at_once, (0, 1), [1.0])
    assert "there is none: MemoryError" in info.value.__notes__[0]
    assert not hasattr(info.value, "partial_result")
