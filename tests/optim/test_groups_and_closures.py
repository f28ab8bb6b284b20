"""What users of torch do with an optimizer: groups added later, closures, options of its implementation, sparse gradients, means."""

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest

import mflow
from mflow import optim
from support.problems import Array, gradients, start_of

SparseGradient = optim.SparseGradient


def class_of(record: Any) -> Any:
    return getattr(optim, record.class_name)


# ---- groups -----------------------------------------------------------------------------------------------------------------------------


def test_a_group_that_is_added_counts_from_then_on(update_method: Any) -> None:
    """The first arrays go on as without it, the new ones as those of an optimizer of their own."""
    make, grads = class_of(update_method), gradients(9, 9)
    a, b, alone, late = start_of(5), start_of(4), start_of(5), start_of(4)
    opt, first, second = make(a, lr=0.25), make(alone, lr=0.25), make(late, lr=0.125)
    for k, g in enumerate(grads):
        if k == 4:
            opt.add_param_group({"params": b, "lr": 0.125})
        opt.step([g[:5].copy(), g[5:].copy()] if k >= 4 else g[:5].copy())
        first.step(g[:5].copy())
        if k >= 4:
            second.step(g[5:].copy())
    assert (a.tobytes(), b.tobytes()) == (alone.tobytes(), late.tobytes())
    assert (opt.steps, opt.steps_of(0), opt.steps_of(1)) == (9, 9, 5)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))], ids=["deepcopy", "pickle"])
def test_a_group_that_was_added_is_saved_with_its_age(duplicate: Any) -> None:
    a, b, grads = start_of(3), start_of(2), gradients(5, 8)
    opt = optim.Adam([a], lr=0.25)
    for g in grads[:3]:
        opt.step([g[:3].copy()])
    opt.add_param_group({"params": [b]})
    assert opt.param_groups[1]["lr"] == 0.25  # what it leaves out is as the optimizer was made with
    opt.step([[grads[3][:3].copy()], [grads[3][3:].copy()]])
    other, (c, d) = duplicate((opt, (a, b)))
    state = pickle.loads(pickle.dumps(opt.state_dict()))
    fresh = optim.Adam([{"params": [a.copy()]}, {"params": [b.copy()]}], lr=0.5)
    fresh.load_state_dict(state)
    for g in grads[4:]:
        for one in (opt, other, fresh):
            one.step([[g[:3].copy()], [g[3:].copy()]])
    assert a.tobytes() == c.tobytes() == fresh.arrays[0].tobytes()
    assert b.tobytes() == d.tobytes() == fresh.arrays[1].tobytes()


def test_the_rate_of_a_group_is_the_base_of_a_schedule_of_all() -> None:
    """As torch's schedulers scale each; it was left as it is."""
    s = mflow.schedules
    a, b, c, d = (np.zeros(1) for _ in range(4))
    groups = [{"params": a}, {"params": b, "lr": 0.5}, {"params": c, "lr": s.Constant(0.5)}]
    opt = optim.SGD(groups, lr=s.ExponentialLR(1.0, gamma=0.5))
    opt.add_param_group({"params": d, "lr": 4.0})
    seen = []
    for _ in range(3):
        seen.append(opt.rates)
        opt.step([-np.ones(1)] * 4)
    assert seen == [[1.0, 0.5, 0.5, 4.0], [0.5, 0.25, 0.5, 2.0], [0.25, 0.125, 0.5, 1.0]]
    assert [p.item() for p in (a, b, c, d)] == [1.75, 0.875, 1.5, 7.0]
    again = copy.deepcopy(opt)
    assert again.rates == pickle.loads(pickle.dumps(opt)).rates == [0.125, 0.0625, 0.5, 0.5]


def test_what_is_no_schedule_of_ours_leaves_the_rate_of_a_group() -> None:
    """There is nothing to replace in it; and cycles set the rate of all groups, as torch's."""
    s = mflow.schedules

    class Half(s.Schedule):
        def __call__(self, step: int) -> float:
            return 0.5

    def rates(lr: Any, own: float = 0.25) -> list[float]:
        return optim.SGD([{"params": np.zeros(1)}, {"params": np.zeros(1), "lr": own}], lr=lr).rates

    assert rates(lambda k: 0.5) == rates(Half()) == [0.5, 0.25]
    assert rates(s.CyclicLR(0.5, 1.0)) == rates(s.OneCycleLR(12.5, total_steps=9)) == [0.5, 0.5]
    two = s.SequentialLR([s.Constant(0.5), s.Constant(0.25), lambda k: 2.0], [2, 4])
    assert [two.with_lr(1.0)(k) for k in (0, 2, 4)] == [1.0, 0.5, 2.0]
    chained = s.ChainedScheduler([s.ExponentialLR(0.5, 0.5), s.ConstantLR(0.5, 0.5, 1)])
    assert rates(chained) == [0.25, 0.125]
    assert rates(chained, 0.0) == [0.25, 0.0]
    with pytest.raises(ValueError, match="lr: expected a finite number of at least 0, got -1"):
        rates(chained.schedules[0], -1.0)


