"""What an optimizer's state keeps of its schedules, and the rates of one that has ended."""

import copy
import pickle

import numpy as np
import pytest

import mflow
from mflow import schedules as S
from mflow.optim import Adam


def _ran(lr, losses=(1.0, 2.0, 3.0)):
    opt = Adam(np.zeros(3), lr=lr)
    for loss in losses:
        opt.step(np.ones(3))
        lr.observe(loss)
    return opt


def test_a_state_keeps_the_rate_that_followed_a_loss() -> None:
    """Two reductions by 10: 0.1 -> 0.001. The state alone is loaded; the rate began anew at 0.1."""
    opt = _ran(S.ReduceLROnPlateau(0.1, patience=0))
    assert opt.rates == pytest.approx([0.001], rel=1e-12)
    state = pickle.loads(pickle.dumps(opt.state_dict()))
    fresh = S.ReduceLROnPlateau(0.1, patience=0)
    other = Adam(opt.arrays[0].copy(), lr=fresh)
    other.load_state_dict(state)
    assert other.rates == opt.rates
    assert fresh == opt.schedule_of(0)
    for loss in (4.0, 0.5, 5.0):
        for one in (opt, other):
            one.step(np.full(3, loss))
            one.schedule_of(0).observe(loss)
    assert np.array_equal(opt.arrays[0], other.arrays[0])
    assert other.rates == opt.rates
    number = Adam(np.zeros(3), lr=0.5)  # as torch's optimizer without its scheduler
    number.load_state_dict(state)
    assert number.rates == pytest.approx([0.001], rel=1e-12)


def test_torch_goes_on_with_the_same_rate() -> None:
    torch = pytest.importorskip("torch")
    w = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    theirs = torch.optim.Adam([w], lr=0.1)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, patience=0)
    for loss in (1.0, 2.0, 3.0):
        w.grad = torch.ones(3, dtype=torch.float64)
        theirs.step()
        scheduler.step(loss)
    again = torch.optim.Adam([w], lr=0.1)
    again.load_state_dict(theirs.state_dict())
    ours = Adam(np.zeros(3), lr=S.ReduceLROnPlateau(0.1, patience=0))
    ours.load_state_dict(_ran(S.ReduceLROnPlateau(0.1, patience=0)).state_dict())
    assert ours.rates == pytest.approx([again.param_groups[0]["lr"]], rel=1e-12)


def test_each_group_has_its_own() -> None:
    def made():
        lr = S.ReduceLROnPlateau(0.1, patience=0)
        return lr, Adam(
            [{"params": np.zeros(2)}, {"params": np.zeros(1), "lr": 0.5}, {"params": np.zeros(1), "lr": S.Constant(0.3)}], lr=lr
        )

    lr, opt = made()
    for loss in (1.0, 2.0):
        opt.step([np.ones(2), np.ones(1), np.ones(1)])
        lr.observe(loss)
    assert opt.rates == pytest.approx([0.01, 0.05, 0.3], rel=1e-12)
    _, other = made()
    other.load_state_dict(opt.state_dict())
    assert other.rates == opt.rates
    assert copy.deepcopy(opt).rates == opt.rates


def test_a_state_of_another_schedule_changes_nothing() -> None:
    opt = _ran(S.ReduceLROnPlateau(0.1, patience=0))
    state = opt.state_dict()
    state["groups"][0]["schedule"] = {**state["groups"][0]["schedule"], "lr": -1.0}
    fresh = Adam(np.zeros(3), lr=S.ReduceLROnPlateau(0.2))
    with pytest.raises(ValueError, match="state: lr: expected"):
        fresh.load_state_dict(state)
    assert (fresh.rates, fresh.steps) == ([0.2], 0)
    plain = Adam(np.zeros(3), lr=S.Constant(0.2))  # a function of the step stays what it is
    plain.load_state_dict(opt.state_dict())
    assert plain.rates == [0.2]


def test_a_schedule_of_ones_own_goes_along() -> None:
    class Counting(S.Schedule):
        seen = 0

        def __call__(self, step):
            return 1.0 / (1 + self.seen)

        def state_dict(self):
            return {"seen": self.seen}

        def load_state_dict(self, state):
            self.seen = state["seen"]

    opt = Adam(np.zeros(1), lr=Counting())
    opt.schedule_of(0).seen = 3
    other = Adam(np.zeros(1), lr=Counting())
    other.load_state_dict(opt.state_dict())
    assert other.rates == [0.25]


@pytest.mark.parametrize(
    "lr", [S.OneCycleLR(0.1, total_steps=5), S.SequentialLR([S.Constant(0.1), S.OneCycleLR(0.1, total_steps=3)], milestones=[2])]
)
def test_the_rates_after_the_last_step_are_those_of_it(lr) -> None:
    """A loop that logs the rate after each step raised in its last one; a step more is refused as before."""
    opt, last = Adam(np.ones(2), lr=lr), lr(4)
    for _ in range(5):
        opt.step(np.ones(2))
        rates = opt.rates
    assert rates == [last]
    with pytest.raises(ValueError, match="expected a step below total_steps"):
        opt.step(np.ones(2))


