"""jac= by automatic differentiation in other libraries, where they are installed, and by complex steps."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mflow
from mflow.optimize import linesearch

A = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, 0.25], [0.0, 0.25, 3.0]])
T = np.linspace(0.0, 4.0, 25)
Y = 2.5 * np.exp(-1.3 * T) + 0.5 + 0.02 * np.cos(40 * T)
X = np.stack([T, np.ones_like(T)], axis=1)


def library(name: str) -> Any:
    """The functions sin, exp and sum of a library, on its arrays."""
    if name == "cs":
        return np
    if name == "torch":
        return pytest.importorskip("torch")
    if name == "autograd":
        return pytest.importorskip("autograd.numpy")
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    return pytest.importorskip("jax.numpy")


NAMES = ("cs", "torch", "autograd", "jax")


def cost_in(np_: Any, name: str) -> Any:
    H = np_.as_tensor(A) if name == "torch" else A
    return lambda x: 0.5 * x @ (H @ x) + np_.exp(np_.sin(x[0] * x[1])) - x[2]


def gradient(x: Any) -> Any:
    inner = np.exp(np.sin(x[0] * x[1])) * np.cos(x[0] * x[1])
    return A @ x + np.array([inner * x[1], inner * x[0], -1.0])


@pytest.mark.parametrize("name", NAMES)
def test_minimize_by_a_gradient_from_elsewhere(name: str) -> None:
    by_hand = mflow.minimize(cost_in(np, "cs"), [0.5, -1.0, 2.0], jac=gradient, gtol=1e-10)
    out = mflow.minimize(cost_in(library(name), name), [0.5, -1.0, 2.0], jac=name, gtol=1e-10)
    assert out.success
    np.testing.assert_allclose(out.x, by_hand.x, rtol=0, atol=1e-12)
    steps = 3 * out.njev if name == "cs" else 0  # each is an evaluation of the cost
    assert (out.nfev, out.njev) == (by_hand.nfev + steps, by_hand.njev)
    np.testing.assert_allclose(gradient(out.x), out.jac, rtol=0, atol=1e-13)


@pytest.mark.parametrize("how", [{}, {"method": "trust_ncg"}, {"method": "adam", "lr": 0.1, "maxiter": 30}, {"method": "rk4", "dt": 0.1}])
def test_complex_steps_count_as_evaluations(how: Any, tmp_path: Path) -> None:
    calls = [0]

    def cost(x: Any) -> Any:
        calls[0] += 1
        return np.sum((x - np.arange(3.0)) ** 2) + np.cos(x[0])

    options = {"jac": "cs", "check_gradient": False, **how}
    out = mflow.minimize(cost, np.ones(3), **options)
    assert out.nfev + out.ncheck == calls[0] > 3 * out.njev
    mflow.minimize(cost, np.ones(3), **{**options, "maxiter": 2}, checkpoint=tmp_path / "run")
    again = mflow.minimize(cost, np.ones(3), **options, resume=tmp_path / "run")
    assert again.x.tobytes() == out.x.tobytes()
    assert 0 <= again.nfev - out.nfev <= 3  # some evaluate the gradient once more where they go on


@pytest.mark.parametrize("name", NAMES)
def test_check_gradient_of_one_from_elsewhere(name: str) -> None:
    assert mflow.check_gradient(cost_in(library(name), name), [0.5, -1.0, 2.0], name)


@pytest.mark.parametrize("name", NAMES)
def test_check_jacobian_of_one_from_elsewhere(name: str) -> None:
    np_ = library(name)
    t = np_.as_tensor(T) if name == "torch" else T
    assert mflow.check_jacobian(lambda b: b[0] * np_.exp(-b[1] * t), [2.0, 1.3], name)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_of_any_shape(name: str) -> None:
    np_ = library(name)
    out = mflow.minimize(lambda x: np_.sum((x - 1.0) ** 2), np.zeros((2, 3)), jac=name)
    np.testing.assert_allclose(out.x, np.ones((2, 3)), rtol=1e-6)
    assert out.jac.shape == (2, 3)


@pytest.mark.parametrize("name", NAMES)
def test_fits_by_a_jacobian_from_elsewhere(name: str) -> None:
    np_ = library(name)
    t, y = (np_.as_tensor(T), np_.as_tensor(Y)) if name == "torch" else (T, Y)
    exact = mflow.least_squares(
        lambda b: b[0] * np.exp(-b[1] * T) + b[2] - Y,
        [1.0, 1.0, 0.0],
        jac=lambda b: np.stack([np.exp(-b[1] * T), -b[0] * T * np.exp(-b[1] * T), np.ones_like(T)], axis=1),
    )
    out = mflow.least_squares(lambda b: b[0] * np_.exp(-b[1] * t) + b[2] - y, [1.0, 1.0, 0.0], jac=name)
    np.testing.assert_allclose(out.x, exact.x, rtol=1e-10)
    assert (out.nfev, out.njev) == (exact.nfev, exact.njev)
    np.testing.assert_allclose(out.jac, exact.jac, rtol=1e-10, atol=1e-14)
    named = mflow.least_squares(lambda b, t, y: b[0] * np_.exp(-b[1] * t) + b[2] - y, [1.0, 1.0, 0.0], jac=name, args=(t,), kwargs={"y": y})
    np.testing.assert_array_equal(named.x, out.x)
    fit = mflow.curve_fit(lambda x, a, k, c: a * np_.exp(-k * x) + c, T, Y, jac=name)
    plain = mflow.curve_fit(lambda x, a, k, c: a * np.exp(-k * x) + c, T, Y)
    np.testing.assert_allclose(fit[0], plain[0], rtol=1e-6)
    np.testing.assert_allclose(fit[1], plain[1], rtol=1e-4)
    assert fit.names == ("a", "k", "c")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs", "implicit_sgd"])
def test_training_by_a_gradient_from_elsewhere(name: str, optimizer: str) -> None:
    np_, X = library(name), np.stack([T, np.ones_like(T)], axis=1)

    def residuals(c: Any, X: Any, y: Any) -> Any:
        return X @ c - y

    def loss(c: Any, X: Any, y: Any) -> Any:
        return 0.5 * np_.sum(residuals(c, X, y) ** 2) / len(y)

    many = optimizer == "implicit_sgd"
    size = len(T) if optimizer == "lbfgs" else 8
    how: dict[str, Any] = {"data": (X, Y), "optimizer": optimizer, "epochs": 3, "seed": 0, "batch_size": size}
    by_hand: Any = (lambda c, X, y: X) if many else (lambda c, X, y: X.T @ (X @ c - y) / len(y))
    exact = mflow.train(residuals if many else loss_by_hand, np.zeros(2), jac=by_hand, **how)
    out = mflow.train(residuals if many else loss, np.zeros(2), jac=name, **how)
    np.testing.assert_allclose(out.params, exact.params, rtol=1e-10)


def loss_by_hand(c: Any, X: Any, y: Any) -> float:
    return 0.5 * float(np.sum((X @ c - y) ** 2)) / len(y)


@pytest.mark.parametrize("name", NAMES)
def test_a_line_search_and_a_rate_by_a_gradient_from_elsewhere(name: str) -> None:
    np_ = library(name)
    x = np.array([0.5, -1.0, 2.0])
    by_hand = mflow.line_search(cost_in(np, "cs"), x, -gradient(x), "strong_wolfe", gradient)
    out = mflow.line_search(cost_in(np_, name), x, -gradient(x), "strong_wolfe", name)
    assert out.success
    assert out.alpha == pytest.approx(by_hand.alpha, rel=1e-12)
    assert (out.nfev, out.njev) == (by_hand.nfev, by_hand.njev)
    assert linesearch.exact(cost_in(np_, name), x, -gradient(x), name).success
    rows = (np.stack([T, np.ones_like(T)], axis=1), Y)

    def loss(c: Any, X: Any, y: Any) -> Any:
        return 0.5 * np_.sum((X @ c - y) ** 2) / len(y)

    found = mflow.lr_find(loss, np.zeros(2), rows, jac=name, steps=30)
    exact = mflow.lr_find(loss_by_hand, np.zeros(2), rows, jac=lambda c, X, y: X.T @ (X @ c - y) / len(y), steps=30)
    np.testing.assert_allclose(found.loss, exact.loss, rtol=1e-9)
    swept = mflow.sweep(mflow.Training(loss, np.zeros(2), rows, jac=name, epochs=2), ["sgd"], [0.01])
    assert np.all(np.isfinite(swept.loss))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mflow.check_jacobian(lambda x: x**2, [1.0], "numpy"), '^jac: expected the Jacobian to check, .* or "cs", got .numpy.'),
        (lambda: mflow.check_jacobian(lambda x: x**2, [1.0], "2-point"), '^jac: expected the Jacobian to check, .* or "cs", got .2-point.'),
        (lambda: mflow.check_jacobian(lambda t, x: x**2, [1.0], "cs", t=0.0), "^jac: expected the Jacobian beside t, .*without t"),
        (lambda: mflow.check_gradient(lambda x: x @ x, [1.0], "numpy"), '^jac: expected the gradient to check, .* or "cs", got .numpy.'),
        (lambda: mflow.line_search(lambda x: x @ x, [1.0], [-1.0], jac="numpy"), '^jac: expected .* or "cs", got .numpy.'),
        (lambda: mflow.least_squares(lambda x: x**2, [1.0], jac="numpy"), '^jac: expected a function, "2-point", .* or "cs", got .numpy.'),
        (lambda: mflow.train(lambda c: c @ c, np.ones(2), jac="numpy"), '^jac: expected True .* or "cs" .*, got .numpy.'),
        (lambda: mflow.train(lambda c: c, np.ones(2), optimizer="implicit_sgd", jac="numpy"), '^jac: expected .* or "cs", got .numpy.'),
    ],
)
def test_unknown_names_are_answered_with_the_known(call: Any, words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        call()


def test_training_of_several_arrays_needs_its_gradient() -> None:
    with pytest.raises(TypeError, match=r"^jac: expected params to be one array beside 'cs', got a dict; put them into one array"):
        mflow.train(lambda c: c["a"] @ c["a"], {"a": np.ones(2)}, jac="cs")


def test_complex_steps_are_right_to_the_last_digits() -> None:
    from mflow.derivatives.elsewhere import gradient_of

    x = np.array([1.5, -0.25])
    got = gradient_of(lambda z: np.exp(z[0]) / np.sqrt(np.sin(z[0]) ** 3 + np.cos(z[1]) ** 3), "cs")(x)
    s, c = np.sin(x[0]) ** 3, np.cos(x[1]) ** 3
    root = np.sqrt(s + c)
    want = [
        np.exp(x[0]) * (1 / root - 1.5 * np.sin(x[0]) ** 2 * np.cos(x[0]) / root**3),
        np.exp(x[0]) * 1.5 * np.cos(x[1]) ** 2 * np.sin(x[1]) / root**3,
    ]
    np.testing.assert_allclose(got, want, rtol=4e-15)


def filled(x: Any) -> Any:
    out = np.zeros(2)
    out[:] = x
    return out @ out


@pytest.mark.parametrize("fun", [lambda x: np.abs(x[0]) + 1.0, filled, lambda x: float(np.sum(x.real**2))])
def test_complex_steps_through_functions_that_lose_them(fun: Any) -> None:
    with pytest.raises(TypeError, match=r'^jac="cs": expected fun to return a number with an imaginary part'):
        mflow.minimize(fun, [0.5, 1.0], jac="cs")


@pytest.mark.parametrize("form", ["float32 tensors", "float32 arrays", "read-only", "strides", "byte order", "by name"])
def test_torch_computes_with_arguments_in_float64(torch: Any, form: str) -> None:
    """x is of float64, and torch multiplies no matrices of two types: it raised of "Double, Float, and Double", or of NumPy's arrays."""
    X32, y32 = X.astype(np.float32), Y.astype(np.float32)
    best = np.linalg.lstsq(X32.astype(float), y32.astype(float), rcond=None)[0]
    args: Any = (X32, y32)
    if form == "float32 tensors":
        args = (torch.as_tensor(X32), torch.as_tensor(y32))
    elif form == "read-only":
        args = tuple(one.view() for one in args)
        for one in args:
            one.flags.writeable = False
    elif form == "strides":
        args = (X32[::-1], y32[::-1])
    elif form == "byte order":
        args = (X32.astype(">f4"), y32.astype(">f4"))

    def residuals(c: Any, X: Any, y: Any) -> Any:
        assert X.dtype == y.dtype == torch.float64
        return X @ c - y

    def cost(c: Any, X: Any, y: Any) -> Any:
        return (residuals(c, X, y) ** 2).sum()

    if form == "by name":
        out = mflow.least_squares(residuals, np.zeros(2), jac="torch", kwargs={"X": X32, "y": y32})
    else:
        out = mflow.least_squares(residuals, np.zeros(2, np.float32), jac="torch", args=args)
        found = mflow.minimize(cost, np.zeros(2, np.float32), jac="torch", args=args, gtol=1e-9)
        assert found.success
        np.testing.assert_allclose(found.x, best, rtol=1e-8)
    np.testing.assert_allclose(out.x, best, rtol=1e-10)


