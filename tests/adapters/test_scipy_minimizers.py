"""Methods as custom methods of `scipy.optimize.minimize`."""

from __future__ import annotations

import doctest
from typing import Any

import numpy as np
import pytest
import scipy.optimize

import mflow
import mflow.scipy
from mflow.adapters.scipy_minimizers import MINIMIZERS

Array = np.ndarray
UPDATES = [m for m in mflow.methods() if m.kind == "update"]


def bowl(x: Array) -> tuple[float, Array]:
    return float(np.sum((x - 3.0) ** 2)), 2.0 * (x - 3.0)


@pytest.mark.parametrize("method", UPDATES, ids=lambda m: m.name)
def test_every_optimizer_is_a_method_of_scipy(method: Any) -> None:
    """The same bits as `mflow.minimize`, in SciPy's result."""
    ours = mflow.minimize(bowl, [0.0, 1.0], jac=True, method=method.name, lr=0.05, maxiter=50)
    for name in (method.name, *method.aliases):
        function = getattr(mflow.scipy, f"minimize_{name}")
        r = scipy.optimize.minimize(bowl, [0.0, 1.0], jac=True, method=function, options={"lr": 0.05, "maxiter": 50})
        assert type(r) is scipy.optimize.OptimizeResult
        assert r.x.tobytes() == ours.x.tobytes()
        assert (r.nit, r.reason, r.status, r.success) == (ours.nit, ours.reason, ours.status, ours.success)
        assert r.jac.tobytes() == ours.jac.tobytes()


def test_names_cover_the_methods() -> None:
    known = [m for m in mflow.methods() if m.kind in ("direction", "update", "step")]
    assert set(MINIMIZERS) == {f"minimize_{name}" for m in known for name in (m.name, *m.aliases)}
    assert set(MINIMIZERS) <= set(dir(mflow.scipy))
    with pytest.raises(AttributeError, match="did you mean 'minimize_adam'"):
        _ = mflow.scipy.minimize_adamm


def test_arguments_are_honoured() -> None:
    seen: list[Any] = []

    def cost(x: Array, a: float, b: float) -> float:
        return float(a * np.sum((x - b) ** 2))

    def grad(x: Array, a: float, b: float) -> Array:
        return 2 * a * (x - b)

    def watch(intermediate_result: Any) -> None:
        seen.append((intermediate_result.fun, intermediate_result.x.copy()))

    how: dict[str, Any] = {"args": (2.0, 5.0), "jac": grad, "method": mflow.scipy.minimize_momentum, "options": {"lr": 0.02}}
    r = scipy.optimize.minimize(cost, [0.0, 1.0], tol=1e-9, callback=watch, **how)
    assert r.success
    assert np.max(np.abs(grad(r.x, 2.0, 5.0))) <= 1e-9
    assert len(seen) == r.nit
    assert seen[-1][1].tobytes() == r.x.tobytes()
    loose = scipy.optimize.minimize(cost, [0.0, 1.0], tol=1e-2, **how)
    assert loose.nit < r.nit
    points: list[Array] = []
    scipy.optimize.minimize(cost, [0.0, 1.0], callback=points.append, **how)
    assert points[0].shape == (2,)

    def stop(xk: Array) -> None:
        raise StopIteration

    assert scipy.optimize.minimize(cost, [0.0, 1.0], callback=stop, **how).nit == 1
    free = scipy.optimize.minimize(cost, [0.0, 1.0], **{**how, "jac": None})
    np.testing.assert_allclose(free.x, 5.0, atol=1e-4)


def test_line_search_and_flow_through_scipy(capsys: pytest.CaptureFixture[str]) -> None:
    rosen, der = scipy.optimize.rosen, scipy.optimize.rosen_der
    options = {"line_search": "strong_wolfe", "maxiter": 5000, "gtol": 1e-6, "disp": True}
    r = scipy.optimize.minimize(rosen, [-1.2, 1.0], jac=der, method=mflow.scipy.minimize_adam, options=options)
    np.testing.assert_allclose(r.x, 1.0, atol=1e-5)
    assert "adam: the largest entry of the gradient" in capsys.readouterr().out
    flow = mflow.scipy.minimize_backward_euler
    r = scipy.optimize.minimize(bowl, [0.0, 1.0], jac=True, hess=lambda x: 2 * np.eye(2), method=flow, options={"dt": 10.0})
    np.testing.assert_allclose(r.x, 3.0, atol=1e-4)


def test_basinhopping_hands_it_on() -> None:
    """basinhopping hands the method on to its inner minimizer."""
    how = {"method": mflow.scipy.minimize_nadam, "jac": True, "options": {"lr": 0.1, "gtol": 1e-6}}
    r = scipy.optimize.basinhopping(bowl, [10.0, -10.0], niter=2, minimizer_kwargs=how)
    np.testing.assert_allclose(r.x, 3.0, atol=1e-5)


def test_what_cannot_be_honoured_is_refused() -> None:
    adam = mflow.scipy.minimize_adam
    for name, value in (
        ("constraints", {"type": "eq", "fun": lambda x: x[0]}),
        ("hessp", lambda x, p: 2 * p),
    ):
        with pytest.raises(ValueError, match=f"^{name}: adam"):
            scipy.optimize.minimize(bowl, [0.0, 1.0], jac=True, method=adam, **{name: value})
    for bounds in ([(0, None), (None, None)], scipy.optimize.Bounds([0, 0], [1, 1])):
        with pytest.raises(ValueError, match=r"^bounds: bfgs minimises without any"):
            scipy.optimize.minimize(bowl, [0.0, 1.0], jac=True, method=mflow.scipy.minimize_bfgs, bounds=bounds)
        for method, options in ((mflow.scipy.minimize_lbfgs, {}), (adam, {"lr": 0.1})):
            held = scipy.optimize.minimize(bowl, [0.0, 1.0], jac=True, method=method, bounds=bounds, options=options)
            assert held.success
            assert np.all(held.x >= [0.0, -np.inf])
    free = [(None, None), (-np.inf, np.inf)]
    assert scipy.optimize.minimize(bowl, [0.0, 1.0], jac=True, method=adam, bounds=free, options={"lr": 0.1}).success
    with pytest.warns(RuntimeWarning, match="does not use Hessian"):
        adam(bowl, [0.0, 1.0], jac=True, hess=lambda x: np.eye(2), lr=0.1)
    with pytest.raises(TypeError, match="did you mean 'lr'"):
        scipy.optimize.minimize(bowl, [0.0, 1.0], jac=True, method=adam, options={"lrr": 0.1})


@pytest.mark.parametrize("name", [f"minimize_{m.name}" for m in UPDATES])
def test_examples_of_the_docstrings_run(name: str) -> None:
    function = MINIMIZERS[name]
    (test,) = doctest.DocTestFinder(recurse=False).find(function, name, globs={})
    out: list[str] = []
    doctest.DocTestRunner(verbose=False).run(test, out=out.append)
    assert not out, "".join(out)
