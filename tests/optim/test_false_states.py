"""States with false contents: each field of a state_dict is looked at, and a refusal changes nothing."""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import mflow
from mflow import optim, schedules

WRONG: tuple[Any, ...] = (
    None,
    "x",
    -1,
    10**400,
    float("nan"),
    float("inf"),
    [],
    {},
    [[1.0]],
    object(),
    np.array(["a"]),
    1j,
    np.zeros((2, 2)),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*path, key))


def altered(state: Any) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """The state with each of WRONG in each place, and without it."""
    for place in filter(None, places(state)):
        for value in (*WRONG, "missing"):
            changed = copy.deepcopy(state)
            inner = changed
            for key in place[:-1]:
                inner = inner[key]
            if isinstance(value, str) and value == "missing":
                del inner[place[-1]]
            else:
                inner[place[-1]] = value
            yield place, changed


def refused(target: Any, good: Any) -> int:
    """How many altered states are refused by a name; the others load."""
    count, before = 0, repr(target.state_dict())
    for place, state in altered(good):
        said = ""
        try:
            target.load_state_dict(state)
        except (TypeError, ValueError) as error:
            said = str(error)
        if not said:
            target.load_state_dict(good)
            continue
        names = [key.rstrip("s") for key in place if isinstance(key, str)] + ["array"] * ("vectors" in place)
        assert any(name in said for name in names), (place, said)
        assert "must be real number" not in said, (place, said)
        assert repr(target.state_dict()) == before, place
        count += 1
    return count


@pytest.mark.parametrize("name", ["Adam", "RMSprop", "SGD"])
def test_no_field_of_an_optimizers_state_is_believed(name: str) -> None:
    options = {"centered": True} if name == "RMSprop" else {"momentum": 0.5} if name == "SGD" else {}
    c, d = np.array([1.0, 2.0]), np.ones((2, 2))
    opt = getattr(optim, name)([{"params": [c]}, {"params": [d], "lr": 0.02}], lr=0.01, **options)
    for _ in range(3):
        opt.step([[c - 1.5], [0.5 * d]])
    assert refused(opt, opt.state_dict()) > 100


BY_POWERS = ("Adam", "AdamW", "Adamax", "NAdam", "RAdam", "AdaBelief", "SparseAdam", "AdamWScheduleFree")


@pytest.mark.parametrize("name", BY_POWERS)
def test_powers_of_beta_are_those_of_so_many_steps(name: str) -> None:
    """Powers that no run has were loaded, and the next step left NaN, or was as long as that of another step; those of the run load."""
    c = np.ones(2)
    opt = getattr(optim, name)(c, lr=0.01, betas=(0.9, 0.999))
    for k in range(5):
        opt.step((k + 1.0) * c)
        opt.load_state_dict(opt.state_dict())
    good, first = opt.state_dict(), {"NAdam": 2, "AdamWScheduleFree": 2}.get(name, 0)
    scalars = good["groups"][0]["scalars"]
    assert scalars[first] + scalars[first + 1] == pytest.approx((0.999 if first else 0.9) ** 5, rel=1e-14)
    for j in range(first, first + (2 if first else 4)):
        for false in (3.5, True, 1.0, 0.5, -0.5):
            state = copy.deepcopy(good)
            state["groups"][0]["scalars"][j] = false
            with pytest.raises((TypeError, ValueError), match="scalars"):
                opt.load_state_dict(state)
    opt.param_groups[0]["betas"] = (0.5, 0.9)  # what was made with other betas is made anew
    opt.load_state_dict(good)
    opt.param_groups[0]["betas"] = (0.5, 0.9)
    opt.step(c.copy())
    opt.load_state_dict(opt.state_dict())


@pytest.mark.parametrize(
    ("name", "j", "false"),
    [("NAdam", 0, 3.5), ("NAdam", 0, 1.0), ("NAdam", 1, 0.5), ("NAdam", 4, 3.5), ("ASGD", 0, -1.0), ("SGDScheduleFree", 0, -1.0)],
)
def test_no_product_sum_or_rate_is_one_that_no_run_has(name: str, j: int, false: float) -> None:
    c = np.ones(2)
    opt = getattr(optim, name)(c, lr=0.01)
    opt.step(c.copy())
    state = opt.state_dict()
    state["groups"][0]["scalars"][j] = false
    with pytest.raises(ValueError, match=r"scalars of group 0: expected those that [a-z_]+ has after 1 step,"):
        opt.load_state_dict(state)


def test_no_field_of_a_plateau_is_believed() -> None:
    """A text was taken as the lr, and the run failed at its next step."""
    plateau = schedules.ReduceLROnPlateau(0.1, patience=1)
    for metric in (1.0, 2.0, 3.0):
        plateau.observe(metric)
    assert refused(plateau, plateau.state_dict()) > 35


@pytest.mark.parametrize("make", [optim.EMA, optim.SWA])
def test_no_field_of_a_mean_is_believed(make: Any) -> None:
    c = np.ones(2)
    mean = make(c)
    mean.update()
    assert refused(mean, mean.state_dict()) > 25


def test_no_field_of_implicit_sgd_is_believed() -> None:
    X = np.arange(10.0).reshape(5, 2)
    model = mflow.ImplicitSGD(residual=lambda p, x, y: p @ x - y, jacobian=lambda p, x, y: x, lr=0.1)
    model.fit((X, X @ [1.0, 2.0]), x0=np.zeros(2), seed=0)
    assert refused(model, model.state_dict()) > 40


def test_no_field_of_a_linear_implicit_sgd_is_believed() -> None:
    X = np.arange(10.0).reshape(5, 2)
    model = mflow.ImplicitSGD("squared", lr=0.1).fit(X, X @ [1.0, 2.0], seed=0)
    assert refused(model, model.state_dict()) > 20
