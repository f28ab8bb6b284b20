"""What `explain` and the functions beside it say to a reader who does not know this library's words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mflow


def pendulum(t: float, y: Any) -> list[float]:
    return [y[1], -np.sin(y[0])]


def forced(t: float, y: Any, q: float, F: float) -> list[float]:
    return [y[1], -np.sin(y[0]) - q * y[1] + F * np.cos(0.7 * t)]


@pytest.mark.parametrize("more", [{}, {"t_span": (0, 5)}])
def test_a_right_hand_side_without_its_further_arguments_is_no_cost(more: dict[str, Any]) -> None:
    """It was taken for a cost: "missing 3 required positional arguments: 'y', 'q', and 'F'"."""
    with pytest.raises(TypeError, match="missing 2 required positional arguments: 'q' and 'F'"):
        mflow.explain(forced, [0.2, 0.0], **more)
    assert mflow.explain(forced, [0.2, 0.0], args=(0.1, 1.0), **more).kind == "right-hand side"
    assert mflow.explain(lambda t: float(t @ t), [0.2, 0.0], tries=0).kind == "cost"


@pytest.mark.parametrize("span", [60, (0, 1, 2), "0,1"])
def test_a_span_that_is_none_is_named(span: Any) -> None:
    with pytest.raises(ValueError, match=r"^t_span: expected two numbers \(t0, t_end\), got "):
        mflow.explain(pendulum, [0.2, 0.0], t_span=span)


def test_words_of_the_report_are_explained() -> None:
    """ "none" beside "no limit" was read as no limit; "ill-posed" as without a solution."""
    text = str(mflow.explain(pendulum, [1.0, 0.0], t_span=(0, 3), names=["euler", "backward_euler", "rk4"]))
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in text.splitlines() if line.strip()}
    assert lines["euler"] == "none is stable"
    assert lines["backward_euler"] == "no limit"
    over = str(mflow.explain(pendulum, [3.0, 0.0], t_span=(0, 1)))
    assert ": ill-posed\n" in over
    assert "ill-posed: neighbouring solutions move apart there" in over
    still = mflow.explain(lambda c: (float(c @ c), 2 * c), [1.0, 1.0], jac=True)
    assert "line search failed" not in str(still)  # it is at the minimum


def test_a_problem_in_place_of_its_jacobian_is_told_where_to_go() -> None:
    for more in ({"fun": pendulum, "y0": [0.2, 0.0]}, {"y0": [0.2, 0.0]}, {"fun": pendulum, "t_span": (0, 1)}):
        with pytest.raises(TypeError, match=r"expected the Jacobian, as jac=J\(y\).*mflow.explain\(f, y0, t_span"):
            mflow.max_stable_dt("rk4", **more)


def test_a_compiled_function_of_another_kind_is_called_by_its_kind() -> None:
    """Two C signatures were all that was said to three arguments, of which the last was a forgotten parameter."""
    pytest.importorskip("numba")
    force = mflow.compile(lambda t, y, q: -y / q)
    with pytest.raises(TypeError, match=r"^fun: expected a compiled function of kind 'rhs', got one of kind 'force', .*args=\(\.\.\.\)"):
        mflow.solve_ivp(force, (0, 1), [1.0])
    with pytest.raises(TypeError, match=r"^fun: expected a compiled function of kind 'objective', got one of kind 'rhs'"):
        mflow.minimize(mflow.compile(lambda t, y: -y), [1.0])


def test_a_rate_of_descent_is_that_of_a_quadratic() -> None:
    """Lennard-Jones' curvature falls on the way, and errors shrink by .98 a step there, not by the .1 that was told of this cost."""

    def pair(x: Any) -> tuple[float, Any]:
        return 4 * (x[0] ** -12 - x[0] ** -6), np.array([4 * (-12 * x[0] ** -13 + 6 * x[0] ** -7)])

    reason = mflow.explain(pair, [0.9], jac=True, tries=0).reason
    largest = 4 * (156 * 0.9**-14 - 42 * 0.9**-8)
    assert f"curvatures at x0 are equal: on a quadratic with curvatures of {largest:.3g} plain descent" in reason


def test_no_infinite_numbers_are_told_where_no_curvature_is_seen() -> None:
    reason = mflow.explain(lambda x: (abs(x).sum(), np.sign(x)), [1.0, 2.0], jac=True, tries=0).reason
    assert "no curvature was seen at x0" in reason
    assert "inf" not in reason


def test_one_name_in_place_of_a_list() -> None:
    """ "expected texts, got 'sgd'" """
    with pytest.raises(TypeError, match=r"""^names: expected a list of names, such as \["sgd"\], got 'sgd'$"""):
        mflow.explain(lambda x: float(x @ x), [1.0], names="sgd")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["fixed ends", "no flux", "chain"])
def test_a_component_of_rounding_hides_no_eigenvalues(kind: str) -> None:
    """Components of 1e-16 beside 1: "posedness: not known", as differences over 1e-21 told nothing, and "eigenvectors nearly coincide"."""
    x = np.linspace(0.0, 1.0, 41)
    start = {"fixed ends": np.sin(np.pi * x), "no flux": np.cos(np.pi * x), "chain": np.array([1e20, 1.0, 0.0])}[kind]
    A = 160.0 * (np.eye(41, k=1) - 2.0 * np.eye(41) + np.eye(41, k=-1))
    if kind == "fixed ends":
        A[[0, -1]] = 0.0
    elif kind == "no flux":
        A[0, 1], A[-1, -2] = 320.0, 320.0
    else:
        A = np.array([[-5e-13, 0.0, 0.0], [5e-13, -0.029, 0.0], [0.0, 0.029, -853.0]])
    point = mflow.posedness(lambda t, y: A @ y, 0.0, start)
    assert point.verdict == mflow.posedness(lambda t, y: A @ y, 0.0, start, jac=A).verdict == "linearly stable"
    assert point.error < 0.1
    assert point.eigenvalues.real.min() == pytest.approx(np.linalg.eigvals(A).real.min(), rel=1e-5)


def test_differences_of_a_rounded_function_are_named_as_what_is_not_known() -> None:
    """It was said that eigenvectors nearly coincide; those of this symmetric matrix are orthogonal."""
    A = 40.0 * (np.eye(21, k=1) - 2.0 * np.eye(21) + np.eye(21, k=-1))
    start = np.sin(np.linspace(0.1, 3.0, 21))
    note = mflow.explain(lambda t, y: np.round(A @ y, 3), start, t_span=(0, 0.5)).note
    assert "as differences of fun give its Jacobian no more closely" in note
    assert "eigenvectors" not in note


def test_what_grows_beyond_the_finite_numbers_has_a_report() -> None:
    """y' = 1000 y: "jac: expected a finite Jacobian at t = 0.702875", where the solution overflows and no jac was given."""
    report = mflow.explain(lambda t, y: 1000.0 * y, [1.0], t_span=(0, 1))
    assert report.verdicts[0][1] == "ill-posed"
    assert report.eigenvalues[0] == pytest.approx(1000.0, rel=1e-6)