def test_a_model_of_float32_in_torch_is_told_the_line_to_write(torch: Any) -> None:
    model = torch.nn.Linear(2, 1).float()  # whatever the default type of this process is
    with pytest.raises(TypeError, match=r'^jac="torch": expected fun to compute in float64.*model\.double\(\)'):
        mflow.minimize(lambda x: (model(x) ** 2).sum(), [0.5, 1.0], jac="torch")
    model.double()
    assert mflow.minimize(lambda x: (model(x) ** 2).sum(), [0.5, 1.0], jac="torch").success


def test_a_model_of_x_in_float32_in_torch(torch: Any) -> None:
    fit = mflow.curve_fit(lambda x, a, k: a * torch.exp(-k * x), torch.as_tensor(T.astype(np.float32)), 2.0 * np.exp(-T), jac="torch")
    np.testing.assert_allclose(fit.popt, [2.0, 1.0], rtol=1e-6)


def test_what_torch_cannot_differentiate(torch: Any) -> None:
    for fun, words in (
        (lambda x: (x.detach().numpy() ** 2).sum(), "expected fun to return a tensor"),
        (lambda x: (x**2).sum().float(), "expected fun to return float64, got torch.float32"),
        (lambda x: (x.detach() ** 2).sum(), "depends on its argument"),
        (lambda x: np.sum(x**2), r"written in torch.* functions of NumPy .*; write torch.exp for np.exp"),
        (lambda x: x @ np.eye(2) @ x, r"written in torch.* functions of NumPy .*; write torch.exp for np.exp"),
        (lambda x: np.asarray(x) @ np.ones(2), "written in torch"),
    ):
        with pytest.raises(TypeError, match=rf'^jac="torch": .*{words}'):
            mflow.minimize(fun, [0.5, 1.0], jac="torch")


