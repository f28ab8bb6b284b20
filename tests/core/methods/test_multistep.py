"""Multistep methods, step by step through the C API and in runs: formulas, orders, wedges of stability, starts, changes of the step.

Oracles: the backward differentiation formulas in values and not in differences, fitted in exact fractions; closed forms of the wedges.
"""

import ctypes
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from mflow_core import registry

import mflow
from mflow.stability.amplification import grows
from mflow.stability.limits import limit_on_ray
from support.battery import bits, end_of, same_at
from support.kernels import CFrame
from support.levels import LEVELS
from support.problems import RELAXATION, start_of

EPS = 2.0**-52
MULTISTEP = [record for record in registry.records() if "multistep" in record.flags]
ORDERS = [pytest.param(record, k, id=f"{record.name}-{k}") for record in MULTISTEP for k in range(1, record.order + 1)]
KAPPA = (0.0, -0.1850, -1 / 9, -0.0823, -0.0415, 0.0)  # Shampine and Reichelt (1997), table 1


def by_values(k: int, values: list[Any], t: float, h: float) -> Any:
    """y+ of the formula of order k from k + 1 values, the newest first, for y' = cos t - 0.75 y: weights of binomials, not differences."""
    gamma = float(sum(Fraction(1, m) for m in range(1, k + 1)))
    left = [Fraction(0)] * (k + 1)  # sum_m D^m y+/m as weights of y+, y, ...
    for m in range(1, k + 1):
        for j in range(m + 1):
            left[j] += Fraction((-1) ** j * math.comb(m, j), m)
    guess = [(-1) ** j * math.comb(k + 1, j + 1) for j in range(k + 1)]  # the polynomial through k + 1 values, one step on
    new = float(left[0]) - KAPPA[k] * gamma + 0.75 * h
    known = sum(float(left[j]) * values[j - 1] for j in range(1, k + 1))
    known = known + KAPPA[k] * gamma * sum(w * value for w, value in zip(guess, values, strict=True))
    return (h * math.cos(t + h) - known) / new