def test_a_checkpoint_of_train_keeps_the_rate_too(tmp_path) -> None:
    X = np.random.default_rng(0).normal(size=(40, 3))
    y = X @ [1.0, -2.0, 0.5]

    def cost(w, X, y):
        r = X @ w - y
        return 0.5 * np.mean(r**2) + 1.0, X.T @ r / len(y)

    call = {"batch_size": 10, "jac": True, "seed": 0, "lr": S.ReduceLROnPlateau(0.5, patience=0, threshold=0.5)}
    whole = mflow.train(cost, np.zeros(3), (X, y), "adam", epochs=6, **call)
    mflow.train(cost, np.zeros(3), (X, y), "adam", epochs=3, checkpoint=tmp_path / "a.ck", **call)
    again = mflow.train(cost, np.zeros(3), (X, y), "adam", epochs=6, resume=tmp_path / "a.ck", **call)
    assert whole.history.lr[0] > whole.history.lr[-1] == again.history.lr[-1]
    assert np.array_equal(whole.last_params, again.last_params)
    assert again.optimizer.rates == whole.optimizer.rates


def _line(rows=50):
    X = np.random.default_rng(0).normal(size=(rows, 3))
    return X, X @ [1.0, -2.0, 0.5]


def _squares(w, X, y):
    r = X @ w - y
    return 0.5 * np.mean(r**2), X.T @ r / len(y)


@pytest.mark.parametrize(
    ("total", "more", "given"),
    [
        (19, {}, "max_steps=19"),  # 50 rows in batches of 11: 5 steps an epoch, 20 in all
        (9, {"accumulate": 2}, "max_steps=9"),  # 3 steps an epoch, 12 in all
        (15, {"max_steps": 16}, "max_steps=15"),
        (3, {"schedule_per": "epoch"}, "epochs=3"),
    ],
)
@pytest.mark.parametrize("compiled", [False, True])
def test_a_schedule_shorter_than_the_run_is_found_before_the_first_step(total, more, given, compiled) -> None:
    """It was found in the step that has no rate, after all others."""
    seen = []

    def cost(w, X, y):
        seen.append(1)
        return _squares(w, X, y)

    fun, data = (mflow.objectives.LeastSquares(*_line()), None) if compiled else (cost, _line())
    call = {"epochs": 4, "batch_size": 11, "seed": 0, "jac": None if compiled else True, **more}
    with pytest.raises(ValueError, match=f"lr: expected a schedule for the .* got OneCycleLR, which ends after {total}; .* give {given}$"):
        mflow.train(fun, np.zeros(3), data, "adam", lr=S.OneCycleLR(0.1, total_steps=total), **call)
    assert not seen
    fits = {19: 20, 9: 12, 15: 16, 3: 4}[total]
    r = mflow.train(fun, np.zeros(3), data, "adam", lr=S.OneCycleLR(0.1, total_steps=fits), **call)
    assert r.nit == {19: 20, 9: 12, 15: 16, 3: 20}[total]


def test_where_the_run_may_be_stopped_before_it_is_a_warning() -> None:
    call = {"epochs": 4, "batch_size": 10, "seed": 0, "jac": True, "lr": S.OneCycleLR(0.1, total_steps=10)}
    with pytest.warns(RuntimeWarning, match="OneCycleLR, which ends after 10; .*, unless it is stopped before"):
        r = mflow.train(_squares, np.zeros(3), _line(), "adam", callback=lambda s: s.epoch == 1, **call)
    assert (r.reason, r.nit) == ("callback", 10)


def test_what_is_left_of_a_resumed_run_is_counted(tmp_path) -> None:
    call = {"batch_size": 10, "seed": 0, "jac": True, "lr": S.OneCycleLR(0.1, total_steps=20), "checkpoint": tmp_path / "a.ck"}
    mflow.train(_squares, np.zeros(3), _line(), "adam", epochs=2, **call)
    again = mflow.train(_squares, np.zeros(3), _line(), "adam", epochs=4, resume=tmp_path / "a.ck", **call)
    assert (again.nit, again.reason) == (20, "finished")
    with pytest.raises(ValueError, match="for the 25 steps of this run"):
        mflow.train(_squares, np.zeros(3), _line(), "adam", epochs=5, resume=tmp_path / "a.ck", **call)


def test_the_message_about_another_lr_names_a_way_that_keeps_the_moments(tmp_path) -> None:
    call = {"batch_size": 10, "seed": 0, "jac": True}
    r = mflow.train(_squares, np.zeros(3), _line(), "adamw", epochs=2, lr=0.05, checkpoint=tmp_path / "a.ck", **call)
    with pytest.raises(
        ValueError, match=r"with the moments kept.*opt = result\.optimizer; opt\.lr = \.\.\.; mflow\.train\(fun, None, data, opt"
    ):
        mflow.train(_squares, np.zeros(3), _line(), "adamw", epochs=4, lr=0.001, resume=tmp_path / "a.ck", **call)
    w, opt = r.last_params.copy(), r.optimizer
    by_hand = mflow.optim.AdamW(w, lr=0.001)
    state = opt.state_dict()
    state["groups"][0]["parameters"]["lr"] = 0.001
    by_hand.load_state_dict(state)
    by_hand.step(_squares(w, *_line())[1])
    opt.lr = 0.001
    more = mflow.train(_squares, None, _line(), opt, epochs=1, batch_size=50, jac=True)
    assert opt.steps == 11
    np.testing.assert_allclose(more.last_params, w, rtol=1e-12)
