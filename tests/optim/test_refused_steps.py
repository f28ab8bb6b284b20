"""Steps that would leave a number that is not finite though the gradient is: they are not taken, and the error says why."""

from __future__ import annotations

import copy
import math
import pickle
from concurrent import futures
from typing import Any

import numpy as np
import pytest

import mflow
from mflow import optim
from support.problems import Array

SQUARES = [("Adam", {}), ("Adam", {"amsgrad": True}), ("AdamW", {}), ("NAdam", {}), ("RMSprop", {}), ("RMSprop", {"centered": True}),
           ("Adagrad", {}), ("Adadelta", {})]  # fmt: skip
BEHIND = [("SGD", {}), ("Momentum", {}), ("Nesterov", {}), ("ConsistentMomentum", {}), ("Adamax", {})]
DIVIDE = ["Adam", "AdamW", "NAdam", "Adamax", "RMSprop", "Adagrad"]


def state_of(opt: Any, c: Array) -> bytes:
    return pickle.dumps((opt.state_dict(), c))


@pytest.mark.parametrize("n", [3, 20_000])
@pytest.mark.parametrize(("name", "options"), SQUARES)
def test_a_square_that_overflows_is_said_when_it_happens(name: str, options: dict[str, Any], n: int) -> None:
    c, calm = np.ones(n), np.full(n, 0.5)
    opt = getattr(optim, name)(c, **options)
    opt.step(calm)
    before, wild = state_of(opt, c), calm.copy()
    wild[1] = -1e160
    with pytest.raises(FloatingPointError, match=r"g\[1\] = -1e\+160 at step 1: nothing was changed.*(would overflow|not finite)"):
        opt.step(wild)
    assert state_of(opt, c) == before
    opt.step(calm)
    assert np.all(c < 1.0)
    copy.deepcopy(opt)  # what it is made of can be read


@pytest.mark.parametrize(("name", "options"), BEHIND)
def test_methods_without_squares_take_the_gradient(name: str, options: dict[str, Any]) -> None:
    c = np.ones(3)
    getattr(optim, name)(c, lr=1e-3, **options).step(np.array([1.0, 1e160, 1.0]))
    assert np.all(np.isfinite(c))
    assert c[1] != 1.0


@pytest.mark.parametrize("how", [{"clip_value": 1.0}, {"clip_norm": 1.0}])
@pytest.mark.parametrize(("name", "options"), SQUARES)
def test_a_clipped_gradient_does_no_harm(name: str, options: dict[str, Any], how: dict[str, float]) -> None:
    c = np.ones(3)
    opt = getattr(optim, name)(c, **options, **how)
    opt.step(np.array([1.0, 1e160, 1.0]))
    assert np.all(np.isfinite(c))
    assert c[1] < 1.0


def test_late_in_a_large_array_the_error_says_what_was_left_out() -> None:
    c, g = np.ones(40_000), np.ones(40_000)
    g[39_999] = 1e200
    opt = optim.Adam(c)
    with pytest.raises(FloatingPointError, match=r"g\[39999\] = 1e\+200 at step 0: all took this step but .* g.flat\[39936\]"):
        opt.step(g)
    assert np.all(c[:39_936] < 1.0)
    assert np.all(c[39_936:] == 1.0)
    assert np.all(np.isfinite(opt.state_dict()["vectors"][0]["v"]))


def test_sums_of_squares_that_overflow_later() -> None:
    """Adagrad: each square is a number, their sum is none."""
    c, g = np.ones(2), np.array([1.0, 1.2e154])
    opt = optim.Adagrad(c)
    opt.step(g)
    with pytest.raises(FloatingPointError, match="s of adagrad would overflow"):
        opt.step(g)


@pytest.mark.parametrize("n", [3, 20_000])
@pytest.mark.parametrize("name", DIVIDE)
def test_no_eps_and_no_gradient(name: str, n: int) -> None:
    c, g = np.ones(n), np.ones(n)
    g[2] = 0.0
    opt = getattr(optim, name)(c, eps=0.0)
    before = state_of(opt, c)
    with pytest.raises(FloatingPointError, match=r"g\[2\] = 0.0 at step 0: nothing was changed.*eps = 0"):
        opt.step(g)
    assert state_of(opt, c) == before
    g[2] = 1.0
    opt.step(g)
    g[2] = 0.0
    if name != "Adamax":  # its largest gradient fades to 0, which is another matter
        opt.step(g)
    assert np.all(np.isfinite(c))
    g[:] = 1e-200  # the square is 0
    fresh = np.ones(n)
    if name not in ("Adamax",):
        with pytest.raises(FloatingPointError, match="eps = 0"):
            getattr(optim, name)(fresh, eps=0.0).step(g)
        assert np.all(fresh == 1.0)


