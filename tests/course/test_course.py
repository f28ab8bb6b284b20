"""Values on the way, signs that are kept, and runs that end at rest."""

import math
import warnings
from typing import Any

import numpy as np
import pytest

import mflow


def swing(t: float, y: Any) -> Any:
    return [y[1], -y[0]]


def energy(t: float, y: Any) -> Any:
    return np.array([[0.5 * (y[0] ** 2 + y[1] ** 2), t]])


# ---- outputs ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [{}, {"t_eval": [0.0, 1.0, 2.5]}, {"save": "last"}, {"save_every": 3}, {"dense_output": True}, {"dt": 0.1}])
def test_outputs_stand_beside_the_states(how: dict[str, Any]) -> None:
    r = mflow.solve_ivp(swing, (0, 3), [1.0, 0.0], outputs=energy, **how)
    assert r.outputs.shape == (1, 2, r.t.size)
    np.testing.assert_array_equal(r.outputs[0, 1], r.t)
    np.testing.assert_array_equal(r.outputs[0, 0], 0.5 * (r.y[0] ** 2 + r.y[1] ** 2))
    number = mflow.solve_ivp(lambda t, y, k: -k * y, (0, 3), [[1.0, 2.0]], args=(2.0,), outputs=lambda t, y, k: k * y.sum(), **how)
    assert number.outputs.shape == number.t.shape
    assert number.outputs[-1] == 2.0 * number.y[..., -1].sum()


def test_outputs_of_batches_and_their_errors() -> None:
    b = mflow.solve_ivp_batch(swing, (0, 1), [[1.0, 0.0], [2.0, 0.0]], t_eval=[0.5, 1.0], outputs=energy)
    assert b.outputs[1].shape == (1, 2, 2)
    assert abs(b[1].outputs[0, 0, 0] - 2.0) < 1e-2
    with pytest.raises(TypeError, match="outputs: expected a function"):
        mflow.solve_ivp(swing, (0, 1), [1.0, 0.0], outputs=[1])
    with pytest.raises(ValueError, match=r"outputs: expected the shape \(1,\) that the first values have, got \(2,\)") as caught:
        mflow.solve_ivp(swing, (0, 1), [1.0, 0.0], outputs=lambda t, y: [0.0] * (1 + (t > 0)))
    assert caught.value.partial_result.reason == "finished"  # type: ignore[attr-defined]


# ---- signs ------------------------------------------------------------------------------------------------------------------------------


def michaelis(asked: list[float]) -> Any:
    """Substrate by Michaelis-Menten with a root: no slope below 0."""

    def f(t: float, y: Any) -> Any:
        asked.append(float(y[0]))
        return [-5.0 * y[0] / (1e-3 + y[0]) * math.sqrt(y[0]), 5.0 * y[0] / (1e-3 + y[0]) * math.sqrt(y[0])]

    return f


@pytest.mark.parametrize("method", ["dopri5", "bs32", "dop853", "esdirk43", "radau5"])
def test_f_is_never_asked_below_zero(method: str) -> None:
    asked: list[float] = []
    jac = {
        "jac": lambda t, y: (
            np.array([[-5.0 * (1.5 * y[0] ** 0.5 * (1e-3 + y[0]) - y[0] ** 1.5) / (1e-3 + y[0]) ** 2, 0.0]] * 2) * [[1], [-1]]
        )
    }
    r = mflow.solve_ivp(
        michaelis(asked),
        (0, 3),
        [1.0, 0.0],
        method,
        nonnegative=[0],
        rtol=1e-4,
        atol=1e-4,
        **(jac if method in ("esdirk43", "radau5") else {}),
    )
    assert r.reason == "finished"
    assert np.min(r.y[0]) >= 0.0
    assert min(asked) >= 0.0
    np.testing.assert_allclose(r.y.sum(axis=0), 1.0, rtol=1e-12)
    assert r.y[0, -1] < 1e-4


def test_signs_are_kept_by_steps_and_not_by_clipping() -> None:
    plain = mflow.solve_ivp(lambda t, y: -50.0 * y, (0, 2), [1.0], "bs32", rtol=1e-3, atol=1e-3)
    assert np.min(plain.y) < 0.0
    kept = mflow.solve_ivp(lambda t, y: -50.0 * y, (0, 2), [1.0], "bs32", rtol=1e-3, atol=1e-3, nonnegative=True)
    assert np.min(kept.y) >= 0.0
    assert kept.nrejected > 0
    assert kept.reason == "finished"
    assert np.all(np.diff(kept.y[0]) <= 0.0)


