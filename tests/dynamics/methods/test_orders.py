"""Orders of second-order methods as their parameters, the load and damping have them: measured, and what the facts and the runs say."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import mflow
from mflow.cli.commands import main

ZETA = 0.2


def drive(t: float) -> float:
    return math.cos(0.7 * t)


def measured(method: Any, zeta: float) -> float:
    """Of x and v at t = 4, on a driven oscillator, from steps of 1/100 and 1/200; against SciPy's DOP853 at 1e-13."""
    reference = solve_ivp(lambda t, y: [y[1], drive(t) - y[0] - 2 * zeta * y[1]], (0, 4), [1.0, 0.5], "DOP853", rtol=1e-13, atol=1e-14).y[
        :, -1
    ]
    errors = []
    for steps in (400, 800):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # some have no stable step without damping
            s = mflow.solve_dynamics(
                stiffness=1.0, damping=2 * zeta or None, load=drive, x0=[1.0], v0=[0.5], t_span=(0, 4), dt=4 / steps, method=method
            )
        errors.append(np.max(np.abs([s.x[0, -1] - reference[0], s.v[0, -1] - reference[1]])))
    return math.log2(errors[0] / errors[1])


METHODS = [
    *(mflow.Newmark(b, g) for b, g in ((0.25, 0.5), (1 / 6, 0.5), (0.1, 0.5), (0.25, 0.6), (0.4, 0.45))),
    *(mflow.HHT(alpha, load) for alpha in (-1 / 3, -0.1) for load in ("interpolated", "shifted")),
    *(mflow.GeneralizedAlpha(rho, load) for rho in (0.0, 0.5, 1.0) for load in ("interpolated", "shifted")),
    *(mflow.Staggered(damping) for damping in ("trapezoidal", "backward_euler")),
    mflow.CentralDifference(), mflow.SymplecticEuler("implicit"), mflow.ForwardEulerSystem(), mflow.ConstantAcceleration(),
]  # fmt: skip


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_the_order_is_the_measured_one(method: Any) -> None:
    """Whether there is damping or not."""
    for zeta in (0.0, ZETA):
        assert measured(method, zeta) == pytest.approx(method.order, abs=0.1)


@pytest.mark.parametrize(
    ("method", "facts"), [(mflow.VelocityVerlet(), 2), (mflow.VelocityVerlet("explicit"), 1), (mflow.Staggered("explicit"), 1)], ids=repr
)
def test_methods_that_fall_in_order_with_damping_say_so(method: Any, facts: int) -> None:
    assert method.order == facts
    assert measured(method, 0.0) == pytest.approx(2, abs=0.1)
    assert measured(method, ZETA) == pytest.approx(1, abs=0.1)
    call: dict[str, Any] = {"x0": [1.0], "t_span": (0, 1), "dt": 0.01, "method": method}
    words = "is of first order where forces depend on velocities, as they do here"
    damped: list[dict[str, Any]] = [
        {"stiffness": 1.0, "damping": 0.4}, {"stiffness": 1.0, "rayleigh": (0.1, 0.0)}, {"stiffness": 1.0, "damping": lambda v: 0.4 * v},
        {"force": lambda t, x, v: -x - 0.4 * v}, {"force": lambda t, x, v: -x - 0.4 * v * np.abs(v)},
    ]  # fmt: skip
    for more in damped:
        if method.name == "velocity_verlet" or "force" not in more:
            assert words in mflow.solve_dynamics(**call, **more).message
    for more in ({"stiffness": 1.0}, {"stiffness": 1.0, "damping": 0.0}, {"force": lambda t, x, v: -x}):
        assert mflow.solve_dynamics(**call, **more).message == f"reached t = 1 in 100 steps of {method.name}"


@pytest.mark.parametrize("method", [mflow.VelocityVerlet(), mflow.Staggered("explicit"), mflow.Yoshida4()], ids=repr)
def test_a_treatment_of_damping_that_is_advised_is_one_and_keeps_the_order(method: Any) -> None:
    call: dict[str, Any] = {"x0": [1.0], "t_span": (0, 1), "stiffness": 1.0, "damping": 0.4, "dt": 0.05}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        advice = mflow.solve_dynamics(**call, method=method).message.split("as they do here: ")[1]
    name, _, choice = advice.removeprefix("give method=mflow.").removeprefix("take ").replace("(", " ").replace(",", " ").partition(" ")
    advised = getattr(mflow, name)(choice.split("'")[1]) if "damping=" in choice else mflow.get_method(name)
    assert measured(advised, ZETA) == pytest.approx(method.record.order, abs=0.2)
    assert "order" not in mflow.solve_dynamics(**call, method=advised).message