@pytest.mark.parametrize("alone", [False, True])
def test_a_plateau_is_seen_by_all_groups(alone: bool) -> None:
    """alone: each group has a rate of its own."""
    data = (np.zeros((4, 1)),)

    def flat(p: Any, X: Array) -> Any:
        return 1.0, [[np.zeros(1)], [np.zeros(1)]]

    def groups() -> list[dict[str, Any]]:
        return [{"params": [np.zeros(1)], **({"lr": 8.0} if alone else {})}, {"params": [np.zeros(1)], "lr": 2.0}]

    plateau = mflow.schedules.ReduceLROnPlateau(8.0, factor=0.5, patience=0)
    run = mflow.train(flat, groups(), data, "sgd", epochs=4, jac=True, lr=plateau)
    assert run.optimizer.rates == [1.0, 0.25]  # the first epoch is the best, three follow
    assert plateau.lr == 8.0  # the run works on a copy
    opt = optim.SGD(groups(), lr=plateau)
    for _ in range(4):
        plateau.observe(1.0)
    assert opt.rates == [1.0, 0.25]
    assert plateau == copy.deepcopy(plateau)


def test_a_state_of_torchs_leads_to_its_door() -> None:
    opt = optim.Adam(np.zeros(2))
    with pytest.raises(
        ValueError, match=r"state: expected what state_dict of mflow\.optim\.Adam returned, .* load it into mflow\.torch\.Adam"
    ):
        opt.load_state_dict({"state": {}, "param_groups": []})


def test_a_group_that_does_not_fit_changes_nothing() -> None:
    a = np.ones(3)
    opt = optim.Adam(a, lr=0.5)
    opt.step(np.ones(3))
    before = str(opt.state_dict())
    for group, kind, words in (
        ({"params": a}, ValueError, "share no memory"),
        ({"params": np.ones(2), "lr": -1.0}, ValueError, "lr: expected"),
        ({"params": np.ones(2), "momentun": 1.0}, TypeError, "momentun"),
        ({"params": np.ones(2, dtype=np.float32)}, TypeError, "float64"),
        ({"lr": 1.0}, ValueError, "param_group: expected the entry 'params'"),
        (np.ones(2), TypeError, "param_group: expected a dict"),
    ):
        with pytest.raises(kind, match=words):
            opt.add_param_group(group)
    assert str(opt.state_dict()) == before
    opt.step(np.ones(3))
    assert opt.steps == 2


def test_a_group_that_is_added_steps_as_torchs(torch: Any) -> None:
    grads = np.random.default_rng(3).standard_normal((12, 5))
    a, b = start_of(3), start_of(2)
    p, q = (torch.nn.Parameter(torch.tensor(x)) for x in (a, b))
    opt, theirs = optim.Adam([a], lr=0.1), torch.optim.Adam([p], lr=0.1)
    for k, g in enumerate(grads):
        if k == 5:
            opt.add_param_group({"params": [b], "lr": 0.02})
            theirs.add_param_group({"params": [q], "lr": 0.02})
        p.grad, q.grad = torch.tensor(g[:3]), torch.tensor(g[3:])
        theirs.step()
        opt.step([[g[:3].copy()], [g[3:].copy()]] if k >= 5 else [g[:3].copy()])
    np.testing.assert_allclose(np.concatenate([a, b]), np.concatenate([p.detach(), q.detach()]), rtol=0, atol=1e-14)


# ---- closures ---------------------------------------------------------------------------------------------------------------------------


