"""An argument of another library's, or a misspelt one, is answered by functions, optimizers and schedules, whatever their signature."""

import importlib
import inspect

import numpy as np
import pytest

import mflow
from mflow.base.telling import knows_other_words

FACES = ("mflow", "mflow.data", "mflow.optim", "mflow.schedules", "mflow.nonlinear", "mflow.plot")
X = np.zeros((4, 2))
WORDS = {
    "least_squares": (lambda **k: mflow.least_squares(lambda b: b, [0.0], **k), "max_iter", "here it is max_nfev="),
    "least_squares_batch": (lambda **k: mflow.least_squares_batch(None, X, **k), "maxfev", "here it is max_nfev="),
    "compile_fit": (lambda **k: mflow.compile_fit(None, 3, 2, **k), "maxiter", "here it is max_nfev="),
    "compile": (lambda **k: mflow.compile(None, **k), "jacobian", "here it is jac="),
    "line_search": (lambda **k: mflow.line_search(None, X, X, **k), "fprime", "here it is jac="),
    "explain": (lambda **k: mflow.explain(None, X, **k), "gradient", "here it is jac="),
    "posedness": (lambda **k: mflow.posedness(None, 0.0, X, **k), "jacobian", "here it is jac="),
    "modes": (lambda **k: mflow.modes(X, X, **k), "directions", "did you mean 'direction'"),
    "minibatches": (lambda **k: mflow.minibatches(X, batch_size=2, **k), "random_state", "here it is seed="),
    "Newton": (mflow.Newton, "maxiter", "did you mean 'max_iter'"),
    "StepLR": (lambda **k: mflow.schedules.StepLR(step_size=2, **k), "learning_rate", "here it is lr="),
    "optim.EMA": (lambda **k: mflow.optim.EMA(None, **k), "ema", "has no argument 'ema'; there are: params, decay, start"),
    "solve_ivp": (lambda **k: mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0], **k), "t_bound", "here it is t_span="),
    "gradient_flow": (lambda **k: mflow.gradient_flow(lambda c: c, [1.0], 1.0, dt=0.1, **k), "t1", "here it is t_end="),
    "minimize": (lambda **k: mflow.minimize(lambda x: x @ x, [1.0], **k), "max_iterations", "here it is maxiter="),
}


@pytest.mark.parametrize("name", WORDS)
def test_a_word_from_elsewhere_leads_to_ours(name):
    call, word, answer = WORDS[name]
    with pytest.raises(TypeError) as caught:
        call(**{word: 3})
    assert str(caught.value).startswith((f"{word}: ", f"{name} has no argument {word!r}"))
    assert answer in str(caught.value)


def public():
    """Every public function with more than one argument, and the classes of optimizers and schedules."""
    for face in FACES:
        module = importlib.import_module(face)
        for name in module.__all__:
            item = getattr(module, name)
            if not getattr(item, "__module__", "").startswith("mflow."):
                continue
            if inspect.isroutine(item) or (face in ("mflow.optim", "mflow.schedules") and item is not mflow.schedules.Schedule):
                needed = [one for one in inspect.signature(item).parameters.values() if one.kind is not one.VAR_POSITIONAL]
                if len(needed) > 1:
                    yield pytest.param(item, needed, id=f"{face}.{name}")


@pytest.mark.parametrize(("item", "parameters"), [*public()])
def test_no_public_name_answers_as_python_does(item, parameters):
    given = [None for one in parameters if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD]
    with pytest.raises(TypeError) as caught:
        item(*given, no_such_argument=3)
    assert "unexpected keyword" not in str(caught.value)


def test_what_asks_for_nothing_is_taken_and_errors_from_inside_are_left_alone():
    @knows_other_words
    def search(fun, maxiter=10):
        return fun(maxiter)

    assert search(abs, maxiter=-3, n_jobs=1) == 3
    with pytest.raises(TypeError, match=r"^abs\(\) takes exactly one argument"):
        search(lambda n: abs(n, n), maxiter=3)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'fun'"):
        search(maxiter=3)
    assert inspect.signature(mflow.least_squares).parameters["max_nfev"].default is None
