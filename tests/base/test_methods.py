"""Methods as Python sees them: parameters by their public names, and the words with which wrong ones are refused."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

import mflow
from mflow.base.foreign import METHODS, MINIMIZERS
from mflow.base.methods import Method, as_method, get_method, methods, parameters_of, plain_name, public_values, record_values


@pytest.mark.parametrize("method", methods(), ids=lambda method: method.name)
def test_parameters_go_there_and_back(method):
    known = parameters_of(method.record)
    assert [p.name for p in known] == list(method.parameters)
    values = record_values(method.record, method.parameters)
    assert values == method.all_numbers
    assert public_values(method.record, values) == method.parameters
    assert type(method)(**method.parameters) == method


def test_a_tuple_stands_for_numbered_parameters():
    betas = next(p for p in parameters_of(get_method("adam").record) if p.name == "betas")
    assert (betas.default, betas.record_names) == ((0.9, 0.999), ("betas[0]", "betas[1]"))
    assert record_values(get_method("adam").record, {"betas": [0.5, 0.75]}) == {"betas[0]": 0.5, "betas[1]": 0.75}


def test_none_is_infinity_where_that_is_allowed():
    seen = 0
    for method in methods():
        for p in method.parameters_:
            if p.may_be_infinite and len(p.record_names) == 1:
                seen += 1
                values = record_values(method.record, {p.name: None})
                assert values == {p.record_names[0]: math.inf}
                assert public_values(method.record, {**method.all_numbers, **values})[p.name] is None
    assert seen > 0


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: get_method("adam", lr="fast"), TypeError, "lr: expected a number in [0, inf) for adam, got 'fast'"),
        (lambda: get_method("adam", lr=[1.0]), TypeError, "lr: expected a number in [0, inf) for adam, got [1.0]"),
        (lambda: get_method("adam", lr=None), TypeError, "lr: expected a number in [0, inf) for adam, got None"),
        (lambda: get_method("adam", amsgrad=2), ValueError, "amsgrad: expected True or False for adam, got 2"),
        (lambda: get_method("adam", betas=0.9), TypeError, "betas: expected 2 numbers for adam, as in (0.9, 0.999), got 0.9"),
        (lambda: get_method("adam", betas=(0.9,)), TypeError, "betas: expected 2 numbers for adam, as in (0.9, 0.999), got (0.9,)"),
        (lambda: get_method("rk4", lr=0.1), TypeError, "lr: the method rk4 has no parameters, and no argument has this name; remove it"),
        (lambda: mflow.RK4(1.0), TypeError, "RK4: expected at most 0 parameters, got 1"),
        (lambda: mflow.Newmark(0.25, beta=0.25), TypeError, "Newmark: got beta twice, by position and by name"),
        (Method, TypeError, "Method: expected one of its classes; use "),
        (lambda: as_method(mflow.RK4, {}), TypeError, "method: expected a name or an instance, got the class RK4; write RK4()"),
        (
            lambda: as_method(mflow.optim.Adam, {}),
            TypeError,
            "method: expected a name or an instance, got mflow.optim.Adam; give its name, 'adam'",
        ),
        (lambda: as_method(4, {}), TypeError, "method: expected a name or an instance such as mflow.RK4(), got int"),
    ],
)
def test_wrong_parameters_are_named(make, error, text):
    with pytest.raises(error, match=f"^{re.escape(text)}"):
        make()


def test_choices_are_words():
    seen = 0
    for method in methods():
        for p in method.parameters_:
            if p.choices:
                seen += 1
                assert [type(method)(**{p.name: word}).parameters[p.name] for word in p.choices] == list(p.choices)
                with pytest.raises(ValueError, match=f"^{p.name}: expected a choice of {method.name}, got 'none of these'; there are: "):
                    type(method)(**{p.name: "none of these"})
    assert seen > 0


def test_whole_parameters_are_whole():
    seen = 0
    for method in methods():
        for p in method.parameters_:
            if p.kinds == ("int",):
                seen += 1
                for wrong in (1.5, math.inf):
                    with pytest.raises(ValueError, match=rf"^{p.name}: expected a whole number in .* for {method.name}, got {wrong}"):
                        type(method)(**{p.name: wrong})
    assert seen > 0


def test_instances_keep_what_they_were_given():
    chosen = as_method(get_method("adam", lr=0.5), {"betas": (0.5, 0.6)})
    assert (chosen.given, chosen.parameters["lr"]) == ({"lr": 0.5, "betas": (0.5, 0.6)}, 0.5)
    assert as_method(chosen, {}) is chosen


def test_names_are_looked_up_without_case_and_hyphens():
    names = {}
    for method in methods():
        for name in (method.name, *method.aliases):
            assert names.setdefault(name.lower().replace("-", "").replace("_", ""), method.name) == method.name, f"{name} is two methods"
            for spelled in (name.upper(), name.replace("_", "-"), name.title().replace("_", "")):
                assert get_method(spelled).name == as_method(spelled, {}).name == method.name


@pytest.mark.parametrize(
    ("name", "ours"), [("LSODA", "auto"), ("CVODE", "bdf"), ("ode15s", "bdf"), ("Rodas5", "rodas5p"), ("ode113", "dop853")]
)
def test_names_of_other_libraries_are_answered_with_the_nearest_of_ours(name, ours):
    with pytest.raises(
        ValueError, match=rf"^method: no method '{name}', which is another library's; '{ours}' is made for the same problems(: .*AUTO)?$"
    ):
        as_method(name, {})
    with pytest.raises(ValueError, match=r"there are|did you mean"):
        as_method(name, {}, fits=lambda record: record.kind == "update")


@pytest.mark.parametrize(("name", "ours"), [("ode45", "dopri5"), ("ode23", "bs32")])
def test_matlabs_names_of_methods_that_are_here(name, ours):
    with pytest.raises(ValueError, match=rf"^method: no method '{name}'; here it is '{ours}'$"):
        as_method(name, {})


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Nelder-Mead", "is another library's and takes no derivatives; for a smooth cost 'lbfgs'"),
        ("trust-constr", "is another library's and is for constraints; minimize takes bounds= alone, with 'lbfgs'"),
        ("TNC", "is another library's; 'lbfgs' is made for the same problems"),
        ("Newton-CG", "is another library's; 'trust_ncg' is made for the same problems"),
    ],
)
def test_scipys_minimizers_are_answered_with_what_there_is(name, words):
    with pytest.raises(ValueError, match=rf"^method: no method '{name}', which {words}"):
        mflow.minimize(lambda x: x @ x, [1.0], method=name)
    with pytest.raises(ValueError, match=r"there are|did you mean"):
        as_method(name, {}, fits=lambda record: record.kind == "step")


def test_names_of_other_libraries_are_none_of_ours():
    known = {plain_name(name) for method in methods() for name in (method.name, *method.aliases)}
    for ours, theirs in [*METHODS.items(), *(("lbfgs", names) for names in MINIMIZERS.values())]:
        assert get_method(ours).name == ours
        assert not known & set(theirs.split())
        assert all(plain_name(name) == name for name in theirs.split())


def test_an_unknown_name_is_answered_with_the_nearest_of_the_kind_that_fits():
    with pytest.raises(ValueError, match=r"^method: no method 'adma'; did you mean 'adamax' or 'adam'\?$"):
        as_method("adma", {}, fits=lambda record: record.name in ("adam", "adamax", "sgd"))
    with pytest.raises(ValueError, match=r"^solver: no method 'simplex'; there are 'sgd', 'adam'$"):
        as_method("simplex", {}, "solver", fits=lambda record: record.name in ("adam", "sgd"))
    with pytest.raises(
        ValueError, match=r"^method: no method 'simplex'; there are ('\w+', ){7}'\w+' and others, which `mflow methods` prints$"
    ):
        as_method("simplex", {})


def test_a_parameter_that_is_a_method_of_its_own():
    """The messages led to sgd's limit, 2, for torch's SGD(momentum=0.9), where 3.8 is right."""
    for call in (
        lambda: mflow.minimize(lambda c: float(c @ c), [1.0], method="sgd", momentum=0.9, lr=0.1),
        lambda: mflow.stability_limit("sgd", momentum=0.9),
        lambda: mflow.get_method("sgd", momentum=0.9),
    ):
        with pytest.raises(
            TypeError, match="momentum: sgd has none, as momentum is a method of its own: give 'momentum' in place of 'sgd'"
        ):
            call()
    with pytest.raises(TypeError, match=r"got mflow\.optim\.Momentum; give its name, 'momentum'"):
        mflow.stability_limit(mflow.optim.SGD(np.ones(2), lr=0.1, momentum=0.9))
    with pytest.raises(TypeError, match="adam: no parameter 'momentum'; there are: lr, betas"):
        mflow.get_method("adam", momentum=0.9)


@pytest.mark.parametrize(("method", "name"), [("sgd", "lr"), ("momentum", "momentum"), ("rprop", "lr"), ("lbfgs", "lr")])
def test_a_batch_measures_no_steps(method, name):
    """They were taken for the default."""
    cost, starts = mflow.objectives.Quadratic([1.0, 20.0]), [[1.0, 1.0]]
    with pytest.raises(ValueError, match=f"{name}: expected a number.* in a batch, got 'auto'; mflow.minimize measures"):
        mflow.minimize_batch(cost, starts, method, **{name: "auto"})


@pytest.mark.parametrize(("name", "ours"), [("euler-cromer", "symplectic_euler"), ("explicit euler", "euler"), ("Runge-Kutta", "rk4")])
def test_another_name_leads_to_the_method_itself(name: str, ours: str) -> None:
    """Euler-Cromer was answered by 'euler', which is unstable for what it is taken for; 'explicit euler' by implicit ones."""
    with pytest.raises(ValueError, match=rf"^method: no method '{name}'; here it is '{ours}'$"):
        mflow.get_method(name)


def test_every_fact_of_a_method_says_what_it_is():
    facts = [name for name, value in vars(mflow.RK4.__mro__[1]).items() if isinstance(value, property)]
    assert {"aliases", "family", "formula", "doc", "reference", "order_hat", "vectors", "tableau"} <= set(facts)
    for name in facts:
        text = getattr(mflow.RK4.__mro__[1], name).__doc__
        assert text.strip().endswith(".")
        assert "attrgetter" not in text