@pytest.mark.parametrize(("record", "k"), ORDERS)
def test_fixed_steps_are_those_of_the_formula(record: Any, k: int) -> None:
    """After the start each value follows from the k + 1 before it; in and out of place, and on every level, with the same bits."""
    h, n = 0.125, 9
    finals = []
    for level in LEVELS:
        for in_place in (False, True):
            kernel = RELAXATION.kernel(same_at(record, level), n)
            kernel = type(kernel)(kernel.row, RELAXATION.rhs, n, RELAXATION.solve, parameters={"order": float(k)})
            x, values = start_of(n)[None], [start_of(n)]
            for i in range(12):
                assert kernel.step(0.3 + i * h, x, h, fresh=i == 0, in_place=in_place, want_err=False) == 0
                assert kernel.frame.n_rhs == 0
                assert kernel.frame.n_solve == (k * (k + 1) // 2 if i < k else 1)
                if i >= k:
                    want = by_values(k, values[: k + 1], 0.3 + i * h, h)
                    np.testing.assert_allclose(kernel.y, want, rtol=0, atol=4.0**k * EPS)
                x = kernel.carried
                values.insert(0, kernel.y)
            finals.append(bits(x))
    assert len(set(finals)) == 1


@pytest.mark.parametrize(("record", "k"), ORDERS)
def test_order_of_fixed_steps_and_of_what_lies_between(record: Any, k: int) -> None:
    errors, between = [], []
    at = np.linspace(0.0, 2.0, 41)
    exact = np.sin(at) + np.exp(-3.0 * at)
    for n in (32, 64):
        r = mflow.solve_ivp(
            lambda t, y: -3.0 * (y - np.sin(t)) + np.cos(t), (0, 2), [1.0], record.name, dt=2.0 / n, order=k, dense_output=True
        )
        errors.append(abs(r.y[0, -1] - exact[-1]))
        between.append(float(np.max(np.abs(r.sol(at)[0] - exact))))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(k, abs=0.35)
    assert math.log2(between[0] / between[1]) > min(k, 4) - 0.4


@pytest.mark.parametrize(("record", "k"), ORDERS)
def test_wedge_of_stability(record: Any, k: int) -> None:
    """A(alpha): 90, 90, 80, 66, 51 degrees (Shampine and Reichelt 1997, table 1), and by the locus of the formula's boundary."""
    theta = np.linspace(1e-3, math.pi, 200_000)
    w = np.exp(-1j * theta)  # y at one step back, in units of y+
    gamma = sum(1.0 / m for m in range(1, k + 1))
    locus = sum((1 - w) ** m / m for m in range(1, k + 1)) - KAPPA[k] * gamma * (1 - w) ** (k + 1)
    left = locus[locus.real < -1e-9]
    alpha = 90.0 if left.size == 0 else math.degrees(float(np.min(np.arctan2(np.abs(left.imag), -left.real))))
    assert alpha == pytest.approx((90, 90, 80, 66, 51)[k - 1], abs=1.0)
    method = mflow.get_method(record.name, order=k)
    for angle, stable in ((alpha - 0.05, True), (alpha + 0.05, k < 3)):
        direction = -np.exp(1j * math.radians(min(angle, 90.0)))
        assert (limit_on_ray(method, complex(direction)) == math.inf) == stable
    assert mflow.is_a_stable(method) == mflow.is_l_stable(method) == (k < 3)
    assert mflow.limit_at_infinity(method) == 0.0


@pytest.mark.parametrize(("record", "k"), ORDERS)
def test_where_a_root_grows(record: Any, k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the roots of the formula's polynomial in w; eigenvalues are asked for where powers leave it open."""
    rng = np.random.default_rng(k)
    gamma = sum(1.0 / m for m in range(1, k + 1))
    back = np.polynomial.Polynomial([1.0, -1.0])  # 1 - w, w = y at one step back, in units of y+
    formula = sum((back**m / m for m in range(1, k + 1)), -KAPPA[k] * gamma * back ** (k + 1))
    near = formula(np.exp(1j * rng.uniform(0.0, 2.0 * np.pi, 200)) * (1.0 + rng.choice([-1e-9, 1e-9], 200)))  # a root that is 1 all but
    far = 10.0 ** rng.uniform(-3.0, 4.0, 600) * np.exp(1j * rng.uniform(0.5 * np.pi, 1.5 * np.pi, 600))
    z = np.concatenate([near, far, [math.nan]])
    with np.errstate(all="ignore"):
        known = [not np.min(np.abs((formula - value).roots())) >= 1.0 / (1.0 + 1e-11) for value in z[:-1]] + [True]
    asked, eigvals = [], np.linalg.eigvals
    monkeypatch.setattr(np.linalg, "eigvals", lambda some: asked.append(len(some)) or eigvals(some))
    np.testing.assert_array_equal(grows(mflow.get_method(record.name, order=k), z, 1.0 + 1e-11), known)
    assert 0 < sum(asked) < len(near) + len(far) // 2  # of those far away, few but the growing ones
    assert 50 < sum(known) < 500


@pytest.mark.parametrize(("record", "k"), ORDERS)
def test_principal_root_is_the_exponential_to_the_order(record: Any, k: int) -> None:
    off = [abs(complex(mflow.amplification(record.name, -z, order=k)) - math.exp(-z)) for z in (0.04, 0.02)]
    assert math.log2(off[0] / off[1]) == pytest.approx(k + 1, abs=0.15)


@pytest.mark.parametrize("ratio", [0.3, 0.7, 1.9, 2.5])
@pytest.mark.parametrize(("record", "k"), ORDERS)
def test_a_change_of_the_step_keeps_the_polynomial(record: Any, k: int, ratio: float) -> None:
    """The guess of a step of another length is the polynomial of the differences there; x0 stays as it was."""
    h, n = 0.1, 3
    kernel = RELAXATION.kernel(record, n)
    kernel = type(kernel)(record, RELAXATION.rhs, n, RELAXATION.solve, parameters={"order": float(k)})
    x, values = start_of(n)[None], [start_of(n)]
    for i in range(k + 2):
        assert kernel.step(i * h, x, h, fresh=i == 0, want_err=False) == 0
        x = kernel.carried
        values.insert(0, kernel.y)
    kernel.step((k + 2) * h, x, ratio * h, fresh=False, want_err=False)
    nodes = [-float(j) for j in range(k + 1)]
    want = sum(values[j] * math.prod((ratio - node) / (nodes[j] - node) for node in nodes if node != nodes[j]) for j in range(k + 1))
    np.testing.assert_allclose(kernel.calls[-1][4], want, rtol=0, atol=1e3 * 4.0**k * EPS)
    value = kernel.dense()
    np.testing.assert_allclose(value(1.0), kernel.y, rtol=0, atol=64 * EPS)


def _implicit_euler(y: Any, t: float, h: float, steps: int) -> Any:
    """On RELAXATION, which is linear: y' = cos t - 3 y/4."""
    for k in range(1, steps + 1):
        y = (y + h / steps * math.cos(t + k * h / steps)) / (1.0 + 0.75 * h / steps)
    return y


@pytest.mark.parametrize("record", MULTISTEP, ids=lambda record: record.name)
def test_the_first_step_under_error_control(record: Any) -> None:
    """Implicit Euler in one step and in two, extrapolated; the estimate is eight times that of NDF of order 1, (1/2 - 0.185) h^2 y''."""
    problem, sizes = RELAXATION, []
    for h in (0.1, 0.05):
        kernel = problem.kernel(record, 4)
        assert kernel.step(0.3, start_of(4)[None], h) == 0
        assert [call[0] for call in kernel.calls] == ["solve"] * 3
        np.testing.assert_allclose([call[2] for call in kernel.calls], [h, h / 2, h / 2], rtol=4 * EPS)
        coarse, fine = (_implicit_euler(start_of(4), 0.3, h, steps) for steps in (1, 2))
        np.testing.assert_allclose(kernel.y, 2.0 * fine - coarse, rtol=0, atol=64 * EPS)
        np.testing.assert_allclose(kernel.errors[0], 8.0 * (0.5 - 0.185) * 4.0 * (coarse - fine), rtol=0, atol=1e3 * EPS)
        sizes.append(float(np.max(np.abs(kernel.errors))))
    assert math.log2(sizes[0] / sizes[1]) == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("record", MULTISTEP, ids=lambda record: record.name)
def test_runs_are_made_of_steps_and_components_do_not_meet(record: Any) -> None:
    y0 = start_of(517)
    whole = end_of(record, RELAXATION, y0, 0.0, 0.05, 9)
    for part in (slice(0, 1), slice(500, 517)):
        assert bits(end_of(record, RELAXATION, y0[part], 0.0, 0.05, 9)) == bits(whole[part])


class Frame(CFrame):
    _fields_ = [  # noqa: RUF012 - of ctypes
        ("rtol", ctypes.c_void_p), ("atol", ctypes.c_void_p), ("n_tol", ctypes.c_ssize_t), ("h_next", ctypes.c_double),
        ("order", ctypes.c_int32), ("order_next", ctypes.c_int32),
    ]  # fmt: skip


@pytest.mark.parametrize("n_tol", [1, 3])
@pytest.mark.parametrize("record", MULTISTEP, ids=lambda record: record.name)
def test_a_host_with_tolerances_is_told_orders_and_steps(record: Any, n_tol: int) -> None:
    """As a host's own loop takes them; frames of older hosts, which end before, are what the other tests here use."""
    kernel, rtol, atol = RELAXATION.kernel(record, 3), np.full(n_tol, 1e-7), np.full(n_tol, 1e-9)
    frame = Frame()
    ctypes.memmove(ctypes.byref(frame), ctypes.byref(kernel.frame), ctypes.sizeof(CFrame))
    frame.size, frame.rtol, frame.atol, frame.n_tol = ctypes.sizeof(Frame), rtol.ctypes.data, atol.ctypes.data, n_tol
    kernel.frame = frame
    t, h, x, orders = 0.0, 1e-5, start_of(3)[None], [1]
    while t < 5.0:
        assert kernel.step(t, x, h, fresh=t == 0.0) == 0
        size = np.sqrt(np.mean((kernel.errors[0] / (1e-9 + 1e-7 * np.maximum(np.abs(x[0]), np.abs(kernel.y)))) ** 2))
        assert frame.order == orders[-1]
        if size > 1.0:
            h *= 0.5
            continue
        t, x = t + h, kernel.carried
        assert abs(frame.order_next - frame.order) <= 1
        assert frame.h_next == h or frame.h_next <= 10.0 * h
        h = frame.h_next
        orders.append(frame.order_next)
    assert orders[:2] == [1, 2]
    assert max(orders) == record.order
    rate, a = 0.75, 0.75 / (1.0 + 0.75**2)
    exact = lambda at: a * np.cos(at) + a / rate * np.sin(at)  # noqa: E731
    np.testing.assert_allclose(x[0], exact(t) + (start_of(3) - a) * np.exp(-rate * t), rtol=0, atol=1e-6)
