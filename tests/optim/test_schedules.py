"""Schedules against closed forms in mpmath, against torch where it is installed, and as lr= of what takes one."""

from __future__ import annotations

import math
import pickle

import mpmath
import numpy as np
import pytest

import mflow
from mflow.optim import schedules as s
from mflow.optim import schedules_annealing as annealing

ALL = (
    s.Constant(0.3),
    s.StepLR(0.3, 7, 0.7),
    s.MultiStepLR(0.3, [3, 3, 20], 0.2),
    s.ExponentialLR(0.3, 0.97),
    s.LinearLR(0.3, 0.2, 0.9, 13),
    s.InverseTimeLR(0.3, 0.7, 3),
    s.InverseTimeLR(0.3, 0.7, 3, staircase=True),
    s.InverseSqrtLR(0.3),
    s.CosineAnnealingLR(0.3, 17, 0.01, warmup=5),
    s.CosineAnnealingWarmRestarts(0.3, 5, 2, 0.01),
    s.OneCycleLR(0.3, 50),
    s.OneCycleLR(0.3, 50, 0.2, "linear", three_phase=True),
    s.SequentialLR([s.LinearLR(0.3, 0.1, total_iters=4), s.ExponentialLR(0.3, 0.9)], [4]),
    s.ReduceLROnPlateau(0.3),
    s.ConstantLR(0.3, 0.25, 9),
    s.PolynomialLR(0.3, 30, 0.7),
    s.LambdaLR(0.3, math.sqrt),
    s.MultiplicativeLR(0.3, math.tanh),
    s.CyclicLR(0.01, 0.3, 5, 9, "triangular2"),
    s.ChainedScheduler([s.ConstantLR(0.3, 0.25, 9), s.ExponentialLR(0.3, 0.9)]),
    s.SWALR(0.3, 0.05, 7),
)


@pytest.mark.parametrize("whole", [1, 7, 50, 861, 100_003])
def test_cosines_keep_their_digits_where_they_are_small(whole):
    """At the last steps 1 + cos of a rounded share keeps three to thirteen digits: the half angle keeps all."""
    for part in sorted({*np.linspace(0, whole, 301).astype(int).tolist(), *range(max(whole - 9, 0), whole)}):
        with mpmath.workdps(40):
            exact = mpmath.cospi(mpmath.mpf(part) / whole / 2) ** 2
        assert abs(annealing.fallen(part, whole) - exact) <= 4.0 * math.ulp(float(exact)) * (part < whole)


@pytest.mark.parametrize("k", [1, 2, 57, 1000, 300_000])
def test_powers_are_rounded_once(k):
    for base in (0.5, 0.97, 0.9999, 1.0001):
        with mpmath.workdps(60):
            exact = mpmath.mpf(base) ** k
        if 1e-300 < exact < 1e300:
            assert s.ExponentialLR(1.0, base)(k) == float(exact)


def cosine(high, low, share):
    return low + (high - low) * (1 + math.cos(math.pi * share)) / 2