@pytest.mark.parametrize("method", ["dopri5", "radau5"])
def test_a_solution_that_leaves_says_so(method: str) -> None:
    r = mflow.solve_ivp(lambda t, y: [-1.0, 1.0], (0, 3), [1.0, 0.0], method, nonnegative=True)
    assert r.reason == "left_domain"
    assert not r.success
    assert "component 0" in r.message
    assert abs(r.t[-1] - 1.0) < 1e-12
    assert 0.0 <= r.y[0, -1] < 1e-12
    r = mflow.solve_ivp(lambda t, y: [math.nan if t > 1 else 1.0], (0, 3), [1.0], method, nonnegative=True)
    assert r.reason == "non_finite"  # not for another reason


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"nonnegative": True, "dt": 0.1}, "nonnegative: signs are kept by error control"),
        ({"nonnegative": [2]}, "nonnegative: expected components from 0 to 1"),
        ({"nonnegative": "all"}, "nonnegative: expected True, components, or a mask"),
        ({"nonnegative": [1]}, r"y0: expected no component below 0.* got -1.0 in 1"),
        ({"until": "rest"}, 'until: expected "steady"'),
        ({"steady_rtol": 1e-3}, "steady_rtol, steady_atol: they belong to"),
        ({"until": "steady", "steady_atol": -1.0}, "^steady_atol: expected a number of at least 0, got -1.0"),
        ({"until": "steady", "steady_rtol": 0.0}, "^steady_rtol: expected a finite number of at least 100 eps"),
        ({"until": "steady", "steady_rtol": [1e-3] * 3}, "^steady_rtol: expected one number, or one for each component"),
    ],
)
def test_bad_input_is_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises((TypeError, ValueError, IndexError), match=words):
        mflow.solve_ivp(lambda t, y: -y, (0, 10), [1.0, -1.0], **options)


# ---- rest -------------------------------------------------------------------------------------------------------------------------------


def robertson(t: float, y: Any) -> Any:
    a, b, c = 0.04 * y[0], 1e4 * y[1] * y[2], 3e7 * y[1] ** 2
    return [b - a, a - b - c, c]


RESTS: list[tuple[Any, list[float], float, dict[str, Any]]] = [
    (lambda t, y: 1.0 - y, [0.0], 1e3, {"method": "esdirk43"}),
    (lambda t, y: [y[1], -y[0] - 0.5 * y[1]], [1.0, 0.0], 1e3, {}),
    (lambda t, y: y * (1.0 - y), [1e-6], 1e3, {}),
    (lambda t, y: [-2.0 * y[0] + y[1], 2.0 * y[0] - y[1]], [1.0, 0.0], 1e3, {}),  # with a sum that is conserved
    (lambda t, y: [1.0, 1.0] - y, [0.0, 0.0], 1e9, {"method": "radau5"}),
    (lambda t, y: 1.0 - y, [0.0], 1e3, {"method": "rk4", "dt": 0.1}),
]


@pytest.mark.parametrize("case", range(len(RESTS)))
def test_rest_is_found_and_true(case: int) -> None:
    f, y0, end, how = RESTS[case]
    r = mflow.solve_ivp(f, (0, end), y0, until="steady", **how)
    assert r.reason == "steady"
    assert r.success
    assert r.status == 1
    assert r.t[-1] < 0.2 * end
    long = mflow.solve_ivp(f, (r.t[-1], r.t[-1] + 50.0), r.y[:, -1], "dop853", rtol=1e-9, atol=1e-11)
    assert np.all(np.abs(long.y[:, -1] - r.y[:, -1]) <= 3 * (1e-6 + 1e-3 * np.abs(r.y[:, -1])))


