"""Every public function and class: an argument that it does not have is answered with its own, and never by Python's bare refusal."""

from __future__ import annotations

import copy
import importlib
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import mflow
from mflow.base.result import Result

FACES = ("mflow", "mflow.data", "mflow.objectives", "mflow.optim", "mflow.plot", "mflow.schedules", "mflow.testproblems")
BASES = (Result, BaseException, mflow.objectives.Objective)  # dicts, and what the core itself makes


def public() -> dict[str, Any]:
    found = {}
    for face in FACES:
        module = importlib.import_module(face)
        found |= {f"{face}.{name}": getattr(module, name) for name in module.__all__ if callable(getattr(module, name))}
    return {name: item for name, item in found.items() if not (isinstance(item, type) and issubclass(item, BASES))}


NAMES = public()


@pytest.mark.parametrize("name", sorted(NAMES))
def test_no_refusal_is_pythons_own(name: str) -> None:
    with pytest.raises((TypeError, ValueError)) as told:
        NAMES[name](quite_unknown=1)
    assert "unexpected keyword" not in str(told.value)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mflow.Contact(0, gapp=0.1), "Contact has no argument 'gapp'; did you mean 'gap'"),
        (lambda: mflow.Contact(0, 0.1, damping=3.0), "damping: a rigid stop takes speed by restitution=; a dashpot beside the spring"),
        (lambda: mflow.Contact(0, cor=0.5), "cor: the speed behind an impact on a rigid stop is restitution="),
        (lambda: mflow.Friction(0, mu=0.3), "mu: give force=, in the unit of forces: the coefficient of friction times the normal force"),
        (lambda: mflow.Event(abs, affect=abs), "affect: what changes the state there is action="),
        (lambda: mflow.objectives.Huber([[1.0]], [1.0], epsilon=2.0), r"objectives.Huber has no argument 'epsilon'"),
        (lambda: mflow.optim.SparseGradient([1], value=[1.0]), "optim.SparseGradient has no argument 'value'; did you mean 'values'"),
        (lambda: mflow.data.nist_names(level=1), "data.nist_names has no argument 'level'; it has none that is given by name"),
        (lambda: mflow.max_stable_dt("momentum", nesterov=True, curvature=1.0), "give 'nesterov' in place of 'momentum'"),
        (lambda: mflow.response_spectrum((0.1, [1.0, 2.0]), T=[1.0]), "T: here it is periods="),
        (lambda: mflow.response_spectrum((0.1, [1.0, 2.0]), [1.0], zeta=0.05), "zeta: here it is damping="),
        (lambda: mflow.curve_fit(abs, [1.0, 2.0], [1.0, 2.0], yerr=0.1), "yerr: here it is sigma="),
        (lambda: mflow.solve_dynamics(x0=[1.0], t_span=(0, 1), stiffness=1.0, xdot0=[0.0]), "xdot0: here it is v0="),
        (lambda: mflow.train(abs, [1.0], None, "sgd", restore_best=True), "restore_best: not needed: params of the result are the best"),
        (lambda: mflow.methods(kind="step"), "methods has no argument 'kind'; there are: family"),
    ],
)
def test_what_is_meant(call: Callable[[], object], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        call()


def test_a_parameter_is_no_method_where_the_two_are_no_relatives() -> None:
    with pytest.raises(TypeError, match="adam: no parameter 'momentum'; there are"):
        mflow.get_method("adam", momentum=0.9)


def test_tuples_remain_what_they_are() -> None:
    contact = mflow.Contact(1, gap=0.25)
    assert contact._replace(gap=0.5) == (1, 0.5, "above", None, 1.0)
    assert [pickle.loads(pickle.dumps(contact)), copy.deepcopy(contact), mflow.Contact._make(contact)] == [contact] * 3


@pytest.mark.parametrize("span", [[0.0, 0.5, 1.0], (0, 1, 2, 3), range(4)])
def test_times_in_place_of_a_span_are_told_where_they_belong(span: Any) -> None:
    fix = "; give (t[0], t[-1]), and the times as t_eval" if not isinstance(span, range) else ""
    with pytest.raises(ValueError, match=r"^t_span: expected two numbers") as told:
        mflow.solve_ivp(lambda t, y: -y, span, [1.0])
    assert str(told.value).endswith(fix)
