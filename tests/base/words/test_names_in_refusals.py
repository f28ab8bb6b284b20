"""Arguments that do not fit are refused with their own name, not with that of another one or with an error of NumPy's."""

from typing import Any

import numpy as np
import pytest

import mflow
from mflow.base.progress import reason_of

X = np.random.default_rng(0).normal(size=(12, 3))


def cost(c: Any, x: Any) -> Any:
    return float(c @ c), 2.0 * c


def fit(**more: Any) -> Any:
    return mflow.train(cost, np.ones(3), **{"data": (X,), "lr": 0.01, "jac": True, "epochs": 2, **more})


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mflow.explain(lambda t, y: -y, [1.0], t_span=np.array([None, 1], dtype=object)), "^t_span: expected real numbers"),
        (lambda: mflow.check_grad(lambda x: float(x @ x), lambda x: 1.0, [1.0, 2.0]), r"^grad: expected the shape \(2,\)"),
        (lambda: mflow.check_grad(lambda x: float(x @ x), lambda x: "x", [1.0, 2.0]), "^grad: expected"),
        (lambda: mflow.posedness(2.5, 0.0, [1.0]), r"^fun: expected shape \(1, 1\), got shape \(\)"),
        (lambda: mflow.posedness([[1, 2], [3]], 0.0, [1.0]), "^fun: expected an array"),
        (lambda: mflow.posedness(lambda t, y: -y, 0.0, [1.0], jac=2.5), r"^jac: expected shape \(1, 1\)"),
        (lambda: fit(data=np.inf, batch_size=4), "^data: expected a tuple of arrays"),
        (lambda: fit(data={}, batch_size=4), "^data: expected a tuple of arrays"),
        (lambda: fit(validation=lambda epoch: 1), "^validation: expected a function of the epoch"),
        (lambda: fit(step_callback=lambda state: 1), "^step_callback: expected it to return True"),
        (lambda: fit(callback=lambda state: 1), "^callback: expected it to return True"),
        (lambda: mflow.lr_find(cost, np.ones(3), lambda epoch: 1, lr_max=0.1), "^data: expected a function of the epoch"),
    ],
)
def test_the_argument_is_named(call: Any, words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        call()


def test_whose_exception_it_was() -> None:
    """Of events, their actions, callbacks and right-hand sides, by one look at the traceback."""

    def boom(*state: Any) -> Any:
        raise KeyError("mine")

    def acting(t: float, y: Any) -> Any:
        return y[0] - 0.5

    acting.action = boom  # type: ignore[attr-defined]
    calls: dict[str, Any] = {
        "rhs_failed": {"fun": boom},
        "callback_failed": {"fun": lambda t, y: -y, "callback": boom},
        "event_failed": {"fun": lambda t, y: -y, "events": boom},
        "event_failed ": {"fun": lambda t, y: -y, "events": acting},
    }
    for reason, how in calls.items():
        with pytest.raises(KeyError, match="mine") as caught:
            mflow.solve_ivp(t_span=(0.0, 5.0), y0=[1.0], **how)
        assert reason_of(caught.value)[0] == caught.value.partial_result.reason == reason.strip()  # type: ignore[attr-defined]


def test_a_fit_that_is_interrupted_says_so() -> None:
    """Residuals of ImplicitSGD tell Ctrl-C from an exception of their own."""
    stops, seen = [KeyboardInterrupt, ZeroDivisionError], list[str]()
    for stop in stops:

        def residual(x: Any, a: Any, stop: Any = stop) -> Any:
            raise stop

        model = mflow.ImplicitSGD(residual=residual, jacobian=lambda x, a: np.ones(1))
        with pytest.raises(stop):
            model.fit((X[:, 0],), x0=np.zeros(1))
        seen.append(model.reason)
    assert seen == ["interrupted", "rhs_failed"]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mflow.Stepper("rk4", lambda t, y: -y, [1.0]).advance_to(1e308, 0.1), r"^dt: expected at most 2\^53 steps"),
        (lambda: mflow.Stepper("rk4", lambda t, y: -y, [1.0]).advance_to(1.0, 5e-324), r"^dt: expected at most 2\^53 steps"),
        (lambda: mflow.Stepper("adam", grad=lambda c: c, y0=[1.0], lr=1e-300).advance_to(1e9), r"^lr: expected at most 2\^53 steps"),
        (lambda: mflow.gradient_flow(lambda c: c, [1.0], 1e300, "adam", dt=1e-9), r"^lr: expected at most 2\^53 steps"),
        (lambda: mflow.Stepper("rk4", lambda t, y: -y, [1.0]).advance_to(1.0, -0.1), "^dt: expected steps that lead from t = 0 to 1"),
        (lambda: mflow.nonlinear.Newton(full=np.array([])), "^full: expected True or False"),
        (lambda: mflow.nonlinear.Newton(full="x"), "^full: expected True or False"),  # type: ignore[arg-type]
    ],
)
def test_numbers_at_the_edge(call: Any, words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        call()


def test_a_longest_step_beyond_all_floats() -> None:
    """A whole number that float() does not hold is infinite, which the longest step of a search may be."""
    found = [mflow.minimize(cost, np.ones(3), args=(X,), jac=True, line_search={"max_step": most}) for most in (10**400, np.inf)]
    assert found[0].success
    assert found[0].x.tobytes() == found[1].x.tobytes()
