"""Facts of methods: trees and order conditions, stability functions, A-stability, SSP, oscillations, optimizers on quadratics."""

import math
import sys
import warnings
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest

import mflow
from mflow.stability.conditions import density, rooted_trees, symmetry
from mflow.stability.results import ParameterRegion
from support.oracles.reference import defaults
from support.oracles.tableaus import monotone, stability_function

KNOWN_SSP = {
    "euler": 1.0, "rk2": 1.0, "tvd_rk2": 1.0, "tvd_rk3": 1.0, "ssprk104": 6.0, "trapezoidal": 2.0, "sdirk2": 1 + math.sqrt(2), "rk4": 0.0,
    "backward_euler": math.inf,
}  # fmt: skip


def tabled(method: Any) -> None:
    if method.tableau is None:
        pytest.skip("no coefficients: its stages are chosen at run time")


# ---- trees ------------------------------------------------------------------------------------------------------------------------------


def test_trees_are_all_there() -> None:
    """Their number is A000081, and the monotonic labellings of all trees of n vertices, n!/(sigma gamma), are (n - 1)! together."""
    assert [len(rooted_trees(n)) for n in range(1, 11)] == [1, 1, 2, 4, 9, 20, 48, 115, 286, 719]
    for n in range(1, 10):
        trees = rooted_trees(n)
        assert len(set(trees)) == len(trees)
        assert sum(Fraction(math.factorial(n), symmetry(t) * density(t)) for t in trees) == math.factorial(n - 1)


def test_order_from_conditions_is_the_methods(step_method: Any) -> None:
    tabled(step_method)
    assert mflow.order_from_conditions(step_method.name) == step_method.order


def test_order_of_other_coefficients_is_told_apart() -> None:
    """A tableau that is wrong in one entry is not of its method's order."""
    from mflow.stability.conditions import TOLERANCE, Weights

    A, b, _ = (np.array(part) for part in mflow.RK4().butcher)
    b = b + np.array([1e-8, 0.0, -1e-8, 0.0])
    weights = Weights(A, b)
    off = [max(abs(weights.off(t)[0]) for t in rooted_trees(p)) for p in range(1, 5)]
    assert off[0] < TOLERANCE
    assert min(off[1:]) > TOLERANCE


def test_principal_error_of_known_methods() -> None:
    """Euler: 1/2. A two-stage method of second order: 1/6 sqrt((1 - 3 c/2)^2 + 1) with b2 = 1/(2c). RK4: J. Lambert (1991), 5.3."""
    assert mflow.principal_error_norm("euler") == pytest.approx(0.5, rel=1e-14)
    for name, c in (("rk2", 1.0), ("midpoint", 0.5)):
        want = math.hypot(0.5 * (0.5 * c - 1 / 3), 1 / 6)
        assert mflow.principal_error_norm(name) == pytest.approx(want, rel=1e-12)
    assert mflow.principal_error_norm("dopri5") == pytest.approx(3.99e-4, rel=1e-3)  # Dormand and Prince (1980), table 2


@pytest.mark.parametrize("name", ["rkc2", "newmark", "adam"])
def test_no_coefficients_no_conditions(name: str) -> None:
    with pytest.raises(ValueError, match=rf"got {name}\b.*use mflow\."):
        mflow.order_from_conditions(name)


# ---- stability functions ----------------------------------------------------------------------------------------------------------------


def test_polynomials_are_the_stability_function(step_method: Any) -> None:
    """P/Q of the coefficients against the rational function of the exact tableau, which shares no code with it."""
    tabled(step_method)
    R = mflow.stability_function(step_method.name)
    P, Q = (np.polynomial.Polynomial(part) for part in (R.numerator, R.denominator))
    for z in (-3.0, -0.7, 0.3):
        assert P(z) / Q(z) == pytest.approx(float(stability_function(step_method, z)), rel=1e-11, abs=1e-13)
    z = np.array([[-1.0, 1j], [-2 + 1j, 0.1]])
    np.testing.assert_allclose(R(z), P(z) / Q(z), rtol=1e-11)