MOVING: list[tuple[Any, list[float], float, dict[str, Any]]] = [
    (lambda t, y: y * (1.0 - y), [0.0], 50.0, {}),  # rest that does not attract
    (lambda t, y: y, [1e-12], 5.0, {"atol": 1e-6}),  # a slow start
    (lambda t, y: [math.cos(t)], [0.0], 50.0, {}),  # f passes 0
    (lambda t, y: [y[1], -y[0]], [1e-7, 0.0], 60.0, {}),  # an oscillation below the tolerances
    (lambda t, y: [1e-6], [1.0], 1e4, {}),  # creeps
    (lambda t, y: -1e-7 * y, [1.0], 1e3, {}),
    (lambda t, y: [1.0 / t], [0.0], 1e3, {}),
    (lambda t, y: [y[1], 0.0], [0.0, 1e-5], 1e3, {}),  # free motion, whose Jacobian is a chain
    (lambda t, y: math.sin(0.1 * t) - y, [0.0], 100.0, {}),  # follows its forcing
    (lambda t, y: (1.0 if t > 97 else 0.0) - y, [0.5], 100.0, {}),  # at rest for a while
    (lambda t, y: -y, [1.0], 30.0, {"doses": [(29.0, 0, 1.0)]}),
]


@pytest.mark.parametrize("case", range(len(MOVING)))
def test_what_is_not_rest_is_not_taken_for_it(case: int) -> None:
    f, y0, end, how = MOVING[case]
    assert (
        mflow.solve_ivp(f, (1.0, end), y0, until="steady", **{"method": "esdirk43", "max_step": end / 50, "atol": 1e-6, **how}).reason
        == "finished"
    )