def test_a_closure_returns_the_loss_with_the_gradient(update_method: Any) -> None:
    """It is called where the method asks for its gradient, and the parameters are what they would be without it."""
    c, d, seen = start_of(4), start_of(4), []
    by_closure, by_hand = class_of(update_method)(c, lr=0.25), class_of(update_method)(d, lr=0.25)

    def closure() -> tuple[float, Array]:
        seen.append(c.copy())
        return float(c @ c), 2.0 * c

    for _ in range(5):
        at = by_hand.ask()
        assert by_closure.step(closure) == float(at @ at)
        assert seen[-1].tobytes() == at.tobytes()
        by_hand.step(2.0 * at)
    assert c.tobytes() == d.tobytes()


def test_a_closure_fills_gradients_that_are_bound() -> None:
    c, g = np.ones(3), np.zeros(3)
    opt = optim.SGD(c, lr=0.25)
    opt.bind(g)

    def closure() -> float:
        g[:] = 2.0 * c
        return 7.0

    assert opt.step(closure) == 7.0
    assert c.tolist() == [0.5] * 3


@pytest.mark.parametrize("out", [None, np.ones(3), [np.ones(3)]])
def test_a_closure_that_returns_nothing_is_named(out: Any) -> None:
    c = np.ones(3)
    opt = optim.ConsistentMomentum(c, lr=0.5, lookahead=True)
    opt.step(np.ones(3))
    before, state = c.copy(), str(opt.state_dict())
    with pytest.raises(TypeError, match=r"^closure: expected \(loss, gradient\)"):
        opt.step(lambda: out)
    assert (c.tobytes(), str(opt.state_dict())) == (before.tobytes(), state)


def test_a_closure_that_fails_leaves_the_parameters() -> None:
    c = np.ones(2)
    opt = optim.SGDScheduleFree(c, lr=0.5)
    for _ in range(3):
        opt.step(2.0 * opt.ask())
    before = c.copy()
    with pytest.raises(ZeroDivisionError):
        opt.step(lambda: 1 / 0)
    assert c.tobytes() == before.tobytes()


def test_options_of_an_implementation_are_ignored_with_a_word() -> None:
    c = np.ones(2)
    with pytest.warns(UserWarning, match=r"foreach, fused: ignored"):
        opt = optim.Adam(c, lr=0.5, foreach=True, fused=True, capturable=False)
    opt.step(np.ones(2))
    with pytest.warns(UserWarning, match="differentiable: ignored"):
        optim.SGD(c, differentiable=True)
    optim.SGD(c, foreach=None, fused=False)  # nothing is asked for: no word, as the suite turns warnings into errors