def test_stages_chosen_at_run_time_are_read_off() -> None:
    with pytest.raises(ValueError, match="stages="):
        mflow.stability_function("rkc2")
    R = mflow.stability_function("rkc2", stages=6)
    z = np.linspace(-18.0, 0.0, 50)
    np.testing.assert_allclose(np.polynomial.Polynomial(R.numerator)(z), R(z).real, atol=1e-9)
    np.testing.assert_allclose(R.numerator[:3], [1.0, 1.0, 0.5], rtol=1e-12)


def test_a_and_l_stability(step_method: Any) -> None:
    """Against |R| on the imaginary axis, sampled: the maximum principle does the rest, as all poles lie to the right."""
    if "needs_rho" in step_method.flags:
        assert not mflow.is_a_stable(step_method.name)
        return
    y = np.concatenate([[0.0], np.geomspace(1e-6, 1e8, 3000)])
    with np.errstate(all="ignore"):
        largest = np.max(np.abs(mflow.amplification(step_method.name, 1j * y)))
    assert mflow.is_a_stable(step_method.name) == (largest <= 1 + 1e-12)
    far = abs(complex(mflow.amplification(step_method.name, -1e12)))
    assert mflow.is_l_stable(step_method.name) == (largest <= 1 + 1e-12 and far < 1e-6)


def test_what_large_steps_leave() -> None:
    """The notes: backward Euler goes to the steady state, the trapezoidal rule oscillates."""
    assert mflow.limit_at_infinity("backward_euler") == 0.0
    assert mflow.limit_at_infinity("trapezoidal") == -1.0
    assert mflow.limit_at_infinity("euler") == -math.inf
    assert mflow.limit_at_infinity("rk2") == math.inf
    for rho in (0.3, 0.8, 1.0):  # Chung and Hulbert: rho_inf is what it says
        assert mflow.limit_at_infinity("generalized_alpha", rho_inf=rho) == pytest.approx(rho, abs=1e-7)
    for alpha in (-1 / 3, -0.1, 0.0):
        assert mflow.limit_at_infinity("hht", alpha=alpha) == pytest.approx((1 + alpha) / (1 - alpha), abs=1e-7)


def test_ssp_coefficients(step_method: Any) -> None:
    """A step is made of Euler steps of dt/r by averages up to the coefficient and not beyond; what is stored as such averages bounds it."""
    tabled(step_method)
    coefficient = mflow.ssp_coefficient(step_method.name)
    if "ssp" in step_method.flags:
        alpha, beta = (np.array(step_method.tableau[key]) for key in ("alpha", "beta"))
        assert coefficient >= np.min(alpha[beta > 0] / beta[beta > 0]) * (1 - 1e-9)
    if math.isinf(coefficient):
        assert monotone(step_method, 1e6)
        return
    assert coefficient == 0.0 or monotone(step_method, coefficient * (1 - 1e-9))
    assert not monotone(step_method, coefficient * (1 + 1e-3) or 1e-3)


@pytest.mark.parametrize("name", KNOWN_SSP)
def test_known_ssp_coefficients(name: str) -> None:
    assert mflow.ssp_coefficient(name) == pytest.approx(KNOWN_SSP[name], abs=1e-10)


# ---- nodepy -----------------------------------------------------------------------------------------------------------------------------

NODEPY = {
    "euler": "FE", "tvd_rk2": "SSP22", "midpoint": "Mid22", "tvd_rk3": "SSP33", "rk4": "RK44", "ssprk104": "SSP104", "bs32": "BS3",
    "dopri5": "DP5", "backward_euler": "BE",
}  # fmt: skip


@pytest.fixture(scope="module")
def nodepy() -> Any:
    pytest.importorskip("nodepy")
    if sys.version_info >= (3, 13):
        pytest.skip("nodepy 1.1 writes into locals(), which has no effect from Python 3.13 on")
    from nodepy import rk

    return rk.loadRKM()


