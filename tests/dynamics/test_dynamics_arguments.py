"""Arguments of `solve_dynamics`: messages of those that do not fit, masks, loads of the shape of x0, steps without a limit."""

import ctypes
from typing import Any

import numpy as np
import pytest
import scipy

import mflow
from mflow.cli import building

K = np.array([[2.0, -1.0], [-1.0, 1.0]])


def call(**more: Any) -> Any:
    return mflow.solve_dynamics(**{"mass": [1.0, 1.0], "stiffness": K, "t_span": (0, 1), "dt": 0.1, **more})


# ---- messages ---------------------------------------------------------------------------------------------------------------------------


def test_compiled_damping_needs_no_start() -> None:
    """Its size comes from the matrices; NumPy cannot tell the shape of a ctypes function, and SciPy's LowLevelCallable is a tuple."""
    doubles = ctypes.POINTER(ctypes.c_double)
    kind = ctypes.CFUNCTYPE(ctypes.c_int, doubles, doubles, ctypes.c_ssize_t, ctypes.c_void_p)

    def fill(v: Any, out: Any, n: int, context: Any) -> int:
        for i in range(n):
            out[i] = 0.3 * v[i]
        return 0

    damp = kind(fill)
    same = call(load=[0.0, 1.0], damping=0.3)
    for damping in (damp, scipy.LowLevelCallable(damp, signature="int (double *, double *, long, void *)")):
        assert np.max(np.abs(call(load=[0.0, 1.0], damping=damping).x - same.x)) < 1e-12


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (
            {"load": [1.0, 2.0, 3.0]},
            r"load: expected 2 numbers, one for each degree of freedom, a function of t, or a table .*, got shape \(3,\)",
        ),
        ({"load": np.ones((2, 11))}, r"load: .*, got shape \(2, 11\)"),
        ({"x0": [1.0, 2.0, 3.0]}, r"x0: expected 2 numbers, one for each degree of freedom of the matrices, got shape \(3,\)"),
        ({"x0": []}, r"x0: expected 2 numbers, .*, got shape \(0,\)"),
        ({"v0": 1.0}, r"v0: expected 2 numbers, .*, got shape \(1,\)"),
        ({"load": [np.nan, 0.0]}, "load: .*, got nan in entry 0"),
        ({"load": [[0.0, 0.5, 1.0], np.ones((2, 3))]}, r"load: .* a table in a tuple .*, got parts of shapes \(3,\), \(2, 3\)"),
        ({"load": ([0.0, 0.5, 1.0], [0.0, 1.0, 2.0])}, "one value a time goes with a pattern of 2 numbers"),
        ({"load": ([0.0, 0.5, 1.0], [0.0, 1.0, 2.0], [1.0, 1.0, 1.0])}, r"load, its pattern: .*, got shape \(3,\)"),
        ({"load": ([0.0, 0.5, 1.0], [0.0, np.nan, 2.0], [1.0, 1.0])}, r"load: .*, got nan in values\[1\]"),
        ({"load": ([0.0, np.inf, 1.0], [0.0, 1.0, 2.0], [1.0, 1.0])}, r"load: .*, got inf in times\[1\]"),
        ({"load": lambda t: 1.0}, r"load: expected a function that returns 2 numbers, one for each degree of freedom, got shape \(\)"),
        ({"load": lambda t: [1.0]}, r"load: expected a function that returns 2 numbers, one for each degree of freedom, got shape \(1,\)"),
        ({"stiffness": lambda x: x}, "stiffness: expected numbers or a matrix, got a function; nonlinear forces go into force="),
        ({"mass": lambda t, x, v: x, "stiffness": None}, r"mass: .*, got a function; .* give no mass, and force="),  # the force came first
        ({"mass": lambda t, x, v: x, "stiffness": None, "potential": lambda x: 0.0}, r"mass: .*, got a function; .* force="),
        ({"mass": lambda x: x}, r"mass: .*, got a function; where the mass varies, give no mass, and force=.*; .* constraints="),
        ({"contacts": mflow.Contact((0, 1), 0.1)}, r"contacts.dof: expected one degree of freedom, got \(0, 1\); for two masses"),
        ({"events": 3}, r"of second order event\(t, x, v\).*, got int"),
        ({"dt": "auto"}, 'dt = "auto" follows the stability limit, and newmark has none: give dt'),
        ({"dt": "auto", "method": "hht"}, 'dt = "auto" follows the stability limit, and hht has none: give dt'),
        ({"fixed": np.zeros((3, 2), dtype=bool)}, r"fixed: expected indices of degrees of freedom from 0 to 1, or a mask"),
    ],
)
def test_messages_name_what_was_expected_and_what_was_given(wrong: dict[str, Any], text: str) -> None:
    with pytest.raises((TypeError, ValueError), match=text):
        call(**wrong)


def test_auto_is_still_there_where_the_method_has_a_limit() -> None:
    with pytest.warns(RuntimeWarning, match="stable, not accurate"):
        s = call(dt="auto", method=mflow.Newmark(1 / 6, 0.5), t_span=(0, 100), x0=[1.0, 0.0])
    assert s.nsteps == np.ceil(100 / (0.9 * np.sqrt(12) / np.sqrt(np.linalg.eigvalsh(K)[-1])))


def test_an_unsolved_step_asks_for_the_tangents_by_their_names() -> None:
    s = mflow.solve_dynamics(force=lambda t, x, v: 1e6 * x**2, t_span=(0, 1), x0=[1.0, 0.0], dt=0.5)  # its equation has no root
    assert s.reason == "solve_failed"
    assert "give dfdx= and dfdv=" in s.message


