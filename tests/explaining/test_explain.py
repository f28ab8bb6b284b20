"""mflow.explain on what newcomers try: promised gradients that are missing, steps at the limit of stability."""

import math
import re

import numpy as np
import pytest

import mflow
from mflow.problems import objectives


def test_a_cost_without_the_gradient_that_was_promised_is_named() -> None:
    with pytest.raises(TypeError, match=r"fun: expected the pair \(cost, gradient\) returned with jac=True, got float"):
        mflow.explain(lambda c: float(c @ c), [1.0, 2.0], jac=True)


def test_steps_at_the_stability_limit_are_not_ascribed_to_accuracy() -> None:
    report = mflow.explain(lambda t, y: -1000.0 * (y - np.cos(t)), [1.0])
    assert report.dt > 0.5 * report.steps["dopri5"]
    assert "accuracy asks" not in report.reason
    assert "close to the stability limit" in report.reason
    assert "accuracy asks" in mflow.explain(lambda t, y: np.array([y[1], -y[0]]), [1.0, 0.0]).reason


def test_a_pair_that_was_not_announced_is_named() -> None:
    with pytest.raises(TypeError, match=r"fun: expected one number returned, got a tuple.*give jac=True"):
        mflow.explain(lambda c: (c @ c, 2 * c), [1.0, 2.0])


def test_the_text_of_basins_counts_starts_by_minimum() -> None:
    r = mflow.basins(lambda c: np.array([4 * c[0] * (c[0] ** 2 - 1), 2 * c[1]]), (np.linspace(-1.5, 1.5, 6), [0.5]), lr=0.05)
    assert str(r).splitlines()[0] == "sgd, dt = 0.05: 6 starts"
    assert [line.split()[0] for line in str(r).splitlines()[1:]] == ["3", "3", "0", "0"]


def quartic(n, kappa, scale):
    d = scale * np.geomspace(1.0 / kappa, 1.0, n)
    return lambda c: (0.5 * float(c @ (d * c)) + 0.1 * scale * float(np.sum(c**4)), d * c + 0.4 * scale * c**3)


