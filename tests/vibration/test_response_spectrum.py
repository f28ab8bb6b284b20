"""Response spectra against recursions in 50 digits, closed forms, a finer record, steps; and modes against closed forms and steps."""

from __future__ import annotations

import itertools
import math
import warnings
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import scipy.sparse
from scipy.integrate import solve_ivp

import mflow
from mflow.vibration.spectrum import recursion

Array = np.ndarray


def shaking(count: int, seed: int = 0) -> Array:
    """Noise under a hump, as an earthquake has it."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 1, count)
    return np.convolve(rng.standard_normal(count + 4), np.ones(5) / 5, "valid") * t * (1 - t) * 20


def in_digits(samples: Array, step: float, period: float, zeta: float) -> tuple[float, float, float]:
    """sd, sv and sa by Nigam and Jennings' recursion as they print it, in 50 digits."""
    with mp.workdps(50):
        h, w, z = mp.mpf(step), 2 * mp.pi / mp.mpf(period), mp.mpf(zeta)
        root = mp.sqrt(1 - z * z)
        wd, e = w * root, mp.exp(-z * w * h)
        s, c = mp.sin(wd * h), mp.cos(wd * h)
        a11, a12, a21, a22 = e * (z / root * s + c), e / wd * s, -w / root * e * s, e * (c - z / root * s)
        f, g = (2 * z * z - 1) / (w * w * h), 2 * z / (w**3 * h)
        b11 = e * ((f + z / w) * s / wd + (g + 1 / w**2) * c) - g
        b12 = -e * (f * s / wd + g * c) - 1 / w**2 + g
        b21 = e * ((f + z / w) * (c - z / root * s) - (g + 1 / w**2) * (wd * s + z * w * c)) + 1 / (w * w * h)
        b22 = -e * (f * (c - z / root * s) - g * (wd * s + z * w * c)) - 1 / (w * w * h)
        x = v = mp.mpf(0)
        peaks = [mp.mpf(0)] * 3
        given = [mp.mpf(float(a)) for a in samples]
        for p, q in itertools.pairwise(given):
            x, v = a11 * x + a12 * v + b11 * p + b12 * q, a21 * x + a22 * v + b21 * p + b22 * q
            peaks = [max(peaks[0], abs(x)), max(peaks[1], abs(v)), max(peaks[2], abs(w * w * x + 2 * z * w * v))]
        return tuple(float(value) for value in peaks)  # type: ignore[return-value]


@pytest.mark.parametrize("zeta", [0.0, 0.05, 0.7])
def test_within_1e_12_of_a_recursion_in_50_digits(zeta: float) -> None:
    a, step, periods = shaking(1500), 0.005, [0.011, 0.3, 20.0]
    s = mflow.response_spectrum((step, a), periods, zeta)
    want = np.array([in_digits(a, step, T, zeta) for T in periods]).T
    for ours, exact in zip((s.sd, s.sv, s.sa), want, strict=True):
        np.testing.assert_allclose(ours, exact, rtol=1e-12)
    omega = 2 * np.pi / np.array(periods)
    np.testing.assert_allclose(s.psv, omega * s.sd, rtol=1e-15)
    np.testing.assert_allclose(s.psa, omega**2 * s.sd, rtol=1e-15)


def test_blocks_and_orders_do_not_matter() -> None:
    a, periods = shaking(400), np.geomspace(0.05, 5, 21)
    all_at_once = mflow.response_spectrum((0.01, a), periods)
    for k in (0, 7, 8, 20):
        alone = mflow.response_spectrum((0.01, a), [periods[k]])
        assert (alone.sd[0], alone.sv[0], alone.sa[0]) == (all_at_once.sd[k], all_at_once.sv[k], all_at_once.sa[k])


def test_peaks_between_samples() -> None:
    """Against the same record with 400 samples in place of one, which is the same piecewise-linear ground."""
    a, periods = shaking(200), np.array([0.03, 0.1, 0.5, 2.0])
    fine = np.interp(np.arange(0, 199 * 400 + 1) / 400, np.arange(200), a)
    for zeta in (0.02, 0.3):
        coarse = mflow.response_spectrum((0.01, a), periods, zeta)
        between = mflow.response_spectrum((0.01, a), periods, zeta, peaks="continuous")
        dense = mflow.response_spectrum((0.01 / 400, fine), periods, zeta)
        for name in ("sd", "sv", "sa"):
            np.testing.assert_allclose(getattr(between, name), getattr(dense, name), rtol=2e-5)
            assert np.all(getattr(between, name) >= getattr(dense, name) * (1 - 1e-9))
            assert np.all(getattr(between, name) >= getattr(coarse, name) * (1 - 1e-9))
        assert coarse.sd[0] < 0.999 * between.sd[0]