def test_what_jax_cannot_differentiate() -> None:
    np_ = library("jax")
    for fun, words in (
        (lambda x: np.sum(np.exp(x)), r"written in jax.* functions of NumPy .*; write jax.numpy.exp for np.exp"),
        (lambda x: np_.sum(x.astype(np_.float32) ** 2), "expected values in float64, got float32"),
    ):
        with pytest.raises(TypeError, match=rf'(?s)^jac="jax": .*{words}'):
            mflow.minimize(fun, [0.5, 1.0], jac="jax")
    with pytest.raises(TypeError, match=r"^JAX arrays are immutable"):  # its own words
        mflow.minimize(filled_first, [0.5, 1.0], jac="jax")


def filled_first(x: Any) -> Any:
    x[0] = 1.0
    return x @ x


def test_a_cost_is_given_an_array_of_jax() -> None:
    np_ = library("jax")
    out = mflow.minimize(lambda x: np_.sum(x.at[0].multiply(2.0) ** 2), [0.5, 1.0], jac="jax", gtol=1e-10)
    np.testing.assert_allclose(out.x, 0.0, rtol=0, atol=1e-10)
    fit = mflow.curve_fit(lambda x, a, k: a * np_.exp(-k * x).at[0].multiply(1.0), T, 2.0 * np.exp(-T), jac="jax")
    np.testing.assert_allclose(fit[0], [2.0, 1.0], rtol=1e-8)