def test_adadelta_needs_its_eps() -> None:
    with pytest.raises(ValueError, match="eps"):
        optim.Adadelta(np.ones(2), eps=0.0)


def test_groups_are_whole() -> None:
    """The second group cannot step: the first is as it was, its schedule's powers among it."""
    a, b = np.ones(2), np.ones(2)
    opt = optim.Adam([{"params": a, "lr": 0.1}, {"params": b, "eps": 0.0}])
    opt.step([np.ones(2), np.ones(2)])
    before = pickle.dumps((opt.state_dict(), a, b))
    with pytest.raises(FloatingPointError, match=r"g\[1\]\[0\] = 1e\+160"):
        opt.step([np.ones(2), np.array([1e160, 1.0])])
    assert pickle.dumps((opt.state_dict(), a, b)) == before


def test_the_norm_of_finite_gradients_may_overflow() -> None:
    """Norm 2e308: the gradient is scaled by what it is, and training goes on."""
    c, g = np.zeros(4), np.full(4, 1e308)
    optim.SGD(c, lr=1.0, clip_norm=2.0).step(g)
    np.testing.assert_allclose(c, -1.0, rtol=1e-12)
    f = mflow.objectives.Quadratic(np.diag(np.full(4, 1e154)), np.zeros(4))
    start = np.full(4, 1e154)
    runs = [
        mflow.train(fun, start, None, "sgd", epochs=2, lr=1e150, clip_norm=2.0, jac=jac)
        for fun, jac in ((lambda x: (1.0, 1e154 * x), True), (f, None))
    ]
    np.testing.assert_allclose(runs[0].last_params, start - 2e150, rtol=1e-15)
    for run in runs:
        assert run.reason in ("finished", "non_finite")
    assert "gradient is not finite" not in runs[0].message


@pytest.mark.parametrize("norm", [0.3, 0.9999999, 1.0, 1e-7])
def test_gradients_at_or_below_the_limit_are_left_alone(norm: float) -> None:
    limit = max(norm, 1e-6) if norm < 0.1 else 1.0
    g, c, plain = np.array([0.6, 0.8]) * norm, np.zeros(2), np.zeros(2)
    limit = float(max(limit, optim.SGD(plain).gradient_norm(g)))
    optim.SGD(c, lr=1.0, clip_norm=limit).step(g)
    optim.SGD(plain, lr=1.0).step(g)
    assert c.tobytes() == plain.tobytes()


def test_gradients_above_the_limit_have_torchs_factor() -> None:
    torch = pytest.importorskip("torch")
    g, c = np.array([3.0, 4.0]), np.zeros(2)
    p = torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))
    p.grad = torch.tensor(g)
    torch.nn.utils.clip_grad_norm_([p], 0.5)
    optim.SGD(c, lr=1.0, clip_norm=0.5).step(g)
    np.testing.assert_allclose(-c, p.grad.numpy(), rtol=1e-15)


# ---- training and minimising -----------------------------------------------------------------------------------------------------------


def steep(x: Array) -> tuple[float, Array]:
    """A gradient of 1e160 in the first direction once x1 is below 0.9."""
    wild = x[1] < 0.9
    return float(x[1] ** 2), np.array([1e160 if wild else 0.0, 2.0 * x[1]])


@pytest.mark.parametrize(("name", "options"), SQUARES[:6])
def test_training_says_it_and_its_checkpoint_loads(name: str, options: dict[str, Any], tmp_path: Any) -> None:
    path = tmp_path / "run"
    how = {"jac": True, "lr": 0.03, "checkpoint": path, **options}
    run = mflow.train(steep, np.ones(2), None, getattr(optim, name), epochs=60, **how)
    assert (run.reason, run.success) == ("non_finite", False)
    assert "1e+160" in run.message
    assert "overflow" in run.message or "not finite" in run.message
    assert 0 < run.nit < 60
    again = mflow.train(steep, np.ones(2), None, getattr(optim, name), epochs=60, resume=path, **how)
    assert again.last_params.tobytes() == run.last_params.tobytes()
    assert again.message == run.message