PROBLEMS = {
    "bowl": (quartic(5, 10.0, 1.0), np.ones(5)),
    "long valley": (quartic(30, 1e3, 1.0), np.linspace(-1.0, 1.0, 30)),
    "steep": (quartic(10, 100.0, 1e6), np.full(10, 0.5)),
    "shallow": (quartic(10, 100.0, 1e-6), np.full(10, 0.5)),
    "rosenbrock": (mflow.objectives.Rosenbrock(4).value_and_grad, np.array([-1.2, 1.0, -1.2, 1.0])),
    "saddle": (lambda c: (0.25 * (c[0] ** 2 - 1) ** 2 + c[1] ** 2, np.array([c[0] * (c[0] ** 2 - 1), 2 * c[1]])), np.array([0.1, 1.0])),
    "exponential": (lambda c: (float(np.sum(np.cosh(3 * c))), 3 * np.sinh(3 * c)), np.array([2.0, -1.0])),
    "rounded": (lambda c: (float(np.sum(np.log(np.cosh(c)))), np.tanh(c)), np.array([8.0, -5.0])),
    "wells": (lambda c: (float(np.sum(c**2 - np.cos(5 * c))), 2 * c + 5 * np.sin(5 * c)), np.array([2.0, 0.3])),
    "beale": (objectives.mgh("beale").value_and_grad, np.array([1.0, 1.0])),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_recommendation_works_at_the_first_try(name):
    """It is tried on the spot, and its numbers are those of a run of one's own."""
    cost, start = PROBLEMS[name]
    report = mflow.explain(cost, start, jac=True)
    first, *others = report.trials
    assert first.recommended
    assert [t.recommended for t in others] == [False] * 4
    assert (first.method, first.parameters) == (report.method, report.parameters)
    run = mflow.minimize(cost, start, method=report.method, jac=True, maxiter=100, gtol=0, check_gradient=False, **report.parameters)
    assert run.reason in ("converged", "max_iter")
    if report.parameters:
        assert run.fun == first.loss[-1] < cost(start)[0]
    else:  # as many iterations as the trial had evaluations
        assert run.fun <= first.loss[-1] < cost(start)[0]
    assert first.loss[0] == cost(start)[0]
    assert "Tried from x0" in str(report)
    assert "max iter" not in str(report)  # which number of iterations that was, the table did not say
    assert all(np.all(np.isfinite(t.loss)) for t in report.trials)


def test_trials_are_those_that_are_asked_for():
    cost, start = PROBLEMS["bowl"]
    assert mflow.explain(cost, start, jac=True, tries=0).trials == ()
    assert len(mflow.explain(cost, start, jac=True, tries=7).trials[0].loss) == 8
    count = [0]

    def counted(c):
        count[0] += 1
        return cost(c)

    report = mflow.explain(counted, start, jac=True, tries=0, check_gradient=False)
    assert count[0] <= report.nfev + 1
    with pytest.raises(ValueError, match="tries"):
        mflow.explain(cost, start, jac=True, tries=-1)


def test_the_region_is_that_of_the_recommended_method():
    pytest.importorskip("matplotlib")
    from mflow.cli.explain import picture

    report = mflow.explain(*PROBLEMS["long valley"], jac=True, tries=10)
    assert report.method == "momentum"
    axes = picture(report)
    dots = next(line for line in axes.lines if line.get_label() == "curvatures seen")
    assert set(np.round(dots.get_ydata(), 12)) == {round(report.parameters["momentum"], 12)}
    assert np.max(dots.get_xdata()) < 2 * (1 + report.parameters["momentum"])  # inside
    lines = {line.get_label(): line for line in axes.figure.axes[1].lines}
    assert set(lines) >= {trial.label for trial in report.trials if len(trial.loss) > 3}


def test_parameters_are_what_a_call_takes_beside_the_method() -> None:
    H = np.diag([1.0, 30.0])
    report = mflow.explain(lambda c: (0.5 * c @ H @ c, H @ c), [1.0, 1.0], jac=True)
    assert report.parameters["lr"] == report.dt
    assert f"Recommended: momentum, lr = {report.dt:.4g}, momentum = " in str(report)
    r = mflow.minimize(lambda c: (0.5 * c @ H @ c, H @ c), [1.0, 1.0], jac=True, method=report.method, **report.parameters)
    assert r.success
    flow = mflow.explain(lambda t, y: -y, [1.0])
    run = mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0], flow.method, **flow.parameters)
    assert abs(run.y[0, -1] - np.exp(-1.0)) < 1e-2


@pytest.mark.parametrize("diagonal", [(1.0, 2.0), (1.0, -2.0), (1.0, 0.0), (0.0, 0.0)])
def test_every_verdict_is_one_that_is_documented(diagonal: tuple[float, float]) -> None:
    H = np.diag(diagonal)
    costs = mflow.explain(lambda c: (0.5 * c @ H @ c, H @ c), [1.0, 1.0], jac=True).verdicts
    flows = mflow.explain(lambda t, y: -H @ y, [1.0, 1.0]).verdicts
    listed = type(mflow.explain(lambda c: (0.5 * c @ H @ c, H @ c), [1.0, 1.0], jac=True)).__doc__ or ""
    for _, verdict in (*costs, *flows):
        begins = [word for word in ("well-posed", "linearly stable", "suspect", "not known", "ill-posed") if verdict.startswith(word)]
        assert len(begins) == 1
        assert f'"{begins[0]}"' in listed


def test_an_objective_has_its_own_gradient():
    """With more than 1000 unknowns it asked for the gradient that it has."""
    f = mflow.objectives.Rosenbrock(1204)
    start = np.tile([-0.5, 0.4], 602)
    assert str(mflow.explain(f, start, tries=0)) == str(mflow.explain(f, start, jac=f.grad, tries=0))