def test_closed_forms() -> None:
    """A ground that jumps to a constant acceleration: the displacement overshoots to (1 + exp(-pi zeta/sqrt(1 - zeta^2)))/omega^2."""
    step, zeta, T = 0.001, 0.1, np.array([0.5, 1.0, 2.0])
    s = mflow.response_spectrum((step, np.ones(3000)), T, zeta, peaks="continuous")
    over = 1 + math.exp(-math.pi * zeta / math.sqrt(1 - zeta**2))
    np.testing.assert_allclose(s.sd, over * (T / (2 * np.pi)) ** 2, rtol=1e-8)
    np.testing.assert_allclose(s.psa, over, rtol=1e-8)
    rigid = mflow.response_spectrum((0.01, shaking(300)), [0.0, 1.0])
    assert rigid.sd[0] == rigid.sv[0] == rigid.psv[0] == 0.0
    assert rigid.psa[0] == rigid.sa[0] == rigid.peak == np.max(np.abs(shaking(300)))


@pytest.mark.parametrize(
    ("record", "period", "zeta", "peaks"),
    [
        ([0.341, -0.486, -0.641, 0.056, 1.817, -1.012], 7.886, 0.5, [0.0157906810229, 0.0849196206242, 0.0738254122145]),
        ([-1.988, -0.233, -0.256, 0.962, -1.181, 0.738], 8.163, 0.05, [0.0526385794736, 0.137736855495, 0.0405747871643]),
    ],
)
def test_short_records_of_long_periods(record: list[float], period: float, zeta: float, peaks: list[float]) -> None:
    """Peaks of the closed form of each piece, in 30 digits."""
    s = mflow.response_spectrum((0.1, record), [period], zeta, peaks="continuous")
    np.testing.assert_allclose([s.sd[0], s.sv[0], s.sa[0]], peaks, rtol=2e-9)


@pytest.mark.parametrize("method", [mflow.Newmark(1 / 6, 0.5), "newmark", "central_difference"])
def test_steps_converge_to_it(method: Any) -> None:
    a, errors = shaking(150), []
    for parts in (4, 8):
        fine = np.interp(np.arange(0, 149 * parts + 1) / parts, np.arange(150), a)
        exact = mflow.response_spectrum((0.02 / parts, fine), [0.2, 0.7, 3.0])
        steps = mflow.response_spectrum((0.02 / parts, fine), [0.2, 0.7, 3.0], method=method)
        assert steps.method in ("newmark", "central_difference")
        errors.append(np.max(np.abs([steps.sd / exact.sd - 1, steps.sv / exact.sv - 1, steps.sa / exact.sa - 1])))
    assert errors[1] < 0.35 * errors[0] < 0.05


def test_times_in_place_of_their_interval() -> None:
    a = shaking(100)
    s, expected = mflow.response_spectrum((5.0 + 0.25 * np.arange(100), a), [0.5]), mflow.response_spectrum((0.25, a), [0.5])
    assert s.sa.tolist() == expected.sa.tolist()


def test_what_a_spectrum_may_be_asked_for() -> None:
    a = shaking(100)
    with pytest.warns(RuntimeWarning, match=r"1 of 2 periods are below 0.02 s, twice the sampling interval"):
        mflow.response_spectrum((0.01, a), [0.015, 0.5])
    motion = mflow.data.GroundMotion("uneven", np.array([0.0, 0.1, 0.3]), np.ones(3))
    wrong: list[tuple[Any, Any, dict[str, Any], type[Exception], str]] = [
        (motion, [1.0], {}, ValueError, "record: expected samples at equal intervals, got uneven with intervals from 0.1 to 0.2 s"),
        (a, [1.0], {}, TypeError, r"record: expected what read_record returns, \(dt, acceleration\) or \(t, acceleration\)"),
        ((np.arange(99), a), [1.0], {}, ValueError, r"record: expected \(t, acceleration\) with two or more times .* got shapes \(99,\)"),
        (([0.0, 0.2, 0.1], a[:3]), [1.0], {}, ValueError, r"record\[0\]: expected finite times that increase, got t\[2\] = 0.1 after 0.2"),
        (([0.0, math.nan, 0.2], a[:3]), [1.0], {}, ValueError, r"record\[0\]: .* got t\[1\] = nan after 0"),
        (([0.0, 0.1, math.inf], a[:3]), [1.0], {}, ValueError, r"record\[0\]: .* got t\[2\] = inf after 0.1"),
        ((np.arange(100) ** 2, a), [1.0], {}, ValueError, "record: expected samples at equal intervals, got the record with intervals"),
        ((0.0, a), [1.0], {}, ValueError, "record: expected a sampling interval above 0"),
        ((0.01, a[:1]), [1.0], {}, ValueError, "two or more finite samples"),
        ((0.01, a), [-1.0], {}, ValueError, "periods: expected"),
        ((0.01, a), [], {}, ValueError, "periods: expected"),
        ((0.01, a), [1.0], {"damping": -0.1}, ValueError, "damping"),
        ((0.01, a), [1.0], {"peaks": "all"}, ValueError, "peaks"),
        ((0.01, a), [1.0], {"method": "newmark", "peaks": "continuous"}, ValueError, 'peaks: "continuous" goes with method="exact"'),
    ]
    for record, periods, more, error, words in wrong:
        with pytest.raises(error, match=words):
            mflow.response_spectrum(record, periods, **more)