def test_a_run_says_that_its_parameters_make_it_first_order() -> None:
    call: dict[str, Any] = {"stiffness": 1.0, "x0": [1.0], "t_span": (0, 1), "dt": 0.01}
    s = mflow.solve_dynamics(**call, method=mflow.Newmark(0.3025, 0.6))
    assert s.message.endswith("; Newmark(beta=0.3025, gamma=0.6) is of first order")
    s = mflow.solve_dynamics(**call, method="staggered", damping="backward_euler")
    assert s.message.endswith("; Staggered(damping='backward_euler') is of first order")
    for method in (m for m in METHODS if m.order == 2):
        assert mflow.solve_dynamics(**{**call, "method": method}).message == f"reached t = 1 in 100 steps of {method.name}"


def test_facts_name_orders_that_parameters_give(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Order 2 (1 with gamma != 0.5), 1 stage." in str(mflow.Newmark.__doc__)
    assert 'Order 2 (1 with damping = "backward_euler") (1 with damping = "explicit")' in str(mflow.Staggered.__doc__)
    assert main(["methods", "velocity_verlet"]) == 0
    assert 'order 2 (1 with damping = "explicit"), stages 1' in capsys.readouterr().out
    assert main(["methods"]) == 0
    rows = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines() if line.split()}
    for name in ("newmark", "velocity_verlet", "staggered"):
        assert "2/1" in rows[name]
    assert "2" in rows["hht"]
    assert "2/1" not in rows["hht"]


@pytest.mark.parametrize(("beta", "gamma"), [(0.5, 0.25), (0.25, 0.4)])
def test_negative_damping_of_newmark_is_told(beta: float, gamma: float) -> None:
    """At a damping of 10 % its steps stay within the limit, and take (1/2 - gamma)/2 omega dt from that, as the energy shows."""
    method, call = mflow.Newmark(beta, gamma), {"damping": 0.2, "stiffness": 1.0, "t_span": (0, 40), "x0": [1.0], "dt": 0.05}
    with pytest.warns(RuntimeWarning, match=r"solve_dynamics: Newmark\(.*has negative damping, as gamma is below 1/2") as told:
        s = mflow.solve_dynamics(method=method, **call)
    assert len(told) == len(s.doubts) == 1
    taken = float(s.doubts[0].split("steps take ")[1].split(" ")[0])
    assert ("OpenSees' Newmark 0.5 0.25, gamma first, is Newmark(beta=0.25, gamma=0.5) here" in s.doubts[0]) == (beta == 0.5)
    energy = s.x[0] ** 2 + s.v[0] ** 2
    zeta = -0.5 * np.polyfit(s.t, np.log(energy), 1)[0]
    assert zeta == pytest.approx(0.1 - taken * 0.05, rel=0.01)
    assert taken == pytest.approx((0.5 - gamma) / 2)
    for more in ({"method": mflow.Newmark(0.25, 0.5)}, {"method": mflow.Newmark(0.3025, 0.6)}):
        assert mflow.solve_dynamics(**call, **more).doubts == ()
    assert mflow.solve_dynamics(**{**call, "dt": None}, method=method, rtol=1e-4).doubts == ()  # error control sees it


def test_steppers_batches_and_spectra_tell_of_it_too() -> None:
    method, body = mflow.Newmark(0.5, 0.25), {"stiffness": 1.0, "damping": 0.2}
    with pytest.warns(RuntimeWarning, match="Stepper: Newmark.*negative damping"):
        mflow.Stepper(method, x0=[1.0], **body)
    with pytest.warns(RuntimeWarning, match="batch: Newmark.*negative damping"):
        mflow.solve_dynamics_batch(**body, t_span=(0, 1), x0=[[1.0]], dt=0.1, batch=True, method=method)
    with pytest.warns(RuntimeWarning, match="Newmark.*negative damping"):
        mflow.response_spectrum((0.01, np.ones(50)), [1.0], method=method)


@pytest.mark.parametrize("driver", [mflow.solve_dynamics, mflow.solve_dynamics_batch])
def test_a_method_of_first_order_equations_is_told_its_driver(driver: Any) -> None:
    call: dict[str, Any] = {"stiffness": 1.0, "x0": [[1.0]], "t_span": (0, 1), "dt": 0.1}
    with pytest.raises(ValueError, match=r"rk4 is no method for M x'' = F.*; mflow.solve_ivp takes it, for y = \(x, v\)"):
        driver(method="rk4", **call)
    with pytest.raises(ValueError, match=r"adam is no method for M x'' = F: see mflow.methods\(family='second_order'\)(\n|$)"):
        driver(method="adam", **call)