# ---- sparse gradients -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "options"), [("SGD", {}), ("Adagrad", {}), ("SGD", {"maximize": True, "clip_value": 0.5})])
@pytest.mark.parametrize("shape", [(40,), (40, 3), (40, 2, 2)])
def test_a_sparse_step_is_the_dense_one(name: str, options: dict[str, Any], shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(5)
    c = rng.standard_normal(shape)
    d = c.copy()
    sparse, dense = (getattr(optim, name)(x, lr=0.25, **options) for x in (c, d))
    for _ in range(6):
        rows = rng.permutation(40)[:7]
        values = rng.standard_normal((7, *shape[1:]))
        full = np.zeros(shape)
        full[rows] = values
        sparse.step(SparseGradient(rows, values))
        dense.step(full)
    assert c.tobytes() == d.tobytes()
    assert str(sparse.state_dict()) == str(dense.state_dict())


def test_rows_that_are_named_twice_are_summed() -> None:
    c = np.zeros((4, 2))
    optim.SGD(c, lr=1.0).step(SparseGradient([2, 0, 2], [[1.0, 2.0], [5.0, 6.0], [0.5, 0.25]]))
    assert c.tolist() == [[-5.0, -6.0], [0.0, 0.0], [-1.5, -2.25], [0.0, 0.0]]


def test_sparse_and_dense_gradients_in_one_step() -> None:
    a, b = np.ones((3, 2)), np.ones(2)
    opt = optim.SGD({"a": a, "b": b}, lr=0.5)
    opt.step({"a": SparseGradient([1], [[1.0, 2.0]]), "b": np.ones(2)})
    opt.step({"a": SparseGradient([], np.zeros((0, 2))), "b": np.ones(2)})
    assert (a.tolist(), b.tolist(), opt.steps) == ([[1.0, 1.0], [0.5, 0.0], [1.0, 1.0]], [0.0, 0.0], 2)


@pytest.mark.parametrize("options", [{}, {"maximize": True, "betas": (0.5, 0.75), "lr": 0.1}])
def test_torch_makes_the_same_lazy_steps(torch: Any, options: dict[str, Any]) -> None:
    rng = np.random.default_rng(9)
    c = rng.standard_normal((30, 3))
    theirs = torch.nn.Parameter(torch.tensor(c))
    mine, other = optim.SparseAdam(c, **options), torch.optim.SparseAdam([theirs], **options)
    moved = np.zeros(c.shape)
    for _ in range(60):
        rows, before = rng.integers(0, 30, 8), c.copy()
        values = rng.standard_normal((8, 3)) * (rng.random((8, 3)) < 0.8)  # zeros that are named count
        theirs.grad = torch.sparse_coo_tensor(torch.tensor(rows)[None], torch.tensor(values), (30, 3), check_invariants=True)
        mine.step(SparseGradient(rows, values))
        other.step()
        moved += abs(c - before)
        assert np.all(abs(c - theirs.detach().numpy()) <= 8 * 2.0**-52 * (abs(before) + moved))
    assert np.all(c[list(set(range(30)) - set(rows))] == before[list(set(range(30)) - set(rows))])


def test_sparse_gradients_that_do_not_fit() -> None:
    c = np.ones((5, 2))
    sgd = optim.SGD(c, lr=0.5)
    for wrong, kind, words in (
        (lambda: SparseGradient([0, 5], np.ones((2, 2))), IndexError, r"^g: expected indices from 0 to 4, .* got 5 in entry 1"),
        (lambda: SparseGradient([-1], np.ones((1, 2))), IndexError, r"^g: expected indices from 0 to 4, .* got -1 in entry 0"),
        (lambda: SparseGradient([1], np.ones((1, 3))), ValueError, r"^g: expected values of shape \('m', 2\)"),
        (lambda: SparseGradient([0.5], np.ones((1, 2))), TypeError, r"^indices: expected whole numbers"),
        (lambda: SparseGradient([0, 1], np.ones((1, 2))), ValueError, r"^values: expected 2 rows"),
        (lambda: SparseGradient([0], [["a", "b"]]), TypeError, r"^values: expected real numbers"),
        (lambda: SparseGradient([0], [[math.nan, 1.0]]), FloatingPointError, r"^g: .* not finite at step 0: nothing was changed"),
    ):
        with pytest.raises(kind, match=words):
            sgd.step(wrong())
    assert (c.tolist(), sgd.steps) == ([[1.0, 1.0]] * 5, 0)


def test_methods_that_move_all_entries_refuse_sparse_gradients(update_method: Any) -> None:
    """Whether one does is seen from its kernel."""
    c, grad = np.ones((5, 2)), SparseGradient([1], np.ones((1, 2)))
    opt = class_of(update_method)(c, lr=0.25)
    for _ in range(3):
        opt.step(np.ones((5, 2)))
    before, others = entries(opt), [0, 2, 3, 4]
    try:
        opt.step(grad)
    except ValueError as error:
        assert "expected a dense gradient, got a SparseGradient" in str(error)  # noqa: PT017
        assert all(np.array_equal(now, was) for now, was in zip(entries(opt), before, strict=True))
        opt.step(grad_of(grad, c.shape))
        assert any(np.any(now[others] != was[others]) for now, was in zip(entries(opt), before, strict=True))
        return
    assert all(np.array_equal(now[others], was[others]) for now, was in zip(entries(opt), before, strict=True))
    assert np.any(c[1] != before[0][1])
    decayed = class_of(update_method)(c, lr=0.25, weight_decay=0.1)
    if not decayed.param_groups[0].get("lazy"):
        with pytest.raises(ValueError, match="without weight decay"):
            decayed.step(grad)


def entries(opt: Any) -> list[Array]:
    """Copies of the parameters and of all that is carried for them."""
    return [opt.arrays[0].copy(), *opt.state_dict()["vectors"][0].values()]


def grad_of(sparse: Any, shape: tuple[int, ...]) -> Array:
    out = np.zeros(shape)
    out[sparse.indices] = sparse.values
    return out


def test_a_sparse_step_that_overflows_is_not_taken() -> None:
    c = np.zeros((4, 1))
    opt = optim.Adagrad(c, lr=0.5)
    opt.step(SparseGradient([1], [[1.0]]))
    before = str(opt.state_dict())
    with pytest.raises(FloatingPointError, match="nothing was changed"):
        opt.step(SparseGradient([1, 2], [[1.0], [1e200]]))
    assert str(opt.state_dict()) == before
    with pytest.raises(ValueError, match=r"^clip_norm: "):
        optim.SGD(c, clip_norm=1.0).step(SparseGradient([1], [[1.0]]))


# ---- means of the parameters ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ema", "swa"])
def test_means_are_torchs(torch: Any, kind: str) -> None:
    from torch.optim import swa_utils

    rng = np.random.default_rng(2)
    model = torch.nn.Linear(3, 2)
    params = [p.detach().numpy() for p in model.parameters()]
    averaged = swa_utils.AveragedModel(model, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.9) if kind == "ema" else None)
    mean = optim.EMA(params, decay=0.9) if kind == "ema" else optim.SWA(params)
    for _ in range(20):
        for p in params:
            np.add(p, rng.standard_normal(p.shape), out=p)
        averaged.update_parameters(model)
        mean.update()
    for ours, theirs in zip(mean.params, averaged.module.parameters(), strict=True):
        np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-14, atol=1e-14)
    assert mean.n_averaged == int(averaged.n_averaged)


