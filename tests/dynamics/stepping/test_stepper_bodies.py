"""Steppers with masses, matrices, loads and supports: the bits of `solve_dynamics`, in the owner's loop."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest

import mflow

Array = np.ndarray
M, K = [2.0, 1.0, 3.0], np.array([[4.0, -2.0, 0.0], [-2.0, 5.0, -3.0], [0.0, -3.0, 3.0]])


def load(t: float) -> Array:
    return np.array([math.sin(t), 0.0, 1.0])


def cubic(t: float, x: Array, v: Array) -> Array:
    return -0.1 * x**3


BODIES: dict[str, dict[str, Any]] = {
    "matrices": {"mass": M, "damping": 0.1 * K, "stiffness": K, "load": load},
    "rayleigh": {"mass": np.diag(M), "stiffness": K, "rayleigh": (0.1, 0.01)},
    "force": {"mass": M, "force": cubic},
    "all": {"mass": M, "stiffness": K, "load": load, "force": cubic},
    "fixed": {"mass": M, "stiffness": K, "load": load, "fixed": [1]},
    "moving": {"mass": M, "stiffness": K, "force": cubic, "fixed": {0: lambda t: (0.1 * np.sin(t), 0.1 * np.cos(t), -0.1 * np.sin(t))}},
    "massless": {"mass": [2.0, 0.0, 3.0], "stiffness": K, "load": load},
}


@pytest.mark.parametrize("method", ["newmark", "generalized_alpha", "bathe", "leapfrog"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_loop_of_ones_own_has_the_bits_of_a_run(body: dict[str, Any], method: str) -> None:
    x0, v0 = np.array([0.5, -0.25, 1.0]), np.array([0.0, 0.0, 0.5])
    st = mflow.Stepper(method, None, x0, v0, energy=True, **body)
    s = mflow.solve_dynamics(x0=x0, v0=v0, t_span=(0, 2), dt=0.05, method=method, energy=True, **body)
    middle = None
    for k in range(40):
        st.step(0.05)
        if k == 20:
            middle = copy.copy(st)
        for name in "xva":
            np.testing.assert_allclose(getattr(st, name), s[name][:, k + 1], rtol=1e-12, atol=1e-13)
    for name in ("kinetic", "potential", "load", "damping", "residual"):
        assert st.energy[name] == pytest.approx(s.energy[name][-1], rel=1e-9, abs=1e-12)
    assert middle is not None
    middle.advance(19, 0.05)
    assert middle.x.tobytes() == st.x.tobytes()
    if body is not BODIES["moving"]:  # whose function is a lambda
        again = pickle.loads(pickle.dumps(st))
        again.step(0.05)
        st.step(0.05)
        assert again.x.tobytes() == st.x.tobytes()


def test_states_of_particles() -> None:
    """(N, 3) with a mass for each particle, or for each number; in solve_dynamics as well."""
    rng = np.random.default_rng(0)
    x0, mass = rng.standard_normal((5, 3)), rng.uniform(1, 2, 5)

    def force(t: float, x: Array, v: Array) -> Array:
        return -np.sum(x * x, axis=1)[:, None] * x

    ends = []
    for m in (mass, np.repeat(mass, 3).reshape(5, 3), np.repeat(mass, 3)):
        st = mflow.Stepper("leapfrog", x0=x0, mass=m, force=force)
        st.advance(10, 0.01)
        assert st.x.shape == st.v.shape == (5, 3)
        s = mflow.solve_dynamics(m, x0=x0, force=force, t_span=(0, 0.1), dt=0.01, method="leapfrog")
        assert s.x.shape == (5, 3, 11)
        ends += [st.x.tobytes(), np.ascontiguousarray(s.x[..., -1]).tobytes()]
    assert len(set(ends)) == 1
    own = mflow.Stepper("leapfrog", lambda t, x, v: force(t, x, v) / mass[:, None], x0)
    own.advance(10, 0.01)
    np.testing.assert_allclose(own.x, st.x, rtol=1e-14)


def test_states_are_set_where_supports_are() -> None:
    st = mflow.Stepper("newmark", x0=[0.5, 0.25, 1.0], mass=M, stiffness=K, fixed=[1])
    st.step(0.1)
    st.v = [0.0, 0.0, 1.0]
    assert st.x[1] == 0.25
    assert st.v.tolist() == [0.0, 0.0, 1.0]
    st.step(0.1)
    assert st.interpolate(0.15).shape == (3, 3)
    assert st.interpolate(0.15)[0, 1] == 0.25
    with pytest.raises(ValueError, match=r"x: expected an array of shape \(3,\), got shape \(2,\)"):
        st.x = [1.0, 2.0]
    with pytest.raises(TypeError, match="save: a stepper with fixed= or without some masses is kept by pickle or copy"):
        st.save("nowhere")


def test_saved_and_loaded(tmp_path: Any) -> None:
    st = mflow.Stepper("newmark", x0=[0.5, 0.25, 1.0], mass=M, stiffness=K, load=load)
    st.advance(10, 0.1)
    st.save(tmp_path / "frame")
    again = mflow.Stepper.load(tmp_path / "frame", None, mass=M, stiffness=K, load=load)
    st.advance(10, 0.1)
    again.advance(10, 0.1)
    assert again.x.tobytes() == st.x.tobytes()


def test_error_control_of_a_frame() -> None:
    st = mflow.Stepper("newmark", x0=[0.5, -0.25, 1.0], mass=M, stiffness=K, load=load, rtol=1e-8, atol=1e-10)
    st.advance_to(2.0)
    s = mflow.solve_dynamics(M, None, K, load, (0, 2), [0.5, -0.25, 1.0], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(st.x, s.x[:, -1], atol=1e-4)


@pytest.mark.parametrize(
    ("change", "kind", "text"),
    [
        (
            {"accel": lambda t, x, v: -x},
            TypeError,
            "accel: expected accel, or masses and forces .*, got both; forces beside",
        ),
        ({"mass": None, "stiffness": None}, TypeError, "accel: expected accel, or masses and forces .*, got none of them"),
        ({"x0": None}, TypeError, "x0 is missing: expected the positions"),
        ({"mass": [1.0, 2.0]}, ValueError, "mass: expected"),
        ({"solve_accel": lambda *a: None}, ValueError, "solve_accel: it belongs to accel"),
        ({"fixed": [1], "v0": [0.0, 1.0, 0.0]}, ValueError, "v0: expected 0 at every fixed degree of freedom"),
    ],
)
def test_what_does_not_fit_is_said(change: dict[str, Any], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        mflow.Stepper("newmark", **({"x0": [1.0, 0.0, 0.0], "mass": M, "stiffness": K} | change))


def test_a_table_of_a_support_that_ends() -> None:
    st = mflow.Stepper("newmark", x0=[0.0, 0.0, 0.0], mass=M, stiffness=K, fixed={0: ([0.0, 0.5, 1.0], [0.0, 0.1, 0.0])})
    st.advance(10, 0.1)
    with pytest.raises(ValueError, match=r"fixed\[0\]: its table goes from t = 0 to 1, and t = 1.1 is asked for: give more of it"):
        st.step(0.1)
    assert st.t == 1.0