@pytest.mark.parametrize("name", NODEPY)
def test_agreement_with_nodepy(name: str, nodepy: Any) -> None:
    """Its limits are good to about 1e-10; its imaginary limit is 0 where |R| - 1 is positive at all, ours where it exceeds 1e-13."""
    other = nodepy[NODEPY[name]]
    assert mflow.order_from_conditions(name) == other.order()
    assert mflow.principal_error_norm(name) == pytest.approx(float(other.principal_error_norm()), rel=1e-12)
    if name == "backward_euler":
        return
    assert mflow.stability_limit(name) == pytest.approx(float(other.real_stability_interval()), rel=1e-9)
    assert mflow.ssp_coefficient(name) == pytest.approx(float(other.absolute_monotonicity_radius()), abs=2e-6)
    want = float(other.imaginary_stability_interval())
    if name != "bs32":
        assert mflow.stability_limit(name, axis="imaginary") == pytest.approx(want, rel=1e-6)


# ---- rays and regions -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("angle", [1.7, 2.0, 2.5, 3.0])
def test_limits_along_rays(angle: float) -> None:
    """Euler's region is the disc around -1: the ray at this angle leaves it at -2 cos(angle)."""
    want = -2.0 * math.cos(angle)
    assert mflow.stability_limit("euler", direction=angle) == pytest.approx(want, rel=1e-12)
    assert mflow.stability_limit("euler", direction=7.0 * complex(math.cos(angle), -math.sin(angle))) == pytest.approx(want, rel=1e-12)
    limit = mflow.stability_limit("rk4", direction=angle)
    z = np.exp(1j * angle) * limit
    with mpmath.workdps(30):
        inside, outside = (abs(mpmath.polyval([mpmath.mpf(1) / math.factorial(k) for k in (4, 3, 2, 1, 0)], mpmath.mpc(z) * s)) for s in
                           (1 - 1e-9, 1 + 1e-9))  # fmt: skip
    assert inside < 1 < outside


