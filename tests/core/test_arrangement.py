"""How arrays lie in what a user passes: flattened for the core and arranged again, without a call back into the layer above."""

from array import array

import numpy as np
import pytest
from mflow_core.optimize.arrangement import Arrangement, gather
from mflow_core.optimize.updater import Updater

import mflow
from mflow import optim

A, B, C = np.ones(2), np.zeros((2, 3)), np.full(1, 5.0)
ARRANGED = {
    "one array": (Arrangement([None]), A, [A]),
    "list": (Arrangement([2]), [A, B], [A, B]),
    "dict": (Arrangement([["w", "b"]]), {"w": A, "b": B}, [A, B]),
    "groups": (Arrangement([None, 2], grouped=True), [A, [B, C]], [A, B, C]),
    "groups with a dict": (Arrangement([["w"], None], grouped=True), [{"w": B}, A], [B, A]),
    "empty list": (Arrangement([0]), [], []),
}


@pytest.mark.parametrize("name", ARRANGED)
def test_there_and_back(name):
    arrangement, arranged, flat = ARRANGED[name]
    assert [id(a) for a in arrangement.flatten(arranged)] == [id(a) for a in flat]
    again = arrangement.arrange(flat)
    assert type(again) is type(arranged)
    assert [id(a) for a in arrangement.flatten(again)] == [id(a) for a in flat]
    assert sum(arrangement.sizes) == len(flat)


def test_the_order_of_a_dict_does_not_count():
    assert [id(a) for a in Arrangement([["w", "b"]]).flatten({"b": B, "w": A})] == [id(A), id(B)]


@pytest.mark.parametrize(
    ("arrangement", "values", "message"),
    [
        (Arrangement([2]), A, r"g: expected a list of 2 arrays, as the parameters are, got ndarray"),
        (Arrangement([2]), (A,), r"g: expected a list of 2 arrays, as the parameters are, got 1 arrays"),
        (Arrangement([["w"]]), [A], r"g: expected a dict with the keys \['w'\], as the parameters are, got list"),
        (Arrangement([["w"]]), {"v": A}, r"g: expected a dict with the keys \['w'\], as the parameters are, got the keys \['v'\]"),
        (Arrangement([None, 1], grouped=True), [A], r"g: expected a list of 2 entries, the gradients of each group, got 1 entries"),
        (Arrangement([None, 1], grouped=True), A, r"g: expected a list of 2 entries, the gradients of each group, got ndarray"),
        (Arrangement([None, 1], grouped=True), [A, A], r"g\[1\]: expected a list of 1 arrays"),
    ],
)
def test_other_arrangements_are_refused(arrangement, values, message):
    with pytest.raises(TypeError, match=message):
        arrangement.flatten(values)


def test_one_form_without_groups():
    with pytest.raises(ValueError, match="forms: expected one form where there are no groups, got 2"):
        Arrangement([None, None])


def test_gather_names_its_argument():
    with pytest.raises(TypeError, match="the gradient: expected a list of 2 arrays"):
        gather(A, 2, "the gradient")


def test_the_core_flattens():
    """No class above gives the core another `flatten`: the arrangement is handed to it."""
    assert optim.Adam.flatten is Updater.flatten
    opt = optim.Adam({"w": A.copy(), "b": B.copy()})
    assert opt.arrangement.forms == [["w", "b"]]
    assert not opt.arrangement.grouped


def test_the_norm_of_shared_memory():
    """Gradients of other libraries count as in `step`."""
    opt = optim.SGD([np.zeros(2), np.zeros(1)])
    assert opt.gradient_norm([array("d", [3.0, 0.0]), array("d", [4.0])]) == 5.0
    with pytest.raises(ValueError, match="g: expected 2 gradients, one for each parameter array, got 1"):
        opt.gradient_norm([np.zeros(2)])


def test_an_incomplete_optimizer_says_so():
    opt = optim.Adam.__new__(optim.Adam)
    for call in (opt.ask, lambda: opt.arrays, lambda: opt.flatten(A), lambda: opt.bind(A), lambda: opt.gradient_norm(A)):
        with pytest.raises(RuntimeError, match="this optimizer is incomplete, because its __init__ raised"):
            call()


@pytest.mark.parametrize(
    ("params", "grads", "label"),
    [
        ({"w": np.ones(3), "b": np.ones(2)}, {"w": np.ones(3, np.float32), "b": np.ones(2)}, "g['w']"),
        ({"w": np.ones(3), "b": np.ones(2)}, {"w": np.ones(3), "b": np.ones(3)}, "g['b']"),
        ([np.ones(3), np.ones(2)], [np.ones(3), [1.0, 2.0]], "g[1]"),
        (np.ones(3), np.ones(3, np.float32), "g"),
        ([{"params": {"w": np.ones(3)}}, {"params": [np.ones(2)]}], [{"w": np.ones(3)}, [np.array([1.0, np.nan])]], "g[1][0][1]"),
        ([{"params": {"w": np.ones(3)}}, {"params": np.ones(2)}], [{"w": np.ones(2)}, np.ones(2)], "g[0]['w']"),
    ],
)
def test_a_gradient_is_named_as_the_user_writes_it(params, grads, label):
    with pytest.raises((TypeError, ValueError, FloatingPointError)) as caught:
        optim.Adam(params).step(grads)
    assert str(caught.value).startswith((f"{label}:", f"{label} ="))


@pytest.mark.parametrize("accumulate", [1, 2])
def test_train_names_the_gradient_by_its_key(accumulate):
    x = np.ones((4, 1))

    def cost(p, x):
        return 1.0, {"w": [1.0, 2.0, 3.0], "b": np.ones(2)}

    with pytest.raises(TypeError, match=r"^g\['w'\]: expected a NumPy array, got list"):
        mflow.train(cost, {"w": np.ones(3), "b": np.ones(2)}, (x,), batch_size=2, jac=True, epochs=1, accumulate=accumulate)
