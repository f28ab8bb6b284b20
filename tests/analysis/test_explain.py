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