@pytest.mark.parametrize(
    ("schedule", "formula"),
    [
        (s.StepLR(0.3, 7, 0.7), lambda k: 0.3 * 0.7 ** (k // 7)),
        (s.MultiStepLR(0.3, [3, 3, 20], 0.2), lambda k: 0.3 * 0.2 ** ((2 if k >= 3 else 0) + (k >= 20))),
        (s.ExponentialLR(0.3, 0.97), lambda k: 0.3 * 0.97**k),
        (s.InverseTimeLR(0.3, 0.7, 3), lambda k: 0.3 / (1 + 0.7 * k / 3)),
        (s.InverseTimeLR(0.3, 0.7, 3, True), lambda k: 0.3 / (1 + 0.7 * (k // 3))),
        (s.InverseSqrtLR(0.3), lambda k: 0.3 / math.sqrt(k + 1)),
        (s.CosineAnnealingLR(0.3, 17, 0.01), lambda k: cosine(0.3, 0.01, k / 17)),
        (s.CosineAnnealingLR(0.3, 17, warmup=5, start_factor=0), lambda k: 0.3 * k / 5 if k < 5 else cosine(0.3, 0, (k - 5) / 17)),
        (s.SWALR(0.3, 0.05), lambda k: cosine(0.3, 0.05, min(1.0, k / 10))),
        (s.SWALR(0.3, 0.9, 7, "linear"), lambda k: 0.3 + 0.6 * min(1.0, k / 7)),
        (s.SWALR(0.3, 0.05, 0), lambda k: 0.05),
        (s.OneCycleLR(0.3, 51, 1.0, "linear"), lambda k: 0.012 + (0.3 - 0.012) * k / 50),
    ],
)
def test_closed_forms(schedule, formula):
    for k in range(50):
        assert schedule(k) == pytest.approx(formula(k), rel=2e-15, abs=1e-16)


def torch_curve(make, steps=50, metrics=None):
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    scheduler = make(torch.optim.lr_scheduler, optimizer)
    out = []
    for k in range(steps):
        out.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if k + 1 < steps:
            scheduler.step(*([] if metrics is None else [metrics[k]]))
    return out


def swalr(optimizer, swa_lr, epochs=10, strategy="cos"):
    return pytest.importorskip("torch.optim.swa_utils").SWALR(optimizer, swa_lr, epochs, strategy)


@pytest.mark.filterwarnings("ignore")  # torch's own
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (s.StepLR(0.3, 7, 0.7), lambda t, o: t.StepLR(o, 7, 0.7)),
        (s.MultiStepLR(0.3, [3, 3, 20], 0.2), lambda t, o: t.MultiStepLR(o, [3, 3, 20], 0.2)),
        (s.ExponentialLR(0.3, 0.97), lambda t, o: t.ExponentialLR(o, 0.97)),
        (s.LinearLR(0.3, 0.2, 0.9, 13), lambda t, o: t.LinearLR(o, 0.2, 0.9, 13)),
        (s.CosineAnnealingLR(0.3, 17, 0.01), lambda t, o: t.CosineAnnealingLR(o, 17, 0.01)),
        (s.CosineAnnealingWarmRestarts(0.3, 5, 2, 0.01), lambda t, o: t.CosineAnnealingWarmRestarts(o, 5, 2, 0.01)),
        (s.OneCycleLR(0.3, 50), lambda t, o: t.OneCycleLR(o, 0.3, 50)),
        (s.OneCycleLR(0.3, epochs=5, steps_per_epoch=10), lambda t, o: t.OneCycleLR(o, 0.3, epochs=5, steps_per_epoch=10)),
        (
            s.OneCycleLR(0.3, 50, 0.2, "linear", 10.0, 100.0, True),
            lambda t, o: t.OneCycleLR(o, 0.3, 50, None, None, 0.2, "linear", div_factor=10.0, final_div_factor=100.0, three_phase=True),
        ),
        (s.SWALR(0.3, 0.05), lambda t, o: swalr(o, 0.05)),
        (s.SWALR(0.3, 0.9, 7, "linear"), lambda t, o: swalr(o, 0.9, 7, "linear")),
        (s.SWALR(0.3, 0.05, 0), lambda t, o: swalr(o, 0.05, 0)),
        (s.ConstantLR(0.3, 0.25, 9), lambda t, o: t.ConstantLR(o, 0.25, 9)),
        (s.ConstantLR(0.3), lambda t, o: t.ConstantLR(o)),
        (s.PolynomialLR(0.3, 30, 0.7), lambda t, o: t.PolynomialLR(o, 30, 0.7)),
        (s.PolynomialLR(0.3), lambda t, o: t.PolynomialLR(o)),
        (s.LambdaLR(0.3, lambda k: 1 / (1 + k)), lambda t, o: t.LambdaLR(o, lambda k: 1 / (1 + k))),
        (s.MultiplicativeLR(0.3, lambda k: 1 - 0.5 / k), lambda t, o: t.MultiplicativeLR(o, lambda k: 1 - 0.5 / k)),
        (s.CyclicLR(0.01, 0.3, 5, 9), lambda t, o: t.CyclicLR(o, 0.01, 0.3, 5, 9, cycle_momentum=False)),
        (s.CyclicLR(0.01, 0.3, 7, mode="triangular2"), lambda t, o: t.CyclicLR(o, 0.01, 0.3, 7, mode="triangular2", cycle_momentum=False)),
        (
            s.CyclicLR(0.01, 0.3, 7, None, "exp_range", 0.9),
            lambda t, o: t.CyclicLR(o, 0.01, 0.3, 7, None, "exp_range", 0.9, cycle_momentum=False),
        ),
        (
            s.CyclicLR(0.01, 0.3, 7, scale_fn=lambda k: 1 / k, scale_mode="cycle"),
            lambda t, o: t.CyclicLR(o, 0.01, 0.3, 7, scale_fn=lambda k: 1 / k, scale_mode="cycle", cycle_momentum=False),
        ),
        (
            s.ChainedScheduler([s.ConstantLR(0.3, 0.25, 9), s.ExponentialLR(0.3, 0.9), s.StepLR(0.3, 4, 0.5)]),
            lambda t, o: t.ChainedScheduler([t.ConstantLR(o, 0.25, 9), t.ExponentialLR(o, 0.9), t.StepLR(o, 4, 0.5)]),
        ),
        (
            s.SequentialLR([s.ConstantLR(0.3, 0.1, 20), s.ExponentialLR(0.3, 0.9), s.PolynomialLR(0.3, 10)], [20, 30]),
            lambda t, o: t.SequentialLR(o, [t.ConstantLR(o, 0.1, 20), t.ExponentialLR(o, 0.9), t.PolynomialLR(o, 10)], [20, 30]),
        ),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, s.Schedule) else "",
)  # fmt: skip
def test_torch_has_the_same_curve(ours, theirs):
    np.testing.assert_allclose([ours(k) for k in range(50)], torch_curve(theirs), rtol=1e-12, atol=1e-16)


def test_every_schedule_of_torch_is_here_by_its_name():
    torch = pytest.importorskip("torch")
    theirs = {name for name in torch.optim.lr_scheduler.__all__ if name not in ("LRScheduler",)}
    assert theirs <= set(s.__all__)


def test_a_product_does_not_depend_on_what_was_asked_before():
    schedule = s.MultiplicativeLR(0.3, lambda k: 1 - 0.5 / k)
    forward = [schedule(k) for k in range(9)]
    assert [schedule(k) for k in reversed(range(9))] == forward[::-1]


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda: s.LambdaLR(0.3, 0.5), TypeError, r"^lr_lambda: expected a function"),
        (lambda: s.MultiplicativeLR(0.3, None), TypeError, r"^lr_lambda: expected a function"),
        (lambda: s.ConstantLR(0.3, 1.5), ValueError, r"^factor: "),
        (lambda: s.PolynomialLR(0.3, 0), ValueError, r"^total_iters: "),
        (lambda: s.CyclicLR(0.1, 0.3, 0), ValueError, r"^step_size_up: "),
        (lambda: s.CyclicLR(0.1, 0.3, mode="square"), ValueError, r"^mode: "),
        (lambda: s.ChainedScheduler([]), ValueError, r"^schedules: expected at least one"),
        (lambda: s.ChainedScheduler([s.ExponentialLR(0.3, 0.9), s.OneCycleLR(0.3, 50)]), TypeError, r"^schedules: .* got OneCycleLR"),
        (lambda: s.ChainedScheduler([s.CosineAnnealingLR(0.3, 9, 0.1)]), TypeError, r"^schedules: .* got CosineAnnealingLR"),
        (lambda: s.ChainedScheduler([s.ExponentialLR(0.0, 0.9)]), ValueError, r"^schedules: expected an lr above 0"),
    ],
)
def test_what_no_schedule_is_made_of(make, kind, words):
    with pytest.raises(kind, match=words):
        make()