@pytest.mark.parametrize("make", [lambda c: optim.EMA(c, decay=0.5, start=2), lambda c: optim.SWA(c, start=2)], ids=["ema", "swa"])
def test_a_mean_goes_on_from_its_state(make: Any) -> None:
    c = {"w": np.zeros(2)}
    mean, points = make(c), np.random.default_rng(0).standard_normal((7, 2))
    for k, point in enumerate(points):
        c["w"][:] = point
        mean.update()
        if k == 1:
            assert mean.params["w"].tobytes() == point.tobytes()  # follows until it begins
        if k == 3:
            state, other = pickle.loads(pickle.dumps(mean.state_dict())), make(c)
            other.load_state_dict(state)
        if k > 3:
            other.update()
    assert other.params["w"].tobytes() == mean.params["w"].tobytes()
    with pytest.raises(ValueError, match=r"^state: expected means of shapes"):
        make(np.zeros(3)).load_state_dict(state)
    with pytest.raises(ValueError, match=r"^decay: "):
        optim.EMA(c, decay=1.0)
    mean.copy_to_params()
    assert c["w"].tobytes() == mean.params["w"].tobytes()


@pytest.mark.parametrize("make", [optim.EMA, lambda c: optim.EMA(c, decay=0.0), lambda c: optim.SWA(c, start=3)])
def test_a_mean_of_parameters_that_rest_rests(make: Any) -> None:
    c = np.random.default_rng(3).standard_normal(9) * 10.0 ** np.arange(-4.0, 5.0)
    mean = make(c)
    for _ in range(50):
        mean.update()
        assert mean.params.tobytes() == c.tobytes()


@pytest.mark.parametrize("average", ["ema", "swa", 0.3])
def test_a_mean_of_a_training_without_steps_is_its_start(average: Any) -> None:
    c0, data = np.array([0.1, 1e-7, 3.3]), np.ones((6, 1))
    r = mflow.train(lambda c, rows: (float(c @ c), 2 * c), c0, data, "sgd", lr=0.0, jac=True, epochs=3, batch_size=2, average=average)
    assert r.averaged_params.tobytes() == r.params.tobytes() == c0.tobytes()
    for none in (0.0, 1.0):
        with pytest.raises(ValueError, match=r"^average: expected .* a decay in \(0, 1\)"):
            mflow.train(lambda c, rows: (float(c @ c), 2 * c), c0, data, "sgd", lr=0.0, jac=True, average=none)


def test_a_mean_is_nearer_to_the_minimum_than_what_scatters() -> None:
    rng, c = np.random.default_rng(1), np.ones(50)
    opt, mean = optim.SGD(c, lr=0.5), optim.SWA(c, start=50)
    for _ in range(1000):
        opt.step(c + rng.standard_normal(50))
        mean.update()
    assert np.linalg.norm(mean.params) < 0.15 * np.linalg.norm(c)
    assert mflow.optim.SWA is optim.SWA


def test_threads_are_taken_where_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without POSIX threads the core has one: `mflow.threads(2)` is then no error, and neither is the argument."""
    monkeypatch.setattr("mflow_core.pool.MOST", 1)
    with mflow.threads(2):
        optim.Adam(np.ones(3), threads=2).step(np.ones(3))
    with pytest.raises(ValueError, match=r"^threads: "):
        optim.Adam(np.ones(3), threads=65)
