"""`explain` on right-hand sides: stiff ones, mass matrices, and what the report says, against analytic Jacobians and SciPy."""

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp as reference
from scipy.linalg import eig

import mflow


def robertson(t, y):
    return np.array([-0.04 * y[0] + 1e4 * y[1] * y[2], 0.04 * y[0] - 1e4 * y[1] * y[2] - 3e7 * y[1] ** 2, 3e7 * y[1] ** 2])


def jac_of_robertson(t, y):
    by_2, by_3 = 1e4 * y[2], 1e4 * y[1]
    return np.array([[-0.04, by_2, by_3], [0.04, -by_2 - 6e7 * y[1], -by_3], [0.0, 6e7 * y[1], 0.0]])


def robertson_dae(t, y):
    return np.array([*robertson(t, y)[:2], y[0] + y[1] + y[2] - 1.0])


def jac_of_dae(t, y):
    return np.vstack([jac_of_robertson(t, y)[:2], [1.0, 1.0, 1.0]])


def pol(mu):
    def slope(t, y):
        return np.array([y[1], mu * (1.0 - y[0] ** 2) * y[1] - y[0]])

    return slope, lambda t, y: np.array([[0.0, 1.0], [-2.0 * mu * y[0] * y[1] - 1.0, mu * (1.0 - y[0] ** 2)]])


def brusselator(n):
    """In one dimension, u beside v."""
    h = 1.0 / (n + 1)
    L = (np.diag(np.full(n, -2.0)) + np.diag(np.ones(n - 1), 1) + np.diag(np.ones(n - 1), -1)) / h**2
    ends = np.zeros(n)
    ends[[0, -1]] = 1.0 / h**2

    def slope(t, y):
        u, v = y[:n], y[n:]
        return np.concatenate([1.0 + u * u * v - 4.0 * u + L @ u + ends, 3.0 * u - u * u * v + L @ v + 3.0 * ends])

    def jac(t, y):
        u, v = y[:n], y[n:]
        return np.block([[np.diag(2.0 * u * v - 4.0) + L, np.diag(u * u)], [np.diag(3.0 - 2.0 * u * v), np.diag(-u * u) + L]])

    x = h * np.arange(1, n + 1)
    return slope, jac, np.concatenate([1.0 + np.sin(2.0 * np.pi * x), np.full(n, 3.0)])


def lagging(t, y):
    return np.array([-y[0], -1e6 * (y[1] - np.cos(t))])