@pytest.mark.parametrize("condition", [2.0, 30.0, 1e4, 1e6, 1e8])
def test_the_steps_a_digit_are_those_of_what_is_recommended(condition):
    """The oracle runs the recursion: the powers of its 2 x 2 matrix for the least curvature, the slow one."""
    d = np.array([1.0, 1.0 / condition])
    report = mflow.explain(lambda c: (0.5 * float(c @ (d * c)), d * c), np.ones(2), jac=True, tries=0)
    lr, m = report.parameters["lr"], report.parameters.get("momentum", 0.0)
    powers = [np.array([[1 - lr * a, -lr * m], [a, m]]) for a in d]
    if condition < 4:
        told = float(re.search(r"on a quadratic .* by a factor of ([\d.e+-]+) a step", report.reason)[1])
        assert told == pytest.approx(max(abs(1 - lr * a) for a in d), rel=0.02)
        return
    found = re.search(r"about ([\d.e+]+) steps a digit, and sgd with its best lr ([\d.e+]+)", report.reason)
    told, sgd = (float(x.rstrip(".")) for x in found.groups())
    doublings = 0
    while max(np.linalg.norm(power, 2) for power in powers) > 1e-20:
        powers, doublings = [power @ power for power in powers], doublings + 1
    digits = -np.log10(max(np.linalg.norm(power, 2) for power in powers))
    assert told == pytest.approx(2**doublings / digits, rel=0.2)
    assert sgd == pytest.approx(condition * np.log(10) / 2, rel=0.02)


@pytest.mark.parametrize("seed", range(12))
def test_a_search_that_ends_far_below_is_recommended(seed):
    """Exact matrix factorisations, whose least cost is 0: what leads lower by decades is not passed over."""
    M = np.random.default_rng(99).standard_normal((5, 2)) @ np.random.default_rng(98).standard_normal((2, 4))

    def cost(c):
        U, V = c[:10].reshape(5, 2), c[10:].reshape(4, 2)
        R = U @ V.T - M
        return 0.25 * float(np.sum(R * R)), 0.5 * np.concatenate([(R @ V).ravel(), (R.T @ U).ravel()])

    report = mflow.explain(cost, np.random.default_rng(seed).standard_normal(18), jac=True)
    best = min(report.trials, key=lambda trial: trial.loss[-1])
    assert best.method in ("lbfgs", "bfgs", "cg")
    assert best.loss[-1] < 1e-3 * sorted(trial.loss[-1] for trial in report.trials)[1]
    assert report.method == best.method == report.trials[0].method


def test_the_curvature_of_the_steps_is_told():
    """From the flank of a narrow well, which is curved most in its middle."""
    cost = lambda c: (float(np.sum(c**2 / 2 - 9 * np.exp(-(c**2) / 0.5))), c + 36 * c * np.exp(-(c**2) / 0.5))  # noqa: E731
    report = mflow.explain(cost, np.full(2, 0.6), jac=True, tries=0)
    assert report.steps["sgd"] == pytest.approx(2.0 / report.steepest, rel=1e-9)
    assert report.steepest == pytest.approx(37.0, rel=0.05)  # 1 + 36 in the well's middle
    assert report.curvature[1] < 20
    assert f"for which the steps below are: {report.steepest:.6g}" in str(report)
    assert "for which the steps below are" not in str(mflow.explain(lambda c: (c @ c, 2 * c), np.ones(2), jac=True))


def test_a_curvature_that_is_seen_is_not_called_none():
    d = np.array([1.0, 0.5, 2e-7])
    report = mflow.explain(lambda c: (0.5 * float(c @ (d * c)), d * c), np.ones(3), jac=True, tries=0)
    share = float(re.search(r"directions with less than ([\d.e-]+) of the largest curvature", report.verdicts[0][1])[1])
    assert 2e-7 < share < 2.3e-7
    d[2] = 0.0
    assert "directions without curvature" in str(mflow.explain(lambda c: (0.5 * float(c @ (d * c)), d * c), np.ones(3), jac=True, tries=0))


def test_every_method_by_its_name_has_a_limit_of_a_right_hand_side_or_is_named() -> None:
    """Those with a limit by eigenvalues are listed, and those alone."""

    def listed(names: list[str]) -> list[str]:
        return list(mflow.explain(lambda t, y: -3.0 * y, [1.0, 2.0], names=names, tries=0).steps)

    limited = [m.name for m in mflow.methods() if m.kind == "step" and "linear" in m.flags and "second_order" not in m.flags]
    assert listed(limited) == limited
    for method in mflow.methods():
        if method.name not in limited:
            with pytest.raises(ValueError, match=rf"^names: expected methods .* got {method.name}, "):
                listed([method.name])