@pytest.mark.parametrize("three_phase", [False, True])
def test_one_cycle_that_begins_at_its_top(three_phase):
    """A tenth of ten steps is one: the way up has no length, and step 0 is the top."""
    curve = [s.OneCycleLR(0.5, 10, 0.1, "linear", three_phase=three_phase)(k) for k in range(10)]
    assert curve[0] == 0.5
    first = 0.02 if three_phase else 0.5
    np.testing.assert_allclose(curve[1:], first + (0.5 / 25 / 1e4 - first) * np.arange(1, 10) / 9, rtol=1e-13)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
def test_plateaus_as_torch_finds_them(mode, threshold_mode):
    metrics = np.random.default_rng(1).normal(5.0, 1.0, 60) - 0.02 * np.arange(60)
    options = {"mode": mode, "threshold_mode": threshold_mode, "patience": 2, "cooldown": 1, "factor": 0.5, "min_lr": 0.01}
    ours, seen = s.ReduceLROnPlateau(0.3, **options), []
    for metric in metrics:
        seen.append(ours(0))
        ours.observe(metric)
    assert len(set(seen)) > 3
    assert seen == torch_curve(lambda t, o: t.ReduceLROnPlateau(o, **options), 60, metrics)


def test_plateau_is_seen_by_hand():
    schedule = s.ReduceLROnPlateau(1.0, factor=0.5, patience=1)
    rates = []
    for loss in (5.0, 4.0, 4.0, 4.0, math.nan, math.nan, 1.0):
        schedule.observe(loss)
        rates.append(schedule(0))
    assert rates == [1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    assert schedule.best == 1.0


@pytest.mark.parametrize("schedule", ALL, ids=lambda v: type(v).__name__)
def test_pickles_states_and_optimizers(schedule):
    again = pickle.loads(pickle.dumps(schedule))
    assert [again(k) for k in range(50)] == [schedule(k) for k in range(50)]
    again.load_state_dict(schedule.state_dict())
    with pytest.raises(ValueError, match="state"):
        again.load_state_dict({"nonsense": 1})
    c = np.ones(1)
    optimizer = mflow.optim.SGD(c, lr=schedule)
    for _ in range(5):
        optimizer.step(np.ones(1))
    expected = 1.0
    for k in range(5):
        expected -= schedule(k)
    assert c[0] == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("level", [-1e3, -1.0, -1e-9, 0.0, 1e-9, 1.0, 1e3])
def test_a_plateau_is_one_on_either_side_of_zero(mode, level):
    """A metric that does not improve by threshold |best| fires, whatever its sign (torch's never does below 0 where it only worsens)."""
    away = -1.0 if mode == "min" else 1.0
    still = s.ReduceLROnPlateau(1.0, mode=mode, patience=2, threshold=0.01)
    for k in range(6):
        still.observe(level + away * 1e-5 * k * abs(level))
    assert still(0) == pytest.approx(0.1)
    worse = s.ReduceLROnPlateau(1.0, mode=mode, patience=2, threshold=0.01)
    for k in range(6):
        worse.observe(level - away * 0.004 * k * max(abs(level), 1.0))
    assert worse(0) == pytest.approx(0.1)
    better = s.ReduceLROnPlateau(1.0, mode=mode, patience=2, threshold=0.01)
    for k in range(6):
        better.observe(level + away * 0.02 * k * max(abs(level), 1.0) * 2.0**k)
    assert better(0) == 1.0


@pytest.mark.parametrize("threshold", [1e-4, 1.0, 2.0])
def test_any_number_is_better_than_an_infinite_first_metric(threshold):
    """A share of an infinite value is no number that another could be compared with."""
    schedule = s.ReduceLROnPlateau(1.0, patience=1, threshold=threshold)
    for metric in (math.inf, 5.0, 5.0):
        schedule.observe(metric)
    assert (schedule.best, schedule(0)) == (5.0, 1.0)


def test_state_of_a_plateau_travels():
    first, second = (s.ReduceLROnPlateau(1.0, patience=0) for _ in range(2))
    for loss in (1.0, 2.0, 3.0):
        first.observe(loss)
    second.load_state_dict(first.state_dict())
    assert second(0) == first(0) < 1.0
    assert second == first


@pytest.mark.parametrize("method", ["sgd", "adam", "rk4"])
def test_minimize_takes_schedules(method):
    def cost(x):
        return float(x @ x), 2 * x

    result = mflow.minimize(cost, np.ones(3), jac=True, method=method, lr=s.CosineAnnealingLR(0.1, 500, 1e-3), maxiter=500, gtol=1e-6)
    assert result.reason == "converged"


def test_minimize_shows_the_cost_to_a_plateau():
    schedule = s.ReduceLROnPlateau(1.0, factor=0.5, patience=3)
    result = mflow.minimize(lambda x: (float(x @ x), 2 * x), np.ones(2), jac=True, method="sgd", lr=schedule, maxiter=100)
    assert result.reason == "converged"  # with lr = 1 it swings between x and -x for ever
    assert schedule == s.ReduceLROnPlateau(1.0, factor=0.5, patience=3)  # the run works on a copy
    again = mflow.minimize(lambda x: (float(x @ x), 2 * x), np.ones(2), jac=True, method="sgd", lr=schedule, maxiter=100)
    assert (again.nit, again.fun) == (result.nit, result.fun)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: s.Constant(math.nan), "lr"),
        (lambda: s.Constant(-1.0), "lr"),
        (lambda: s.StepLR(0.1, 0), "step_size"),
        (lambda: s.ExponentialLR(0.1, 0.0), "gamma"),
        (lambda: s.MultiStepLR(0.1, [5, 3]), "milestones"),
        (lambda: s.CosineAnnealingLR(0.1, 0), "T_max"),
        (lambda: s.OneCycleLR(0.1, 10, pct_start=1.5), "pct_start"),
        (lambda: s.OneCycleLR(0.1, epochs=1, steps_per_epoch=1), "epochs times steps_per_epoch"),
        (lambda: s.OneCycleLR(0.1, 10, cycle_momentum=True), "cycle_momentum"),
        (lambda: s.CyclicLR(0.1, 0.2, cycle_momentum=True), "cycle_momentum"),
        (lambda: s.OneCycleLR(0.1, 10, anneal_strategy="sine"), "anneal_strategy"),
        (lambda: s.SWALR(0.1, -0.1), "swa_lr"),
        (lambda: s.SWALR(0.1, 0.1, -1), "anneal_epochs"),
        (lambda: s.SWALR(0.1, 0.1, 1, "sine"), "anneal_strategy"),
        (lambda: s.ReduceLROnPlateau(0.1, mode="least"), "mode"),
        (lambda: s.ReduceLROnPlateau(0.1, factor=1.0), "factor"),
        (lambda: s.SequentialLR([s.Constant(1)], [3]), "milestones"),
        (lambda: s.OneCycleLR(0.1, 10)(10), "lr"),
    ],
)
def test_mistakes_are_named(make, word):
    with pytest.raises(ValueError, match=f"^{word}: expected .*, got "):
        make()