PROBLEMS = {
    "robertson": (robertson, jac_of_robertson, [1.0, 0.0, 0.0], 1e4),
    "van der pol": (*pol(300.0), [2.0, 0.0], 400.0),
    "brusselator": (*brusselator(8), 5.0),
    "lagging": (lagging, lambda t, y: np.diag([-1.0, -1e6]), [1.0, 0.0], 10.0),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_stiff_problems_are_looked_at_to_their_end_in_few_evaluations(name):
    slope, jac, start, end = PROBLEMS[name]
    report = mflow.explain(slope, start, t_span=(0.0, end))
    assert report.method in ("bdf", "radau5")
    assert report.nfev <= 20_000
    assert report.path.t[-1] == end
    known = reference(slope, (0.0, end), start, "Radau", jac=jac, rtol=1e-8, atol=1e-11, t_eval=report.path.t)
    states = np.array([p.y for p in report.path.points])  # in a jump of the relaxation two runs are a little apart in time
    assert np.median(np.abs(states - known.y.T) / (1e-3 + np.abs(known.y.T))) < 1e-4
    values = np.array([np.linalg.eigvals(jac(p.t, p.y)) for p in report.path.points])
    assert report.curvature[1] == pytest.approx(np.max(np.abs(values)), rel=1e-4)
    decaying = values[values.real < 0.0]
    assert report.steps["euler"] == pytest.approx(np.min(-2.0 * decaying.real / np.abs(decaying) ** 2), rel=1e-4)  # |1 + h lambda| = 1
    again = mflow.solve_ivp(slope, (0.0, end), start, report.method, **report.parameters)
    steps = np.diff(again.t)[:-1]
    assert report.step_range == pytest.approx((steps.min(), steps.max()), rel=1e-6)
    assert f"Recommended: {report.method}, rtol = 1e-06, atol = 1e-09, which choose the steps: here {steps.min():.2g} to" in str(report)


def test_eigenvalues_with_a_singular_mass_are_the_finite_ones_of_the_pencil():
    report = mflow.explain(robertson_dae, [1.0, 0.0, 0.0], t_span=(0.0, 40.0), mass=[1.0, 1.0, 0.0])
    for point in report.path.points:
        values = eig(jac_of_dae(point.t, point.y), np.diag([1.0, 1.0, 0.0]), right=False)
        finite = np.sort(values[np.isfinite(values) & (np.abs(values) < 1e8)].real)
        assert finite.size == point.eigenvalues.size == 2
        np.testing.assert_allclose(np.sort(point.eigenvalues.real), finite, rtol=1e-5, atol=1e-9 * np.max(np.abs(finite)))
    assert {"radau5", "bdf"} <= set(report.steps)
    assert "rk4" not in report.steps
    assert "mass is singular, which implicit methods alone take" in report.reason
    assert "mass leaves 1 algebraic equation" in str(report)


def mixed(t, y):
    return np.array([-2.0 * y[0] + y[1], y[0] - 3.0 * y[1] + np.sin(t), y[1] - y[2] ** 2 - y[2]])


@pytest.mark.parametrize("turned", [False, True])
def test_a_mass_whose_null_space_is_no_axis(turned):
    """M y' = f with M = P diag(2, 1, 0) Q: eigenvalues against the pencil's by QZ."""
    rng = np.random.default_rng(5)
    P, Q = (np.linalg.qr(rng.standard_normal((3, 3)))[0] if turned else np.eye(3) for _ in range(2))
    M = P @ np.diag([2.0, 1.0, 0.0]) @ Q
    start = Q.T @ np.array([1.0, 0.0, 0.0])

    def slope(t, y):
        return P @ mixed(t, Q @ y)

    def jac(t, y):
        return P @ np.array([[-2.0, 1.0, 0.0], [1.0, -3.0, 0.0], [0.0, 1.0, -2.0 * (Q @ y)[2] - 1.0]]) @ Q

    known = np.sort(np.linalg.eigvals(np.array([[-1.0, 0.5], [1.0, -3.0]])).real)
    for given in (None, jac):
        report = mflow.explain(slope, start, t_span=(0.0, 2.0), mass=M, jac=given)
        np.testing.assert_allclose(np.sort(report.eigenvalues.real), known, rtol=1e-6)
        assert report.verdicts == [("t = 0", "well-posed")]


def test_a_regular_mass_is_that_of_its_inverse():
    A, M = np.array([[-2.0, 1.0], [1.0, -3.0]]), np.array([[2.0, 0.5], [0.0, 0.25]])
    with_mass = mflow.explain(lambda t, y, k: k * (A @ y), [1.0, 1.0], args=(2.0,), jac=2.0 * A, mass=M)
    inverse = np.linalg.solve(M, 2.0 * A)
    np.testing.assert_allclose(np.sort(with_mass.eigenvalues.real), np.sort(np.linalg.eigvals(inverse).real), rtol=1e-12)
    assert with_mass.steps["euler"] == pytest.approx(2.0 / np.max(np.abs(np.linalg.eigvals(inverse))), rel=1e-9)


@pytest.mark.parametrize("turns", [False, True])
def test_a_mass_that_moves_with_time_is_taken_as_it_is_there(turns):
    """M(t), regular or with a null space that turns: at each point the eigenvalues of the pencil (J, M(t)) by QZ."""
    J = np.array([[-50.0, 1.0, 0.0], [1.0, -3.0, -1.0], [1.0, 1.0, -4.0]])

    def mass(t, rate):
        c, s = np.cos(rate * t), np.sin(rate * t)
        turned = np.array([[c, s], [-s, c]]).T @ np.diag([2.0, 0.0 if turns else 0.5]) @ np.array([[c, s], [-s, c]])
        return np.block([[np.array([[1.0 + t]]), np.zeros((1, 2))], [np.zeros((2, 1)), turned]])

    report = mflow.explain(lambda t, y, rate: J @ y, [1.0, 1.0, 0.5], t_span=(0.0, 1.0), mass=mass, args=(0.8,))
    assert report.path.t[-1] == 1.0
    for point in report.path.points:
        values = eig(J, mass(point.t, 0.8), right=False)
        known = np.sort(values[np.isfinite(values) & (np.abs(values) < 1e8)].real)
        np.testing.assert_allclose(np.sort(point.eigenvalues.real), known, rtol=1e-6)
    assert report.curvature[1] == pytest.approx(50.0, rel=1e-3)  # at the start, where mass[0, 0] is least
    assert ("rk4" in report.steps) is not turns


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: mflow.explain(lambda y: y @ y, [1.0], mass=[1.0]), ValueError, "mass: expected None for a cost"),
        (lambda: mflow.explain(lambda t, y: -y, [1.0], jac=True), TypeError, "jac: expected a function jac.t, y. or a matrix"),
        (
            lambda: mflow.explain(mixed, [1.0, 0.0, 0.0], mass=[2.0, 1.0, 0.0], names=["rk4"]),
            ValueError,
            r"names\[0\]: expected a method that takes a singular mass \(.*radau5.*\), got rk4",
        ),
        (lambda: mflow.explain(lambda t, y: -y, np.ones(401), mass=np.ones(401)), ValueError, "mass: expected at most 400 variables"),
    ],
    ids=["cost", "jac", "names", "many"],
)
def test_what_does_not_go_together_is_named(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


def test_a_path_that_breaks_off_is_said_to():
    report = mflow.explain(lambda t, y: y * y, [1.0], t_span=(0.0, 2.0))
    assert report.path.t[-1] < 1.0 + 1e-6
    assert "of 2, where the run ended: nothing is known of what comes after" in str(report)
    assert "neither of radau5 and bdf reached the end" in report.reason


def test_an_orbit_is_not_sent_to_an_implicit_method():
    def kepler(t, y):
        return np.concatenate([y[2:], -y[:2] / np.hypot(*y[:2]) ** 3])

    report = mflow.explain(kepler, [0.4, 0.0, 0.0, 2.0], t_span=(0.0, 20.0))
    assert report.method == "dopri5"
    assert "implicit" not in str(report)
    assert report.note == ""  # it grows by itself: no word on transient growth
    assert report.curvature[1] == pytest.approx(math.sqrt(2.0 / 0.4**3), rel=1e-5)  # of the force at the start, the nearest point


def test_where_nothing_decays_no_limit_is_spoken_of():
    text = str(mflow.explain(lambda t, y: y, [1.0]))
    assert "stability limits no step on this path" in text
    assert "inf" not in text
    assert "With a fixed step beyond it" not in text


def growth_of(method, J, dt, steps=300):
    """The largest norm of powers of the step's matrix, from one step of a run for each unit vector."""
    n = len(J)
    step = mflow.solve_ivp(lambda t, Y: J @ Y, (0.0, dt), np.eye(n), method, dt=dt).y[..., -1]
    power, largest = np.eye(n), 1.0
    for _ in range(steps):
        power = step @ power
        largest = max(largest, float(np.linalg.norm(power, 2)))
    return largest


@pytest.mark.filterwarnings("ignore:solve_ivp")
@pytest.mark.parametrize("backward", [False, True])
def test_upwind_differences_have_a_safe_step_for_every_method(backward):
    """All eigenvalues are -1/h; the numerical range is the disc about it of radius cos(pi/(n + 1))/h, which for euler leaves h."""
    n, sign = 40, -1.0 if backward else 1.0
    h = 1.0 / n
    J = (np.eye(n, k=-1) - np.eye(n)) / h
    names = ["euler", "rk4", "dopri5", "radau5"]
    report = mflow.explain(lambda t, y: sign * (J @ y), np.ones(n), t_span=(0.0, sign), names=names)
    assert report.steps["euler"] == pytest.approx(2.0 * h, rel=1e-3)
    assert report.safe_steps["euler"] == pytest.approx(2.0 * h / (1.0 + math.cos(math.pi / (n + 1))), rel=0.005)
    assert report.safe_steps["radau5"] == report.steps["radau5"] == math.inf
    for name in names[:3]:
        assert report.safe_steps[name] < 0.6 * report.steps[name]
        assert growth_of(name, J, report.safe_steps[name]) < 11.08  # Crouzeix
        assert growth_of(name, J, 0.95 * report.steps[name]) > 1e3
    text = str(report)
    assert "safe step" in text
    assert f"{report.safe_steps['dopri5']:.5g}" in text
    assert "Take a fixed step of at most the safe one" in text


def test_a_fixed_step_is_recommended_within_the_safe_one():
    n = 40
    J = (np.eye(n, k=-1) - np.eye(n)) * n
    report = mflow.explain(lambda t, y: J @ y, np.ones(n), t_span=(0.0, 10.0))
    assert (report.method, sorted(report.parameters)) == ("rk4", ["dt"])
    assert report.dt == pytest.approx(0.9 * report.safe_steps["rk4"])
    assert growth_of("rk4", J, report.dt) < 11.08


@pytest.mark.filterwarnings("ignore:solve_ivp")
@pytest.mark.parametrize("algebraic", [False, True])
def test_a_mass_matrix_has_safe_steps(algebraic):
    """M y' = M J y, of advection with a little diffusion, and an algebraic equation behind it: the numerical range is an ellipse."""
    n = 12
    J = n * (np.eye(n, k=-1) - 1.02 * np.eye(n) + 0.02 * np.eye(n, k=1))
    M = np.eye(n) + 0.25 * (np.eye(n, k=1) + np.eye(n, k=-1))
    A = M @ J
    names = ["bdf", "radau5"] if algebraic else ["euler", "rk4"]
    if algebraic:
        M, A = np.pad(M, (0, 1)), np.pad(A, (0, 1))
        A[n, n], A[n, 0] = -1.0, 1.0  # y_n = y_0
    report = mflow.explain(lambda t, y: A @ y, np.ones(len(A)), t_span=(0.0, 0.5), names=names, mass=M)
    turn = np.exp(1j * np.linspace(0.02, math.pi, 60))
    ellipse = n * (-1.02 + math.cos(math.pi / (n + 1)) * (turn + 0.02 * np.conj(turn)))
    for name in names:
        limits = [mflow.stability_limit(name, direction=z) / abs(z) for z in ellipse if z.real < 0.0]
        assert report.safe_steps[name] == pytest.approx(min(limits), rel=0.02)
    assert report.safe_steps[names[0]] < 0.8 * report.steps[names[0]]
    assert report.safe_steps[names[1]] == report.steps[names[1]] or not algebraic


@pytest.mark.filterwarnings("ignore:solve_ivp")
def test_where_solutions_grow_for_a_while_errors_may_grow_as_they_do():
    """Advection with a growth below its rate has a safe step; of an oscillator of a high frequency the limit of its eigenvalues is safe."""
    n = 20
    J = n * (np.eye(n, k=-1) - 0.7 * np.eye(n))
    report = mflow.explain(lambda t, y: J @ y, np.ones(n), t_span=(0.0, 0.5), names=["euler", "rk4"])
    own = growth_of("rk4", J, 0.2 / n)
    for name, dt in report.safe_steps.items():
        assert 0.2 * report.steps[name] < dt < 0.8 * report.steps[name]
        assert growth_of(name, J, dt) < 3.0 * own
        assert growth_of(name, J, 0.95 * report.steps[name]) > 50.0 * own
    assert "solutions grow by themselves" in str(report)
    A = np.array([[0.0, 1.0], [-1e4, -4.0]])
    report = mflow.explain(lambda t, y: A @ y, [1.0, 0.0], t_span=(0.0, 0.5), names=["euler", "rk4"])
    assert report.safe_steps == report.steps
    assert not report.note


def test_what_is_far_from_normal_on_the_way_alone():
    """u_t = -u u_x, upwind, with a source, from rest: the start tells nothing."""
    n = 30
    h = 1.0 / n

    def slope(t, u):
        return 1.0 - u * (u - np.append(0.0, u[:-1])) / h

    report = mflow.explain(slope, np.zeros(n), t_span=(0.0, 2.0), names=["euler", "rk4"])
    assert report.note.startswith("At t = ")
    for name, dt in report.safe_steps.items():
        worst = math.inf
        for point in report.path.points:
            u = point.y
            J = -(np.diag(2.0 * u - np.append(0.0, u[:-1])) - np.diag(u[1:], -1)) / h
            turns = np.exp(1j * np.linspace(0.0, math.pi, 41))
            tops = [np.linalg.eigh(0.5 * (z * J + np.conj(z) * J.T))[1][:, -1] for z in turns]
            values = np.array([np.vdot(x, J @ x) for x in tops])
            left = values[values.real < -1e-9 * np.abs(values)]
            if np.max(values.real) <= 0.0 and left.size:
                worst = min(worst, *(mflow.stability_limit(name, direction=z) / abs(z) for z in left))
        assert dt == pytest.approx(worst, rel=0.1), name


@pytest.mark.parametrize("start", [[1.0, 0.5, 0.2], [0.0, 0.0, 0.0]])
def test_normal_matrices_have_one_step(start):
    A = np.array([[-3.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, -5.0]])
    report = mflow.explain(lambda t, y: A @ y, start)
    assert report.safe_steps == report.steps
    assert "safe step" not in str(report)
    cost = mflow.explain(lambda x: (0.5 * x @ x, 1.0 * x), start, jac=True, tries=0)
    assert cost.safe_steps == cost.steps


@pytest.mark.parametrize("omega", [1.0, 100.0])
def test_rounding_in_an_eigenvalue_is_no_growth(omega):
    """The harmonic oscillator, whose eigenvalues +- i omega come out with real parts of rounding."""
    report = mflow.explain(
        lambda t, y: [y[1], -(omega**2) * y[0]], [1.0, 0.0], names=["euler", "rk4"], jac=lambda t, y: [[0, 1], [-(omega**2), 0]]
    )
    assert report.steps["euler"] == 0.0
    assert "grow by themselves" not in str(report)
    growing = mflow.explain(lambda t, y: [y[1], -y[0] + 0.1 * y[1]], [1.0, 0.0], names=["euler", "rk4"])
    assert "grow by themselves (eigenvalue 0.05 + 0.9987i)" in str(growing)