def test_rays_and_axes_meet() -> None:
    assert mflow.stability_limit("rk4", direction=math.pi) == mflow.stability_limit("rk4")
    assert mflow.stability_limit("rk4", direction=1j) == mflow.stability_limit("rk4", axis="imaginary")
    assert mflow.stability_limit("rk4", direction=1.0 + 0j) == 0.0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mflow.stability_limit("rk4", direction=0j), "direction: expected a complex number other than 0, or an angle, got 0j"),
        (lambda: mflow.stability_limit("rk4", "real", direction=1j), "axis, direction: expected one of them, got axis = 'real'"),
        (lambda: mflow.stability_limit("sgd", direction=1j), "direction: expected an integrator .*, got sgd"),
        (lambda: mflow.stability_region("sgd"), "use mflow.parameter_region"),
        (lambda: mflow.stability_region("newmark"), "use mflow.oscillation"),
        (lambda: mflow.stability_region("rk4", re=(1, 0)), "re: expected two finite numbers, the smaller one first"),
        (lambda: mflow.stability_region("rk4", shape=(1, 2)), r"shape\[0\]: expected a whole number of at least 2"),
        (lambda: mflow.oscillation("sgd", 0.1), "use mflow.convergence_rate"),
        (lambda: mflow.oscillation("newmark", -0.1), "above 0"),
        (lambda: mflow.oscillation("newmark", 0.1, zeta=1.0), "zeta: expected a damping ratio .* got 1.0"),
        (lambda: mflow.convergence_rate("adam", [1.0]), "no linear amplification"),
        (lambda: mflow.convergence_rate("rk4", [1.0]), "lr: expected the step of rk4"),
        (lambda: mflow.best_parameters("adam", 10.0), "no linear amplification"),
        (lambda: mflow.best_parameters("sgd", 0.5), "condition_number: expected a finite number of at least 1, got 0.5"),
        (lambda: mflow.best_parameters("rk4", 2.0), "expected an optimizer, got rk4"),
        (lambda: mflow.convergence_rate("rk4", [1.0], lr=math.nan), "lr: expected a finite number, got nan"),
        (lambda: mflow.parameter_region("momentum", lr=(2.0, 1.0)), "lr: expected two finite numbers of at least 0, the smaller one first"),
        (lambda: mflow.parameter_region("momentum", momentum=(0.0, math.nan)), "momentum: expected two finite numbers"),
        (lambda: mflow.parameter_region("momentum", shape=(0, 3)), r"shape\[0\]: expected a whole number of at least 1"),
        (lambda: mflow.parameter_region("momentum", shape=(3,)), r"shape: expected \(rows, columns\), got \(3,\)"),
        (lambda: mflow.parameter_region("adam"), "has no momentum"),
        (lambda: mflow.is_a_stable("sgd"), "got sgd without A-stability"),
        (lambda: mflow.limit_at_infinity("adam"), "use mflow.amplification"),
    ],
)
def test_what_does_not_fit(call: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()


def test_region_is_the_stability_function(step_method: Any) -> None:
    region = mflow.stability_region(step_method.name, re=(-3, 1), im=(-2, 2), shape=(9, 17))
    assert region.z.shape == region.abs_R.shape == region.stable.shape == (9, 17)
    assert region.z[0, 0] == -3 - 2j
    assert region.z[-1, -1] == 1 + 2j
    k = (6, 9)
    if step_method.tableau is not None:
        assert region.abs_R[k] == pytest.approx(abs(complex(mflow.amplification(step_method.name, region.z[k]))), rel=1e-15)
    np.testing.assert_array_equal(region.stable, region.abs_R <= 1 + 1e-13)


# ---- oscillations -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("beta", [0.0, 1 / 12, 1 / 6, 0.25])
def test_newmarks_period_error(beta: float) -> None:
    """METHODS: W/arccos(1 - (W^2/2)/(1 + beta W^2)) - 1, and no damping with gamma = 1/2."""
    W = np.linspace(0.05, 1.8, 30)
    o = mflow.oscillation("newmark", W, beta=beta, gamma=0.5)
    want = [float(mpmath.mpf(w) / mpmath.acos(1 - mpmath.mpf(w) ** 2 / 2 / (1 + beta * mpmath.mpf(w) ** 2)) - 1) for w in W]
    np.testing.assert_allclose(o.period_error, want, rtol=0, atol=1e-12)
    np.testing.assert_allclose(o.algorithmic_damping, 0.0, atol=1e-13)
    np.testing.assert_array_equal(mflow.dispersion("newmark", W, beta=beta), o.period_error)


def test_oscillations_of_each_second_order_method(second_method: Any) -> None:
    """The pair against a run: amplitude and phase of x after some steps."""
    extra = {"damping": "explicit"} if second_method.name == "velocity_verlet" else {}
    for zeta in (0.0, 0.1):
        o = mflow.oscillation(second_method.name, [0.3], zeta=zeta, **extra)
        steps = 2000 if o.amplitude[0] ** 2000 > 1e-200 else 400
        with warnings.catch_warnings():  # two methods have no stable step: growth has an amplitude, too
            warnings.simplefilter("ignore", RuntimeWarning)
            r = mflow.solve_dynamics(mass=1.0, damping=2 * zeta, stiffness=1.0, t_span=(0, 0.3 * steps), x0=[1.0], v0=[-zeta], dt=0.3,
                                     method=mflow.get_method(second_method.name, **extra))  # fmt: skip
        x = r.x[0]
        late = np.arange(steps - 40, steps - 1)
        ratio = np.linalg.lstsq(np.stack([x[late], x[late - 1]], axis=1), x[late + 1], rcond=None)[0]  # x+ = 2 r cos p x - r^2 x-
        r_found = math.sqrt(-ratio[1])
        phase = math.acos(ratio[0] / (2 * r_found))
        assert o.amplitude[0] == pytest.approx(r_found, rel=1e-6)
        assert o.period_error[0] == pytest.approx(0.3 * math.sqrt(1 - zeta**2) / phase - 1, abs=1e-6)


def test_integrators_oscillate_too() -> None:
    """RK4: |R(iW)|^2 = 1 - W^6/72 + W^8/576."""
    W = np.array([0.2, 1.0])
    o = mflow.oscillation("rk4", W)
    np.testing.assert_allclose(o.amplitude**2, 1 - W**6 / 72 + W**8 / 576, rtol=1e-13)
    assert np.all(o.algorithmic_damping > 0.0)
    assert np.all(mflow.dissipation("euler", W) < 0.0)


# ---- quadratics -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kappa", [1.0, 3.0, 100.0, 1e4])
def test_polyaks_best_parameters(kappa: float) -> None:
    root = math.sqrt(kappa)
    best = mflow.best_parameters("momentum", kappa, curvature=5.0)
    q = (root - 1) / (root + 1)
    assert best.momentum == pytest.approx(q * q, abs=2e-7)
    assert best.rate == pytest.approx(q, abs=2e-4 if kappa == 1.0 else 2e-7)  # at 0 it is the root of what is left
    if kappa > 1.0:
        assert best.lr == pytest.approx(4 / (math.sqrt(5.0) * (1 + 1 / root)) ** 2, rel=1e-6)
    assert best.method.parameters["lr"] == best.lr


def test_other_best_parameters() -> None:
    """sgd: 2/(L + mu). Nesterov: Lessard, Recht and Packard (2016), table 1. consistent_momentum is Polyak's in other words."""
    kappa = 50.0
    sgd = mflow.best_parameters("sgd", kappa)
    assert (sgd.lr, sgd.rate) == (pytest.approx(2 / (1 + 1 / kappa), rel=1e-7), pytest.approx((kappa - 1) / (kappa + 1), rel=1e-7))
    root = math.sqrt(3 * kappa + 1)
    nesterov = mflow.best_parameters("nesterov", kappa)
    assert nesterov.momentum == pytest.approx((root - 2) / (root + 2), abs=1e-6)
    assert nesterov.rate == pytest.approx(1 - 2 / root, rel=1e-6)
    assert nesterov.lr == pytest.approx(4 / (3 + 1 / kappa), rel=1e-6)
    newton = mflow.best_parameters("consistent_momentum", kappa)
    polyak = mflow.best_parameters("momentum", kappa)
    assert newton.lr**2 == pytest.approx(polyak.lr, rel=1e-6)
    assert newton.rate == pytest.approx(polyak.rate, rel=1e-6)


def test_convergence_rate_is_what_happens(update_method: Any) -> None:
    if "linear" not in update_method.flags:
        return
    L = np.array([0.5, 4.0])
    extra = {"friction": 1.5} if "friction" in defaults(update_method) else {}
    rate = mflow.convergence_rate(update_method.name, L, lr=0.1, **extra)
    c = np.array([1.0, 1.0])
    opt = getattr(mflow.optim, update_method.class_name)(c, lr=0.1, **extra)
    norms = []
    for _ in range(600):
        opt.step(L * c)
        norms.append(float(np.max(np.abs(c))))
    measured = math.exp((math.log(max(norms[-60:])) - math.log(max(norms[200:260]))) / 340)
    assert measured == pytest.approx(rate, rel=2e-3)


@pytest.mark.parametrize("name", ["momentum", "nesterov", "consistent_momentum"])
def test_parameter_region(name: str) -> None:
    """METHODS: lr L < 2 (1 + mu), 2 (1 + mu)/(1 + 2 mu); consistent_momentum is momentum with lr^2 and mu = 1 - friction lr."""
    region: ParameterRegion = mflow.parameter_region(name, curvature=3.0, momentum=(0.0, 0.99), shape=(23, 57))
    m, step = np.meshgrid(region.momentum, region.lr, indexing="ij")
    x = 3.0 * (step**2 if name == "consistent_momentum" else step)
    limit = 2 * (1 + m) / (1 + 2 * m) if name == "nesterov" else 2 * (1 + m)
    clear = np.abs(x - limit) > 1e-6
    np.testing.assert_array_equal(region.stable[clear], (x <= limit)[clear])
    assert 0.2 < region.stable.mean() < 0.95


def test_an_oscillation_reads_as_a_table() -> None:
    """Of central differences the period is W/(2 asin(W/2)): shorter."""
    lines = str(mflow.oscillation("central_difference", [0.1, 1.0])).splitlines()
    assert lines[0] == "central_difference, zeta = 0"
    assert lines[1].split("  ")[0] == "omega dt"
    assert float(lines[3].split()[3]) == pytest.approx(1.0 / (2.0 * np.arcsin(0.5)) - 1.0, rel=1e-5)