@pytest.mark.parametrize("method", ["radau5", "dopri5", "bdf"])
@pytest.mark.parametrize("lift", [1e-13, 1e-12])
def test_a_bottleneck_is_no_rest(lift: float, method: str) -> None:
    """y' = lift + y^2 - y^4 has no zero near 0, where the flow from -1/2 is slow for pi/sqrt(lift); its rest is at 1."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mflow.StiffnessWarning)
        r = mflow.solve_ivp(lambda t, y: [lift + y[0] ** 2 - y[0] ** 4], (0, 1e9), [-0.5], method, until="steady", max_steps=3000)
    assert r.reason == "finished" or r.y[0, -1] == pytest.approx(1.0, rel=3e-3)


def test_a_double_root_is_as_far_as_it_is() -> None:
    """y' = -y^2 from 1 is y = 1/(1 + t): Newton's step there goes half the way."""
    r = mflow.solve_ivp(lambda t, y: -y * y, (0, 1e6), [1.0], "radau5", until="steady")
    assert r.reason == "finished" or r.y[0, -1] <= 1e-6
    r = mflow.solve_ivp(lambda t, y: -(np.abs(y) ** 1.5), (0, 1e5), [1.0], "radau5", until="steady", steady_atol=1e-4, steady_rtol=1e-12)
    assert r.reason == "steady"
    assert r.y[0, -1] <= 1e-4
    assert f"the state of rest is {r.y[0, -1] / 1e-4:.2g} of the tolerances away" in r.message


def test_rest_beside_steps_at_their_stability_limit_says_why_it_is_one() -> None:
    r = mflow.solve_ivp(lambda t, y: -y, (0, 1e9), [1.0], until="steady")
    assert r.reason == "steady"
    assert r.y[0, -1] > 1e-6
    assert "steps at their stability limit keep the run there" in r.message


def test_robertson_is_not_at_rest_before_it_is() -> None:
    early = mflow.solve_ivp(robertson, (0, 1e5), [1.0, 0.0, 0.0], "radau5", until="steady", rtol=1e-5, atol=1e-9)
    assert early.reason == "finished"
    r = mflow.solve_ivp(robertson, (0, 1e14), [1.0, 0.0, 0.0], "radau5", until="steady", rtol=1e-5, atol=1e-9, steady_atol=1e-5)
    if r.reason == "steady":
        assert abs(r.y[2, -1] - 1.0) < 1e-3


def test_resume_before_rest(tmp_path: Any) -> None:
    f, path = (lambda t, y: 1.0 - y), tmp_path / "state"
    whole = mflow.solve_ivp(f, (0, 1e3), [0.0], until="steady")
    mflow.solve_ivp(f, (0, 1e3), [0.0], until="steady", max_steps=9, checkpoint=path, checkpoint_every=4)
    r = mflow.solve_ivp(f, (0, 1e3), [0.0], until="steady", resume=path)
    np.testing.assert_array_equal(r.y, whole.y)
    assert (r.reason, r.nfev) == (whole.reason, whole.nfev)


@pytest.mark.parametrize(("rate", "rtol", "atol"), [(1e-9, 1e-6, 1e-9), (1e-6, 1e-3, 1e-6), (1e-3, 1e-3, 1e-6)])
def test_a_slow_manifold_is_no_rest(rate: float, rtol: float, atol: float) -> None:
    """The flow to 0 has gone on for many times 1/rate where it is called steady."""
    J = np.array([[-1.0, 1.0], [0.0, -rate]])
    r = mflow.solve_ivp(lambda t, y: J @ y, (0, 100 / rate), [1.0, 1.0], "radau5", jac=lambda t, y: J, rtol=rtol, atol=atol, until="steady")
    assert r.reason in ("steady", "finished")
    assert np.max(np.abs(r.y[:, -1])) <= 10.0 * atol


def test_robertson_creeps_long() -> None:
    def fun(t: float, y: Any) -> Any:
        a, b, c = 0.04 * y[0], 1e4 * y[1] * y[2], 3e7 * y[1] ** 2
        return [b - a, a - b - c, c]

    r = mflow.solve_ivp(fun, (0, 1e13), [1.0, 0.0, 0.0], "radau5", rtol=1e-4, atol=1e-9, until="steady")
    assert r.y[0, -1] < 1e-8  # y1 falls like 2.1e3/t: 2.2e-7 at 1e10


def test_constant_slopes_are_no_rounded_ones() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for slope in (1e4, 1e5, 12345.0):
            assert mflow.solve_ivp(lambda t, y, a=slope: [a], (0, 1), [0.0], rtol=1e-6).success


def test_max_steps_leave_a_file_to_go_on_from(tmp_path: Any) -> None:
    call: tuple[Any, ...] = (lambda t, y: -y, (0, 1), [1.0])
    part = mflow.solve_ivp(*call, rtol=1e-8, checkpoint=tmp_path / "c", max_steps=3)
    assert part.reason == "max_steps"
    rest, whole = mflow.solve_ivp(*call, rtol=1e-8, resume=tmp_path / "c"), mflow.solve_ivp(*call, rtol=1e-8)
    assert rest.y.tobytes() == whole.y.tobytes()
    assert rest.nfev == whole.nfev


def test_outputs_of_motion() -> None:
    spring = {"stiffness": [4.0, 1.0], "x0": [1.0, 2.0], "t_span": (0, 2), "dt": 0.25}
    power = lambda t, x, v: x * v  # noqa: E731
    r = mflow.solve_dynamics(**spring, outputs=power, t_eval=[0.1, 1.0, 2.0])
    assert np.array_equal(r.outputs, r.x * r.v)
    assert r.outputs.shape == (2, 3)
    with pytest.raises(TypeError, match="outputs: expected a function"):
        mflow.solve_dynamics(**spring, outputs=3)
    with pytest.raises(ZeroDivisionError) as caught:
        mflow.solve_dynamics(**spring, outputs=lambda t, x, v: 1 / 0)
    assert caught.value.partial_result.reason == "finished"


@pytest.mark.filterwarnings("ignore::mflow.StiffnessWarning")
@pytest.mark.parametrize("rate", [50.0, 1000.0])
def test_steps_held_at_their_limit_come_to_rest_beside_the_state_of_rest(rate: float) -> None:
    """bs32 comes to stand 1.46 tolerances beside it, as its error must stay large enough to hold the steps back."""
    fun = lambda t, y: np.array([1.0 - y[0] - 0.1 * y[0] ** 3, -rate * (y[1] - y[0])])  # noqa: E731
    r = mflow.solve_ivp(fun, (0, 1e6), [0.0, 3.0], "bs32", until="steady", max_steps=4000)
    root = max(np.roots([0.1, 0.0, 1.0, -1.0]).real)
    assert r.reason == "steady"
    assert r.ncheck < 0.1 * r.nfev
    np.testing.assert_allclose(r.y[:, -1], root, atol=3 * (1e-6 + 1e-3 * root))


@pytest.mark.parametrize(("method", "damping", "rate"), [("dopri5", 0.113, 6.23), ("tsit5", 0.113, 1.21), ("dopri5", 0.209, 1.69)])
def test_a_pendulum_that_swings_out_comes_to_rest_as_near_as_the_errors_of_steps_let_it(method: str, damping: float, rate: float) -> None:
    """What is left of the swing in the run is 5 to 40 tolerances, and does not become much less, however long it goes on."""
    pendulum = lambda t, y: [y[1], -damping * y[1] - rate**2 * math.sin(y[0])]  # noqa: E731
    how: dict[str, Any] = {"method": method, "rtol": 1e-6, "atol": 1e-8}
    r = mflow.solve_ivp(pendulum, (0, 1e4), [1.0, 0.0], until="steady", **how)
    assert r.reason == "steady"
    away = math.hypot(*r.y[:, -1]) / 1e-8 / math.sqrt(2.0)
    assert 2.0 < away <= 100.0
    assert "the errors of explicit steps keep the run there" in r.message
    on = mflow.solve_ivp(pendulum, (0, 10.0 / damping), r.y[:, -1], **how).y[:, -50:]
    assert np.min(np.hypot(*on)) / 1e-8 / math.sqrt(2.0) > 0.2 * away


def _loses_it(t: float, y: Any) -> list[float]:
    """0 attracts until t = 50, and is always a state of rest."""
    m = -1.0 + 0.02 * t - y @ y
    return [m * y[0] - 3.0 * y[1], 3.0 * y[0] + m * y[1]]


def _in_time(t: float, y: Any) -> list[float]:
    """A force that moves the state of rest by 3e-4, with which the swing is in time: it ends 7e-2 wide."""
    return [y[1], -4e-3 * y[1] - (y[0] - 3e-4 * math.sin(t))]


@pytest.mark.parametrize("method", ["dopri5", "tsit5", "dop853", "bs32", "esdirk43"])
@pytest.mark.parametrize(
    ("fun", "y0", "end", "tol"),
    [(_loses_it, [0.5, 0.0], 150.0, 1e-3), (_in_time, [0.0, 0.0], 400.0, 7e-4)],
)
def test_what_is_at_rest_for_now_goes_on(fun: Any, y0: list[float], end: float, tol: float, method: str) -> None:
    """They ended as "steady" at the start, and swing .7 or .07 wide later."""
    r = mflow.solve_ivp(fun, (0, end), y0, method, rtol=tol, atol=tol, until="steady")
    assert r.reason == "finished"


@pytest.mark.parametrize("method", ["dopri5", "radau5"])
def test_what_swings_is_at_rest_when_no_part_of_it_goes_far(method: str) -> None:
    """Where the pendulum turns its speed is 0, which is up to 30 times as far off a quarter of a period later."""
    r = mflow.solve_ivp(
        lambda t, y: [y[1], -1.0 * y[1] - 900.0 * math.sin(y[0])], (0, 60), [1.0, 0.0], method, rtol=1e-4, atol=1e-4, until="steady"
    )  # fmt: skip
    assert r.reason == "steady"
    size = 100.0 if "the errors of explicit steps" in r.message else 3.0
    assert math.sqrt(0.5 * (900.0 * r.y[0, -1] ** 2 + r.y[1, -1] ** 2)) <= 1.1 * size * 1e-4


def test_a_cycle_some_tolerances_around_the_state_of_rest_is_none() -> None:
    """Its radius is 2.64 cm; what is within 1.32 cm comes to rest. It ended as "steady" after a step, 36 tolerances from 0."""

    def fun(t: float, y: Any) -> list[float]:
        q = float(y @ y) / 0.0132**2
        grow = -1.293e-3 * (1.0 - q) * (1.0 - q / 4.0)
        return [grow * y[0] - 1.4347 * y[1], 1.4347 * y[0] + grow * y[1]]

    r = mflow.solve_ivp(fun, (0, 2091.0), [0.02432, 0.0], "dopri5", rtol=6.8126e-4, atol=6.8126e-4, until="steady", max_steps=60)
    assert r.reason == "max_steps"


@pytest.mark.filterwarnings("ignore::mflow.StiffnessWarning")
def test_a_gap_that_is_nearly_a_state_of_rest_is_none() -> None:
    """y0 passes 0 at 1.1e-8, and goes on to 10. A second component, whose error was larger, hid that Newton's steps were halved."""
    fun = lambda t, y: [1.1e-8 + y[0] ** 2 - 0.1 * y[0] ** 3, -3.0 * (y[1] - y[0])]  # noqa: E731
    how: dict[str, Any] = {"rtol": 0.007450949885449451, "atol": 0.007450949885449451, "max_steps": 200}
    assert mflow.solve_ivp(fun, (0, 1.496478e5), [-1.0, 0.0], "dop853", until="steady", **how).reason == "max_steps"