def test_the_recursion_keeps_its_digits_for_short_steps() -> None:
    """omega dt = 1e-6: the change of x is some 1e-12 of it, and right to 14 digits."""
    e_xx = recursion(1e-6, np.array([1.0]), 0.05)[0, 0]
    with mp.workdps(40):
        A = mp.expm(mp.matrix([[0, 1], [mp.mpf(-1e-6) ** 2 * -1, -2 * mp.mpf(0.05) * mp.mpf(1e-6)]]), method="taylor")
        assert e_xx == pytest.approx(float(A[0, 0] - 1), rel=1e-13)


# ---- modes ------------------------------------------------------------------------------------------------------------------------------


def chain(n: int) -> Array:
    return 2.0 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)


@pytest.mark.parametrize("stored", ["dense", "sparse", "large"])
def test_modes_of_a_chain(stored: str) -> None:
    import scipy.sparse

    n = 900 if stored == "large" else 20
    K = scipy.sparse.csr_array(chain(n)) if stored != "dense" else chain(n)
    m = mflow.modes(2.0 * np.ones(n), K, 5)
    j = np.arange(1, 6)
    np.testing.assert_allclose(m.omega, 2 / math.sqrt(2) * np.sin(j * np.pi / (2 * (n + 1))), rtol=1e-8)
    shape = np.sin(np.pi * np.outer(np.arange(1, n + 1), j) / (n + 1))
    shape /= np.sqrt(2.0 * np.sum(shape**2, axis=0))
    np.testing.assert_allclose(np.abs(m.shapes), np.abs(shape), atol=1e-7)
    np.testing.assert_allclose(m.participation**2, (2.0 * shape.sum(axis=0)) ** 2, atol=1e-5 * n)
    np.testing.assert_allclose(m.periods * m.frequencies, 1.0)
    assert m.total_mass == 2.0 * n


def test_all_modes_carry_all_of_the_mass_and_rigid_motions_have_none_of_the_stiffness() -> None:
    rng = np.random.default_rng(1)
    B = rng.standard_normal((6, 6))
    M, r = B @ B.T + 6 * np.eye(6), rng.standard_normal(6)
    m = mflow.modes(M, chain(6), direction=r)
    assert m.effective_masses.sum() == pytest.approx(r @ M @ r)
    assert m.total_mass == pytest.approx(r @ M @ r)
    np.testing.assert_allclose(m.shapes.T @ M @ m.shapes, np.eye(6), atol=1e-12)
    free = chain(4)
    free[0, 0] = free[3, 3] = 1.0
    assert mflow.modes(None, free).omega[0] == 0.0
    assert math.isinf(mflow.modes(None, free).periods[0])


def test_a_damping_function_is_the_matrix_without_its_entries() -> None:
    """A free motion in one mode decays with its ratio, in closed form; the full matrix is not made."""
    n, zeta = 300, 0.05
    K = scipy.sparse.diags_array([-np.ones(n - 1), np.full(n, 2.0), -np.ones(n - 1)], offsets=[-1, 0, 1]).tocsr()
    m = mflow.modes(np.full(n, 2.0), K, k=3)
    v = np.cos(np.arange(n))
    np.testing.assert_allclose(m.damping_function([0.1, 0.2, zeta])(v), m.damping_matrix([0.1, 0.2, zeta]) @ v, atol=1e-15)
    omega, shape = m.omega[2], m.shapes[:, 2]
    assert omega == pytest.approx(2.0 * math.sin(1.5 * math.pi / (n + 1)) / math.sqrt(2.0), rel=1e-9)
    end = math.pi / omega
    r = mflow.solve_dynamics(np.full(n, 2.0), m.damping_function(zeta), K, t_span=(0, end), x0=shape, dt=end / 400)
    turned = omega * math.sqrt(1.0 - zeta**2) * end
    expected = math.exp(-zeta * omega * end) * (math.cos(turned) + zeta / math.sqrt(1.0 - zeta**2) * math.sin(turned))
    np.testing.assert_allclose(r.x[:, -1], expected * shape, atol=1e-4 * np.max(shape))