def test_every_method_by_its_name_is_listed_for_a_cost() -> None:
    """With its step, or with what is to be said of it."""
    names = [m.name for m in mflow.methods()]
    report = mflow.explain(lambda c: (1.5 * float(c @ c), 3.0 * c), [1.0, 2.0], jac=True, names=names, tries=0)
    assert list(report.steps) == names
    for m in mflow.methods():
        alone = "linear" in m.flags and "second_order" not in m.flags
        assert (m.name in report.facts) == (not alone), m.name
        assert not report.steps[m.name] < 0.0, m.name
    assert {name for name, dt in report.steps.items() if math.isnan(dt)} == {"lion", "rprop"}
    assert all(report.steps[name] == math.inf for name in ("lbfgs", "bfgs", "cg", "trust_ncg", "implicit_sgd"))


@pytest.mark.parametrize("n", [4, 60])
def test_the_step_of_an_optimizer_that_rescales_is_that_in_the_metric_of_the_gradient_at_x0(n: int) -> None:
    """With g = d x the curvature in the metric |g| is 1/|x|, whatever d, and v after 101 equal gradients has a closed form."""
    d = np.geomspace(1.0, 100.0, n)
    x = np.linspace(0.25, 2.0, n) * np.where(np.arange(n) % 2, -1.0, 1.0)
    right = {"adam": 38 * 0.25, "rmsprop": 2 * math.sqrt(1 - 0.99**101) * 0.25, "adagrad": 2 * math.sqrt(101) * 0.25}
    report = mflow.explain(lambda c: (0.5 * float(c @ (d * c)), d * c), x, jac=True, names=list(right), tries=0)
    for name, step in right.items():
        assert 0.9 * step < report.steps[name] < 1.001 * step, name  # of many variables the curvature is an upper end
        assert report.facts[name].startswith("As after 100 steps with the gradient at x0; the limit changes")


def test_a_line_search_is_told_by_the_condition_number() -> None:
    """Conjugate gradients shrink errors by (root - 1)/(root + 1) an iteration at least."""
    d = np.array([1.0, 10.0, 100.0, 30.0])
    cost = lambda c: (0.5 * float(c @ (d * c)), d * c)  # noqa: E731
    report = mflow.explain(cost, np.ones(4), jac=True, names=["lbfgs", "trust_ncg"], tries=0)
    assert f"about {1 / math.log10(11 / 9):.3g} iterations a digit, and 4 in all" in report.facts["lbfgs"]
    assert f"about {1 / math.log10(11 / 9):.3g} products" in report.facts["trust_ncg"]
    saddle = mflow.explain(lambda c: (c[0] ** 2 - c[1] ** 2, np.array([2.0, -2.0]) * c), [1.0, 1.0], jac=True, names=["cg"], tries=0)
    assert "No condition number" in saddle.facts["cg"]
    assert saddle.facts["cg"] in str(saddle)


def test_a_cost_beyond_the_largest_number_is_named() -> None:
    """An int may be longer than any float, beside a gradient that is finite, too."""
    with pytest.raises(ValueError, match=r"^fun: expected finite costs at x0 and near it, got NaN or an infinity"):
        mflow.explain(lambda x: 10**400, [1.0])
    with pytest.raises(ValueError, match=r"^fun: expected a finite cost at x0, got inf"):
        mflow.explain(lambda x: (10**400, 2.0 * x), [1.0], jac=True)
    with pytest.raises(ValueError, match=r"^fun: expected a finite cost at x0, got nan"):
        mflow.explain(lambda x: np.nan, [1.0], jac=lambda x: 2.0 * x, check_gradient=False)


@pytest.mark.parametrize("n", [3, 600])
def test_the_curvature_after_the_first_steps_is_an_upper_end_where_there_are_many_variables(n: int) -> None:
    """Of sum d (1 - cos x) it is the largest d cos x, which grows on the way to 0; the descent is repeated here."""
    d = np.linspace(1.0, 2.0, n)
    text = str(mflow.explain(lambda x: float(np.sum(d * (1.0 - np.cos(x)))), np.full(n, 1.2), jac=lambda x: d * np.sin(x)))
    found = re.search(r"after the first steps, for which the steps below are: (at most )?(\S+)", text)
    descent = re.search(r"after (\d+) steps of descent with lr = (\S+):", text)
    assert found is not None
    assert descent is not None
    assert bool(found[1]) == (n > 3)
    x = np.full(n, 1.2)
    for _ in range(int(descent[1])):
        x -= float(descent[2]) * d * np.sin(x)
    assert 1.0 - 1e-2 < float(found[2]) / np.max(d * np.cos(x)) < 1.1
