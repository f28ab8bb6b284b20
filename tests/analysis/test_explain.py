"""mflow.explain on what newcomers try: promised gradients that are missing, steps at the limit of stability."""

import numpy as np
import pytest

import mflow


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
