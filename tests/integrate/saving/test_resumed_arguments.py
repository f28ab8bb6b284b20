"""What a resumed run, and a stepper, do with arguments other than those that they began with."""

import math

import numpy as np
import pytest

import mflow


def decay(t, y, rate):
    return -rate * y


def test_other_args_are_refused_by_name(tmp_path):
    """They were glued to the run before without a word."""
    file = tmp_path / "run.mflow"
    call = {"rtol": 1e-8, "atol": 1e-10}
    whole = mflow.solve_ivp(decay, (0, 2), [1.0], args=(1.0,), **call)
    mflow.solve_ivp(decay, (0, 2), [1.0], args=(1.0,), checkpoint=file, checkpoint_every=1, max_steps=3, **call)
    rest = mflow.solve_ivp(decay, (0, 2), [1.0], args=(1.0,), resume=file, **call)
    assert np.array_equal(rest.y, whole.y)
    for args in ((2.0,), (), (1.0, 1.0), (np.array([2.0]),)):
        with pytest.raises(ValueError, match=r"resume: .* was written by a call with other values of args"):
            mflow.solve_ivp(lambda t, y, *more: -y, (0, 2), [1.0], args=args, resume=file, **call)
    mflow.solve_ivp(lambda t, y: -y, (0, 2), [1.0], checkpoint=file, checkpoint_every=1, max_steps=3, **call)
    with pytest.raises(ValueError, match="other values of args"):
        mflow.solve_ivp(decay, (0, 2), [1.0], args=(1.0,), resume=file, **call)


def test_args_of_arrays_and_functions(tmp_path):
    file, table = tmp_path / "run.mflow", np.linspace(1.0, 2.0, 5)

    def fun(t, y, form, values):
        return -form(t) * values[2] * y

    call = (0, 2), [1.0]
    mflow.solve_ivp(fun, *call, args=(math.cos, table), checkpoint=file, checkpoint_every=1, max_steps=3)
    assert mflow.solve_ivp(fun, *call, args=(math.cos, table.copy()), resume=file).success
    with pytest.raises(ValueError, match="other values of args"):
        mflow.solve_ivp(fun, *call, args=(math.cos, table + 1e-9), resume=file)


def test_beyond_the_end_of_a_saved_run_the_way_is_named(tmp_path):
    file = tmp_path / "run.mflow"
    mflow.solve_ivp(decay, (0, 9), [1.0], args=(1.0,), checkpoint=file)
    with pytest.raises(ValueError, match=r"take t_span = \(0, 9\) here, and then t_span = \(9, 20\) from the last state"):
        mflow.solve_ivp(decay, (0, 20), [1.0], args=(1.0,), resume=file)
    for span in ((0, 5), (1, 9), (0, -20)):
        with pytest.raises(ValueError, match="other values of t_span") as told:
            mflow.solve_ivp(decay, span, [1.0], args=(1.0,), resume=file)
        assert "from the last state" not in str(told.value)


STEPPERS = {
    "fixed": lambda **more: mflow.Stepper("rk4", decay, [1.0], **more),
    "controlled": lambda **more: mflow.Stepper("dopri5", decay, [1.0], rtol=1e-8, atol=1e-10, **more),
    "motion": lambda **more: mflow.Stepper("velocity_verlet", lambda t, x, v, k: -k * x, [1.0], [0.0], **more),
}


@pytest.mark.parametrize("kind", STEPPERS)
def test_what_a_stepper_was_made_with_cannot_be_set(kind):
    """It was taken without a word, and changed nothing."""
    st = STEPPERS[kind](args=(1.0,))
    assert st.args == (1.0,)
    for name in ("args", "rtol", "atol", "direction", "max_step", "inplace"):
        with pytest.raises(AttributeError, match=f"{name}: a stepper keeps what it was made with: make another from here, with"):
            setattr(st, name, (2.0,))
    assert st.args == (1.0,)


def test_no_argument_of_a_stepper_can_be_set():
    """``st.fun = other`` and ``st.mass = 2.0`` were taken without a word."""
    for kind, names in (
        ("fixed", ("fun", "y0", "t0", "breaks", "mass", "lband")),
        ("motion", ("accel", "x0", "mass", "damping", "fixed", "load")),
    ):
        st = STEPPERS[kind](args=(1.0,))
        for name in names:
            with pytest.raises(AttributeError, match=f"{name}: a stepper keeps what it was made with"):
                setattr(st, name, 2.0)

    class Counting(mflow.Stepper):
        def __init__(self, *more, **options):
            self.count = 0
            super().__init__(*more, **options)

    assert Counting("rk4", decay, [1.0], args=(1.0,)).count == 0


@pytest.mark.parametrize("kind", [*STEPPERS, "optimizer"])
def test_a_step_and_a_method_cannot_be_set(kind):
    """They were new attributes, of which no step knew."""
    st = STEPPERS[kind]() if kind in STEPPERS else mflow.Stepper("adam", grad=lambda c: c, y0=[1.0])
    for name in ("dt", "lr"):
        with pytest.raises(AttributeError, match=f"{name}: each step takes its own"):
            setattr(st, name, 0.5)
        assert not hasattr(st, name)
    with pytest.raises(AttributeError, match="method: a stepper keeps"):
        st.method = "euler"
    with pytest.raises(AttributeError, match="doses: a stepper keeps"):
        st.doses = [(0.5, 0, 1.0)]


def test_an_optimizer_as_a_stepper_has_no_tolerances():
    st = mflow.Stepper("adam", grad=lambda c: c, y0=[1.0])
    assert not hasattr(st, "rtol")


def test_the_way_of_parameters_that_change():
    """As the error says: an object among args, and a new start."""
    rate = [1.0]
    st = mflow.Stepper("dopri5", lambda t, y, k: -k[0] * y, [1.0], args=(rate,), rtol=1e-9, atol=1e-11)
    st.advance_to(1.0)
    rate[0] = 2.0
    st.y = st.y
    st.advance_to(2.0)
    assert abs(st.y[0] - math.exp(-3.0)) < 1e-9


def test_the_direction_to_take_back():
    with pytest.raises(ValueError, match=r"make another with direction=-1$"):
        mflow.Stepper("dopri5", decay, [1.0], 1.0, args=(1.0,), rtol=1e-8).advance_to(0.97)


def test_what_differs_is_named_with_both_values(tmp_path):
    """No argument that neither call was given is, and there is a way out."""
    file = tmp_path / "run.mflow"
    mflow.solve_ivp(decay, (0, 9), [1.0], args=(1.0,), checkpoint=file)
    with pytest.raises(ValueError, match=r"other values of doses: doses was .*; give the same, or omit resume= to begin anew") as told:
        mflow.solve_ivp(decay, (0, 9), [1.0], args=(1.0,), resume=file, doses=[(1.0, 0, 1.0)])
    assert "breaks" not in str(told.value)
    with pytest.raises(ValueError, match=r"other values of y0.*: the shape of y0 was \[1\], and is \[2\] here"):
        mflow.solve_ivp(decay, (0, 9), [1.0, 2.0], args=(1.0,), resume=file)