def test_autograd_in_float32_is_refused() -> None:
    np_ = library("autograd")
    with pytest.raises(TypeError, match=r'^jac="autograd": expected values in float64, got float32'):
        mflow.minimize(lambda x: np_.sum(x.astype(np.float32) ** 2), [0.5, 1.0], jac="autograd")


def test_what_a_cost_in_torch_raises_is_its_own(torch: Any) -> None:
    with pytest.raises(RuntimeError, match=r"^size mismatch|^inconsistent|^The size|^mat"):
        mflow.minimize(lambda x: (x @ torch.ones(3, dtype=torch.float64)).sum(), [0.5, 1.0], jac="torch")


def test_jax_in_float32_is_refused_with_the_line_to_write() -> None:
    jax = pytest.importorskip("jax")
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", False)
    try:
        with pytest.raises(ValueError, match=r'jax\.config\.update\("jax_enable_x64", True\)'):
            mflow.minimize(lambda x: x @ x, [1.0], jac="jax")
    finally:
        jax.config.update("jax_enable_x64", before)


def test_names_that_nobody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "autograd", None)
    with pytest.raises(ImportError, match=r'^jac="autograd" needs autograd'):
        mflow.minimize(lambda x: x @ x, [1.0], jac="autograd")
    with pytest.raises(TypeError, match=r"^jac: expected a cost in Python for 'cs', got Rosenbrock"):
        mflow.minimize(mflow.objectives.Rosenbrock(2), [1.0, 1.0], jac="cs")
    with pytest.raises(ValueError, match=r'^jac: expected a function, True, "2-point", "3-point", "jax", .* or "cs", got \'numpy\''):
        mflow.minimize(lambda x: x @ x, [1.0], jac="numpy")
    with pytest.raises(ValueError, match=r'^jac: expected .*"autograd"'):
        mflow.least_squares(lambda x: x, [1.0], jac="tensorflow")