def test_a_plateau_is_not_one_of_a_sequence():
    with pytest.raises(TypeError, match="ReduceLROnPlateau"):
        s.SequentialLR([s.Constant(1.0), s.ReduceLROnPlateau(1.0)], [3])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "total_steps: expected a number of steps, or epochs and steps_per_epoch"),
        ({"epochs": 3}, "total_steps: expected a number of steps, or epochs and steps_per_epoch"),
        ({"total_steps": 30, "epochs": 3}, "epochs: expected it in place of total_steps, got both"),
    ],
)
def test_a_cycle_needs_its_length_once(given, words):
    with pytest.raises(TypeError, match=f"^{words}"):
        s.OneCycleLR(0.1, **given)


def test_a_cycle_of_epochs_is_that_of_their_steps():
    of_epochs = s.OneCycleLR(0.1, epochs=3, steps_per_epoch=7, cycle_momentum=False)
    assert of_epochs == s.OneCycleLR(0.1, 21)
    assert of_epochs.total_steps == 21


@pytest.mark.parametrize("name", ["OneCycleLR", "CyclicLR"])
def test_who_cycles_the_momentum_is_named(name):
    with pytest.raises(ValueError, match=f"torch's own {name} cycles the momentum of the classes of mflow.torch"):
        getattr(s, name)(0.1, 10, cycle_momentum=True)