def test_compiled_training_ends_alike() -> None:
    f = mflow.objectives.Quadratic(np.diag([1e160, 1.0]), np.zeros(2))
    run = mflow.train(f, np.ones(2), None, "adam", epochs=5)
    python = mflow.train(f.value_and_grad, np.ones(2), None, "adam", epochs=5, jac=True)
    assert (run.reason, run.nit, run.message) == (python.reason, python.nit, python.message)
    assert "v of adam would overflow" in run.message
    f = mflow.objectives.Quadratic(np.diag([0.0, 1.0]), np.zeros(2))
    run = mflow.train(f, np.ones(2), None, "adam", epochs=5, eps=0.0)
    assert run.reason == "non_finite"
    assert "eps = 0" in run.message
    assert run.last_params.tolist() == [1.0, 1.0]


def test_minimize_and_its_batch_say_it() -> None:
    f = mflow.objectives.Quadratic(np.diag([1e160, 1.0]), np.zeros(2))
    one = mflow.minimize(f, np.ones(2), method="adam")
    assert (one.reason, one.nit) == ("non_finite", 0)
    assert "overflowed in adam" in one.message
    batch = mflow.minimize_batch(f, np.ones((3, 2)), "adam")
    assert (batch.reason, batch.nit.tolist()) == (["non_finite"] * 3, [0] * 3)
    assert batch[1].message == one.message
    assert batch.overflowed.tolist() == [True] * 3
    none = mflow.minimize(lambda x: (float(x[0] ** 2), 2 * x * [1.0, 0.0]), np.ones(2), jac=True, method="adam", eps=0.0)
    assert none.reason == "non_finite"
    assert "eps = 0" in none.message
    assert np.all(np.isfinite(none.x))
    fine = mflow.minimize(f, np.ones(2), method="adamax", maxiter=3)
    assert fine.reason == "max_iter"


@pytest.mark.parametrize("first", [1e200, 1e-3])
def test_a_batch_ends_as_minimize_where_squares_overflow(first: float) -> None:
    """The gradient is 1e200 at once, or grows to it, which is no divergence: the step there is what fails."""
    f = mflow.objectives.Quadratic(np.diag([1e200, 1.0]), np.zeros(2))
    start = np.array([first / 1e200, 2.0])
    starts = np.array([start, [0.0, 1.0], start])
    for method, options in (("adam", {"lr": 1.0}), ("rmsprop", {"lr": 1.0}), ("momentum", {"lr": 1e-3})):
        one = mflow.minimize(f, start, method=method, maxiter=20, check_gradient=False, **options)
        batch = mflow.minimize_batch(f, starts, method, maxiter=20, **options)
        assert (one.reason, one.nit, one.nfev) == (batch.reason[0], batch.nit[0], batch.nfev[0])
        assert one.x.tobytes() == batch.x[0].tobytes() == batch.x[2].tobytes()
        assert ("overflowed in" in one.message) == batch.overflowed[0] == (method != "momentum")
        assert batch.overflowed[1] == (batch[1].message.startswith("the square of the gradient"))
        if batch.overflowed[0]:
            assert batch[0].message == one.message
    with futures.ThreadPoolExecutor(1) as executor:
        again = mflow.minimize_batch(f, starts, "adam", maxiter=20, lr=1.0, executor=executor)
    assert again.overflowed.tolist() == [True, False, True]


def test_copies_of_a_step_are_kept_with_the_optimizer() -> None:
    """Steps at eps = 0 reuse their room, a refused one leaves nothing behind in it."""
    groups = [np.ones(5), np.ones(3)]
    opt = optim.Adam([{"params": groups[0]}, {"params": groups[1], "eps": 0.0}])
    plain = [np.ones(5), np.ones(3)]
    other = optim.Adam([{"params": plain[0]}, {"params": plain[1], "eps": 0.0}], check_finite=False)
    rng = np.random.default_rng(0)
    for k in range(6):
        g = [rng.normal(size=5), rng.normal(size=3)]
        if k % 2:
            with pytest.raises(FloatingPointError, match="nothing was changed"):
                opt.step([g[0] * 1e170, g[1]])
        opt.step(g)
        other.step(g)
    assert [c.tobytes() for c in groups] == [c.tobytes() for c in plain]


def test_infinite_vectors_of_an_older_state_load_and_are_named() -> None:
    opt = optim.Adam(np.ones(3))
    state = copy.deepcopy(opt.state_dict())
    state["vectors"][0]["v"][1] = math.inf
    with pytest.warns(RuntimeWarning, match="v of array 0 is inf in entry 1"):
        opt.load_state_dict(state)
    assert opt.state_dict()["vectors"][0]["v"][1] == math.inf