def test_a_damping_matrix_gives_each_mode_its_ratio() -> None:
    M, K, zeta = np.array([1.0, 2.0, 3.0]), chain(3), np.array([0.02, 0.05, 0.1])
    m = mflow.modes(M, K)
    C = m.damping_matrix(zeta)
    np.testing.assert_allclose(m.shapes.T @ C @ m.shapes, np.diag(2 * zeta * m.omega), atol=1e-14)


def test_modal_superposition_is_exact_for_loads_that_are_linear_between_their_times() -> None:
    """Against SciPy's DOP853 from bend to bend, and the closed form of a free motion."""
    M, K, n = np.array([1.0, 2.0, 3.0]), chain(3), 3
    m, t = mflow.modes(M, K), np.array([0.0, 0.5, 1.0, 1.25, 2.0])
    values = np.random.default_rng(2).standard_normal((n, 5))
    s = m.response(t, values, 0.05, x0=[0.1, 0.0, -0.2], v0=[0.0, 0.3, 0.0])
    y, C = np.array([0.1, 0.0, -0.2, 0.0, 0.3, 0.0]), m.damping_matrix(0.05)

    def slope(at: float, y: Array) -> Array:
        p = np.array([np.interp(at, t, row) for row in values])
        return np.concatenate([y[3:], (p - C @ y[3:] - K @ y[:3]) / M])

    for j in range(5):
        np.testing.assert_allclose(np.concatenate([s.x[:, j], s.v[:, j], s.a[:, j]]), [*y, *slope(t[j], y)[3:]], atol=1e-10)
        if j < 4:
            y = solve_ivp(slope, (t[j], t[j + 1]), y, "DOP853", rtol=1e-12, atol=1e-13).y[:, -1]
    ground = mflow.modes(M, K).response(t, (-M, values[0]))
    np.testing.assert_allclose(ground.x, m.response(t, np.outer(-M, values[0])).x, atol=1e-14)
    free = m.response(np.linspace(0, 30, 7), np.zeros((n, 7)), 0.0, x0=m.shapes[:, 1])
    np.testing.assert_allclose(free.x, np.outer(m.shapes[:, 1], np.cos(m.omega[1] * free.t)), atol=1e-13)


def test_what_modes_may_be_asked_for() -> None:
    m = mflow.modes(None, chain(3))
    wrong: list[tuple[Any, str]] = [
        (lambda: mflow.modes(None, [[1.0, 2.0], [0.0, 1.0]]), "stiffness: expected a symmetric matrix"),
        (
            lambda: mflow.modes([1.0, -1.0], np.eye(2)),
            "mass: expected a mass above 0, or a row of zeros, at every degree of freedom, got -1 at 1",
        ),
        (lambda: mflow.modes([[1.0, 2.0], [2.0, 1.0]], np.eye(2)), "mass: expected a positive definite matrix"),
        (lambda: mflow.modes(None, -np.eye(2)), "stiffness: expected a positive semidefinite matrix"),
        (lambda: mflow.modes(None, chain(3), 4), "k"),
        (lambda: mflow.modes(None, chain(3), direction=[1.0]), "direction: expected 3 numbers"),
        (lambda: m.response([0.0, 1.0], np.zeros((2, 2))), r"load: expected shape \(3, 2\)"),
        (lambda: m.response([0.0, 0.0], np.zeros((3, 2))), "times: expected two or more numbers that increase"),
        (lambda: m.damping_matrix([0.1, 0.2]), r"damping: expected a finite ratio from 0 on, or 3, .* got shape \(2,\)"),
        (lambda: m.damping_matrix(-0.1), "damping: expected a finite ratio from 0 on, .* got -0.1"),
        (lambda: m.damping_function([0.1, math.nan, 0.2]), "damping: .* got nan"),
    ]
    for call, words in wrong:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(ValueError, match=words):
                call()


def test_per_cent_for_a_ratio_is_warned_of() -> None:
    with pytest.raises(ValueError, match="damping: expected one ratio, got 2 of them; call it once for each"):
        mflow.response_spectrum((0.01, np.ones(50)), [1.0], damping=[0.02, 0.05])
    with pytest.warns(RuntimeWarning, match=r"damping = 5 is 500 % of the critical one; for 5 % give 0.05"):
        mflow.response_spectrum((0.01, np.ones(50)), [1.0], damping=5)
    modes = mflow.modes([1.0, 1.0], [4.0, 9.0])
    with pytest.warns(RuntimeWarning, match=r"Modes.damping_matrix: damping = 5 is 500 % of the critical one; for 5 % give 0.05"):
        modes.damping_matrix([0.02, 5])
    with pytest.warns(RuntimeWarning, match=r"Modes.response: damping = 5 is 500 %"):
        modes.response([0.0, 0.1], np.ones((2, 2)), damping=5)
    np.testing.assert_allclose(modes.damping_matrix(1.0), np.diag([4.0, 6.0]))  # critical damping, without a word