def test_a_force_that_is_not_finite_from_the_start_is_named() -> None:
    s = call(load=lambda t: [0.0, np.nan])
    assert (s.reason, s.message) == ("non_finite", "the force is not finite at the start, t = 0: see its component 1")
    s = mflow.solve_dynamics(force=lambda t, x, v: np.array([0.0, 0.0, np.nan]), t_span=(0, 1), x0=np.ones(3), fixed=[0], dt=0.1)
    assert (s.reason, s.message) == ("non_finite", "the force is not finite at the start, t = 0: see its component 2")
    r = mflow.solve_ivp(lambda t, y: [0.0, np.nan], (0, 1), [1.0, 1.0], method="euler", dt=0.1)
    assert (r.reason, r.message) == ("non_finite", "the right-hand side is not finite at the start, t = 0: see its component 1")


@pytest.mark.parametrize("step", [{"method": "hht", "dt": 0.1}, {"method": "generalized_alpha", "dt": 0.01}, {"rtol": 1e-6, "atol": 1e-9}])
def test_motion_that_comes_to_rest_is_followed_by_differences(step: dict[str, Any]) -> None:
    """Accelerations fade while positions do not: differences in a must still move x by more than its rounding."""
    rest = np.arange(1.0, 4.0)
    calls: dict[str, Any] = {"t_span": (0, 50), "x0": [0.5, 1.0, 2.0], **step}
    pull = lambda t, x, v: -100 * (x**3 - rest**3) - 2 * v  # noqa: E731
    s = mflow.solve_dynamics(force=pull, **calls)
    exact = mflow.solve_dynamics(force=pull, dfdx=lambda t, x, v: np.diag(-300 * x**2), dfdv=-2 * np.eye(3), **calls)
    assert s.reason == exact.reason == "finished"
    assert np.max(np.abs(s.x[:, -1] - rest)) < 1e-6
    assert s.nfev < 1.6 * exact.nfev + 4 * s.njev


def test_a_table_of_storeys_says_which_columns_it_holds(tmp_path: Any) -> None:
    file = tmp_path / "tower.csv"
    file.write_text("storey,mass,stiffness\n1,2e4,3e7\n")
    with pytest.raises(ValueError, match="once each, got 'storey', 'mass', 'stiffness'"):
        building.read_building(file)


# ---- shapes -----------------------------------------------------------------------------------------------------------------------------


def test_a_mask_and_a_load_may_have_the_shape_of_x0() -> None:
    x0 = np.arange(6.0).reshape(3, 2)
    held, weight = np.zeros((3, 2), dtype=bool), np.arange(6.0).reshape(3, 2)
    held[1] = True
    more: dict[str, Any] = {"mass": 1.0, "stiffness": 4.0, "x0": x0, "t_span": (0, 1), "dt": 0.1}
    s = mflow.solve_dynamics(**more, load=weight, fixed=held)
    flat = mflow.solve_dynamics(**more, load=weight.ravel(), fixed=[2, 3])
    assert np.array_equal(s.x, flat.x)
    assert np.array_equal(s.x[1], np.repeat(x0[1][:, None], s.t.size, axis=1))
    table = mflow.solve_dynamics(**more, load=([0.0, 1.0], [1.0, 1.0], weight), fixed=held)
    assert np.array_equal(s.x, table.x)


@pytest.mark.parametrize("form", [np.asarray, lambda A: pytest.importorskip("scipy.sparse").csr_array(A)])
@pytest.mark.parametrize("name", ["dfdx", "dfdv"])
def test_a_tangent_that_is_not_finite_is_named(form, name):
    """It was told as a force that has left its domain."""
    bad = form(np.diag([1.0, np.nan, 1.0]))
    with pytest.raises(ValueError, match=f"{name}: expected finite numbers, got nan"):
        mflow.solve_dynamics(t_span=(0, 1), x0=[1.0, 0, 0], dt=0.1, force=lambda t, x, v: -x, **{name: bad})


# ---- habits -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mass", [[5e4, 5e4], [50.0, 50.0]])
def test_a_damping_ratio_in_place_of_a_damping_is_told_of(mass: list[float]) -> None:
    stiff = 16.0 * mass[0] * K
    with pytest.warns(UserWarning, match=r"damping: 0.05 is taken as force over velocity.*damping_matrix\(0.05\)"):
        mflow.solve_dynamics(mass, 0.05, stiff * 1e2, t_span=(0, 1), x0=[1.0, 0.0], dt=0.01)
    mflow.solve_dynamics([1.0, 1.0], 0.05, K, t_span=(0, 1), x0=[1.0, 0.0], dt=0.01)  # it damps: no warning
    with pytest.warns(UserWarning, match=r"damping_matrix\(0.05\)"):  # a list of them, too
        mflow.solve_dynamics(mass, [0.05, 0.05], stiff * 1e2, t_span=(0, 1), x0=[1.0, 0.0], dt=0.01)


def test_messages_about_the_largest_step_name_the_way_to_it() -> None:
    with pytest.raises(ValueError, match=r'changes with its state.*mflow.max_stable_dt\("velocity_verlet", mass=..., force=..., x0=...\)'):
        mflow.solve_dynamics(force=lambda t, x, v: -x, x0=[1.0], t_span=(0, 1), method="velocity_verlet", dt="auto")
    with pytest.raises(TypeError, match=r"contacts: it is no argument here.*add its stiffness"):
        mflow.max_stable_dt("central_difference", mass=1.0, stiffness=4.0, contacts=mflow.Contact(0, 0.1, stiffness=5.0))
