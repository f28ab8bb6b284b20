"""Numbers and arguments at the edge that somebody has met, each with the sentence that it gives now."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import mflow
from mflow.base import checks


def decay(t: float, y: Any) -> Any:
    return -y


def bowl(x: Any) -> Any:
    return x @ x, 2 * x


def never(*given: Any) -> Any:
    raise AssertionError("asked before the arguments were looked at")


def solve(t_span: Any = (0, 1), y0: Any = (1.0,), **more: Any) -> Any:
    return mflow.solve_ivp(decay, t_span, y0, **more)


def train(**more: Any) -> Any:
    return mflow.train(bowl, np.ones(2), jac=True, **more)


HUGE = 10**400
HELD: dict[str, Any] = {"mass": 1.0, "stiffness": 1.0, "x0": [1.0], "t_span": (0, 1), "dt": 0.1}
CURVE = mflow.objectives.curve("exponential", np.linspace(0, 1, 9), np.exp(-np.linspace(0, 1, 9)))
REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "hess huge": (
        lambda: mflow.minimize(bowl, [0.0, 3.0], jac=True, method="backward_euler", dt=0.1, hess=HUGE),
        TypeError, "hess: expected a function",
    ),
    "bounds of no axis": (lambda: mflow.minimize(bowl, [0.0, 3.0], jac=True, bounds=np.array(3.0)), TypeError, "bounds: expected"),
    "lrs of no axis": (lambda: mflow.sweep("penguins", ["sgd"], np.array("a")), TypeError, "lrs"),
    "max_steps inf": (lambda: solve(max_steps=math.inf), ValueError, "max_steps: expected a whole number of at least 1, got inf"),
    "max_steps huge": (lambda: solve(max_steps=HUGE), ValueError, "max_steps: .* got a whole number of 401 digits"),
    "t_span too long": (lambda: solve((-1e308, 1e308)), ValueError, "t_span: expected times whose distance is a finite number"),
    "t_span huge": (lambda: solve((0, HUGE)), ValueError, r"t_span\[1\]: expected a finite number .*, got a whole number of 401 digits"),
    "tr_solver ragged": (lambda: mflow.least_squares(bowl, [1.0], tr_solver=[[1, 2], [3]]), ValueError, "tr_solver: expected 'exact', got"),
    "consistent array": (lambda: solve(consistent=np.ones(2)), ValueError, "consistent: expected 'project' or 'check', got array"),
    "verbose array": (lambda: mflow.least_squares(bowl, [1.0], verbose=np.ones(2)), ValueError, "verbose: expected 0, got array"),
    "dt True": (lambda: solve(dt=True), TypeError, "dt: expected a finite step above 0 .*, got True"),
    "dt huge": (lambda: solve(dt=HUGE), ValueError, "dt: .* got a whole number of 401 digits"),
    "max_step huge": (lambda: solve(max_step=[1]), TypeError, "max_step: expected a step above 0"),
    "y0 huge": (lambda: solve(y0=[HUGE]), ValueError, "y0: expected finite numbers, got inf"),
    "t_eval text": (lambda: solve(t_eval="a"), TypeError, "t_eval: expected real numbers"),
    "t_eval None": (lambda: solve(t_eval=[None]), TypeError, "t_eval: expected real numbers, got None"),
    "checkpoint 3": (lambda: solve(checkpoint=3), TypeError, "checkpoint: expected the path of a file, got 3"),
    "checkpoint empty": (lambda: solve(checkpoint=""), ValueError, "checkpoint: expected the path of a file, got ''"),
    "checkpoint folder": (lambda: solve(checkpoint="."), ValueError, "checkpoint: .*, got the folder '.'"),
    "resume folder": (lambda: solve(resume="."), ValueError, "resume: expected the path of a file, got"),
    "train checkpoint": (lambda: train(checkpoint="."), ValueError, "checkpoint: .*, got the folder '.'"),
    "progress": (lambda: solve(progress="yes"), TypeError, "progress: expected True or False, got 'yes'"),
    "batch t_span": (lambda: mflow.solve_ivp_batch(decay, (0, HUGE), [[1.0]]), ValueError, "t_span"),
    "t_span of a motion": (
        lambda: mflow.solve_dynamics(force=lambda t, x, v: -x, x0=[1.0], t_span=3, dt=0.1), ValueError, "t_span: expected two numbers",
    ),
    "clip_norm": (lambda: train(clip_norm="x"), TypeError, "clip_norm: expected a number above 0, or None, got 'x'"),
    "maxiter None": (lambda: mflow.minimize(bowl, [1.0], jac=True, maxiter=None), TypeError, "maxiter: .* got None"),
    "options 3": (lambda: mflow.minimize(bowl, [1.0], jac=True, options=3), TypeError, "options: expected a dict of arguments, got 3"),
    "products": (lambda: mflow.max_stable_dt("euler", jac=lambda v: -v), TypeError, "n: expected the length of v, got None"),
    "length of products": (lambda: mflow.max_stable_dt("euler", jac=lambda v: -v, n="x"), TypeError, "n: expected the length of v"),
    "eigenvalues": (lambda: mflow.max_stable_dt("euler", eigenvalues="x"), TypeError, "eigenvalues: expected real numbers, got the string"),
    "huge eigenvalues": (lambda: mflow.max_stable_dt("euler", eigenvalues=[HUGE]), ValueError, "eigenvalues: expected finite numbers"),
    "explain 3": (lambda: mflow.explain(3, [1.0]), TypeError, "fun: expected a cost"),
    "optimizer state": (lambda: mflow.optim.Adam(np.ones(2)).load_state_dict(3), TypeError, "state: expected the dict"),
    "schedule state": (lambda: mflow.schedules.StepLR(1.0, step_size=3).load_state_dict(3), TypeError, "state: expected the dict"),
    "model state": (lambda: mflow.ImplicitSGD("squared").load_state_dict(3), TypeError, "state: expected the dict"),
    "history of 3": (lambda: mflow.plot.history(3), TypeError, "result: expected a result of mflow.train"),
    "saving a stepper": (lambda: mflow.Stepper("rk4", decay, [1.0]).save(3), TypeError, "path: expected the path of a file, got 3"),
    "one stage": (lambda: mflow.get_method("rkc2", stages=1), ValueError, "stages: rkc2 does not work with stages = 1; it is the number"),
    "many stages": (lambda: mflow.get_method("rkc2", stages=10_001), ValueError, r"stages: expected a whole number in .*, got 10001$"),
    "unknown to train": (lambda: train(epoch=3), TypeError, "train has no argument 'epoch'; did you mean 'epochs'"),
    "unknown to minimize": (lambda: mflow.minimize(bowl, [1.0], jac=True, gtoll=1), TypeError, "minimize has no argument 'gtoll'; did you"),
    "rayleigh of contacts": (
        lambda: mflow.solve_dynamics(**HELD, contacts=mflow.Contact(0, stiffness=1.0), rayleigh=math.inf),
        ValueError, "rayleigh: expected two numbers",
    ),
    "no names": (lambda: mflow.least_squares_batch(CURVE, [[1.0, 1.0, 0.0]]).to_frame(3), TypeError, "names: expected texts, got 3"),
    "no cost": (lambda: mflow.line_search(None, [1.0], [-1.0], jac=lambda x: x), TypeError, "fun: expected a cost"),
    "shapes apart": (
        lambda: mflow.amplification("newmark", omega_dt=[1.0, 2.0], zeta=np.empty((0, 3))),
        ValueError, r"omega_dt, zeta: expected shapes that broadcast, got \(2,\) and \(0, 3\)",
    ),
    "tries": (lambda: mflow.explain(never, [1.0], jac=True, tries=-math.inf), ValueError, "tries: expected a whole number"),
    "jac of an equation": (lambda: mflow.explain(never, [1.0], kind="rhs", jac={1}), TypeError, "jac: expected real numbers"),
    "of runs": (
        lambda: mflow.Stepper("auto", decay, [1.0], rtol=1e-6, nonnegative=True),
        TypeError, "nonnegative: a stepper does not take it, its owner goes step by step; mflow.solve_ivp has it",
    ),
    "a large grid": (lambda: mflow.stability_region("rk4", shape=(10**8, 10**8)), ValueError, "shape: no memory for a grid"),
}  # fmt: skip


RAGGED = [[1, 2], [3]]
RAGGEDLY: dict[str, Any] = {
    "y0": lambda: mflow.solve_ivp_batch(decay, (0, 1), RAGGED, "dopri5"),
    "fixed": lambda: mflow.minimize(bowl, [0.0, 3.0], jac=True, fixed=RAGGED),
    "fixed ": lambda: mflow.least_squares(lambda b: b - 1, [0.0, 0.0], fixed=RAGGED),
    "fixed  ": lambda: mflow.solve_dynamics(**HELD, fixed=RAGGED),
    "xdata": lambda: mflow.curve_fit(lambda t, a: a * t, RAGGED, [1.0, 2.0]),
    "rtol": lambda: mflow.solve_dynamics(**{**HELD, "dt": None}, rtol=RAGGED),
    "mass": lambda: mflow.modes(RAGGED, 1.0),
    "stiffness": lambda: mflow.max_stable_dt("newmark", mass=1.0, stiffness=RAGGED),
    "mass ": lambda: mflow.Stepper("newmark", mass=RAGGED, stiffness=1.0, x0=[1.0]),
    "jac": lambda: mflow.max_stable_dt("euler", jac=RAGGED),
    "starts": lambda: mflow.minimize_batch(bowl, RAGGED, jac=True),
    "jac_sparsity": lambda: solve(method="radau5", jac_sparsity=RAGGED),
    "X": lambda: mflow.ImplicitSGD("squared").fit(RAGGED, [1.0, 2.0]),
    "y": lambda: mflow.ImplicitSGD("squared").fit([[1.0], [2.0]], RAGGED),
    "jac ": lambda: mflow.check_jacobian(lambda x: x, [1.0, 2.0], RAGGED),
    "jac  ": lambda: mflow.explain(decay, [1.0, 2.0], t_span=(0, 1), jac=RAGGED),
    "t_span": lambda: mflow.explain(decay, [1.0, 2.0], t_span=RAGGED),
    "damping": lambda: mflow.response_spectrum((0.1, [1.0, 2.0]), [1.0], damping=RAGGED),
    "shape": lambda: mflow.stability_region("rk4", shape=RAGGED),
    "X ": lambda: mflow.objectives.Logistic(RAGGED, [0.0, 1.0]),
    "y ": lambda: mflow.objectives.Logistic([[1.0], [2.0]], RAGGED),
    "weights": lambda: mflow.objectives.LeastSquares([[1.0], [2.0]], [1.0, 2.0], weights=RAGGED),
}


@pytest.mark.parametrize("name", RAGGEDLY)
def test_ragged_lists_name_their_argument(name: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^{name.strip()}.*: expected .*rows of different lengths"):
        RAGGEDLY[name]()


def test_whole_numbers_of_any_kind_count() -> None:
    right = mflow.least_squares(lambda b: b - 1, [0.0, 0.0], passes=1).x
    assert np.array_equal(mflow.least_squares(lambda b: b - 1, [0.0, 0.0], passes=np.float32(1)).x, right)


def test_what_is_no_obstacle_and_no_constraint() -> None:
    for name in ("contacts", "friction"):
        with pytest.raises(TypeError, match=f"{name}: expected a mflow"):
            mflow.solve_dynamics(**HELD, **{name: np.array([])})
    with pytest.raises(TypeError, match="constraints: expected a function"):
        mflow.solve_dynamics(**HELD, constraints=(1, 2))


@pytest.mark.parametrize("case", REFUSED)
def test_a_sentence_with_the_arguments_name(case: str) -> None:
    call, kind, words = REFUSED[case]
    with pytest.raises(kind, match=f"^{words}"):
        call()


@pytest.mark.parametrize("dt", [None, 0.1])
def test_an_empty_state_has_events(dt: float | None) -> None:
    method = None if dt is None else "rk4"
    r = mflow.solve_ivp(lambda t, y: y, (0, 1), [], method, dt=dt, events=lambda t, y: t - 0.55)
    assert r.success
    assert r.t_events[0] == pytest.approx([0.55])
    assert r.y_events[0].shape == (1, 0)
    s = mflow.solve_dynamics(force=lambda t, x, v: x, x0=[], t_span=(0, 1), dt=0.1, events=lambda t, x, v: t - 0.55)
    assert s.t_events[0] == pytest.approx([0.55])
    assert s.x_events[0].shape == s.v_events[0].shape == (1, 0)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_gradient_as_a_list_is_refused_alike(accumulate: int) -> None:
    settings: dict[str, Any] = {"jac": True, "batch_size": 4, "accumulate": accumulate, "lr": 0.1}
    with pytest.raises(TypeError, match=r"^g: expected a NumPy array, got list"):
        mflow.train(lambda p, rows: (1.0, [1.0]), np.ones(1), np.ones((8, 1)), "sgd", **settings)
    with pytest.raises(ValueError, match=r"^g(\[0\])?: expected"):
        mflow.train(lambda p, rows: (1.0, np.ones(2)), np.ones(1), np.ones((8, 1)), "sgd", **settings)


# ---- the checks themselves -----------------------------------------------------------------------------------------------------------


def test_paths_that_can_be_written_are_known_beforehand(tmp_path: Any) -> None:
    assert checks.check_path(tmp_path / "a", "path") == str(tmp_path / "a")
    with pytest.raises(FileNotFoundError, match="path: there is no folder"):
        checks.check_path(tmp_path / "no" / "a", "path")
    with pytest.raises(FileNotFoundError, match="resume: there is no file"):
        checks.check_saved(tmp_path / "a", "resume")
    with pytest.raises(ValueError, match="path: expected the path of a file"):
        checks.check_path("a\0b", "path")


def test_values_in_messages_are_short_whatever_they_are() -> None:
    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError

    assert checks.shown(Odd()) == "an instance of Odd"
    assert checks.shown(HUGE) == "a whole number of 401 digits"
    assert len(checks.shown("x" * 10_000)) < 70
    assert checks.shown(np.ones((3, 3))) == "an array of shape (3, 3) and dtype float64"


@pytest.mark.parametrize("value", [True, False, 0, 1, np.True_, np.int64(1)])
def test_flags(value: Any) -> None:
    checks.check_flags(flag=value)


@pytest.mark.parametrize("value", ["no", 2, 0.0, None, np.ones(2), []])
def test_what_is_no_flag(value: Any) -> None:
    with pytest.raises(TypeError, match="flag: expected True or False"):
        checks.check_flags(flag=value)
