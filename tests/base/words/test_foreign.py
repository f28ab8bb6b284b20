"""Words of other libraries, each in every driver that takes arguments by name: what is here in their place, or that nobody knows them."""

from __future__ import annotations

import inspect
import itertools
import operator
import re
import sys
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

import mflow
from mflow.base import foreign
from mflow.base.methods import Method
from mflow.dynamics.solve import OWN as OF_MOTIONS
from mflow.fitting.scipys import OWN as OF_FITS
from mflow.optimize.directions import OF_ONE as OF_DESCENTS

BOWL = mflow.objectives.Quadratic([[1.0, 0.0], [0.0, 3.0]])
SPRING: dict[str, Any] = {"stiffness": 1.0, "t_span": (0, 1), "dt": 0.1}
TABLE = (np.ones((4, 1)), np.arange(4.0))
DRIVERS: dict[str, Any] = {  # what is called, and with what
    "basins": lambda **more: mflow.basins(BOWL, starts=[[0.1, 0.2]], dt=0.1, **more),
    "certificate": lambda **more: mflow.certificate(BOWL, [0.0, 0.0], **more),
    "compile_solver": lambda **more: mflow.compile_solver(lambda t, y, out, p: 0, 1, "rk4", **{"dt": 0.1, **more}),
    "curve_fit": lambda **more: mflow.curve_fit(lambda x, a: a * x, [1.0, 2.0], [1.0, 2.1], [1.0], **more),
    "gradient_flow": lambda **more: mflow.gradient_flow(BOWL, [1.0, 1.0], 0.1, **{"dt": 0.1, **more}),
    "lr_find": lambda **more: mflow.lr_find(lambda w, x: (float(w @ w), 2 * w), np.ones(2), np.ones((4, 1)), **more),
    "minimize": lambda **more: mflow.minimize(BOWL, [1.0, 1.0], method="sgd", **{"lr": 0.1, **more}),
    "minimize_batch": lambda **more: mflow.minimize_batch(BOWL, [[1.0, 1.0]], "sgd", **{"lr": 0.1, **more}),
    "solve_dynamics": lambda **more: mflow.solve_dynamics(x0=[1.0], **{**SPRING, **more}),
    "solve_dynamics_batch": lambda **more: mflow.solve_dynamics_batch(x0=[[1.0]], **{**SPRING, **more}),
    "solve_ivp": lambda **more: mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0], **more),
    "solve_ivp_batch": lambda **more: mflow.solve_ivp_batch(lambda t, y: -y, (0, 1), [[1.0]], **more),
    "sweep": lambda **more: mflow.sweep("penguins", ["sgd"], [1e-3], **more),
    "train": lambda **more: mflow.train(
        lambda w, x: (float(w @ w), 2 * w), np.ones(2), np.ones((4, 1)), "sgd", **{"jac": True, "epochs": 1, **more}
    ),
    "data.train_test_split": lambda **more: mflow.data.train_test_split(*TABLE, **more),
}
SPELLED = {"lr_find": "train"}  # whose arguments these are
WORDS = sorted({*foreign.ARGUMENTS, *OF_MOTIONS, *OF_FITS, *OF_DESCENTS})
CLIPS = {"clip_norm", "clip_value"}  # of every optimizer there
ASKS = 7.25  # no word's value that asks for nothing


def taken(driver: str) -> set[str]:
    """The arguments of a driver, those that it hands on included."""
    function = mflow.data.train_test_split if "." in driver else getattr(mflow, driver)
    own = {*inspect.signature(function).parameters, *getattr(sys.modules[function.__module__], "ARGUMENTS", ())}
    more = {"sweep": {one.name for one in fields(mflow.Training)}, "lr_find": {"epochs", "max_steps", *CLIPS}, "train": CLIPS}
    return own | more.get(driver, set())


def answer(driver: str, word: str) -> str:
    """What it says to the word; "" where it takes it."""
    try:
        DRIVERS[driver](**{word: ASKS})
    except (TypeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def takes_any(function: Callable[..., object]) -> bool:
    """Whether Python lets it have arguments of every name."""
    return any(one.kind is one.VAR_KEYWORD for one in inspect.signature(function).parameters.values())


def test_every_function_that_takes_arguments_by_name_is_looked_at() -> None:
    taking = {name for name in mflow.__all__ if inspect.isfunction(f := getattr(mflow, name)) and takes_any(f)}
    of_methods = {name for name in taking if next(iter(inspect.signature(getattr(mflow, name)).parameters)) in ("method", "name")}
    assert taking - of_methods - {"energy_ledger", "family"} == set(DRIVERS) - {"data.train_test_split"}


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_name_that_nobody_has_is_a_type_error(driver: str) -> None:
    spelled = SPELLED.get(driver, driver)
    said = answer(driver, "qqqq")
    assert said.startswith(f"TypeError: {spelled} has no argument 'qqqq'; ")
    all_of_them = "; there are: " in said
    assert not all_of_them or len(taken(driver)) <= foreign.LISTED  # a method adds its own, so that fewer may be too many
    assert all_of_them or said.count("'") == 2 + 2 * foreign.NEAREST, said


@pytest.mark.parametrize("word", WORDS)
def test_a_word_has_one_answer(word: str) -> None:
    """A sentence of the driver's own, the same in all that have one; or the names there that mean the same; or nobody knows the word."""
    sentences, looked = set(), 0
    for driver in DRIVERS:
        if word in taken(driver):
            continue
        said, spelled, looked = answer(driver, word), SPELLED.get(driver, driver), looked + 1
        ours = [name for name in foreign.ARGUMENTS.get(word, "").split() if re.search(rf"\b{name}=", said)]
        if f"{spelled} has no argument" in said:
            assert not taken(driver) & set(foreign.ARGUMENTS.get(word, "").split()), said
        elif "here it is" in said:
            assert said == f"TypeError: {word}: here it is {' or '.join(f'{name}=' for name in ours)}; see help(mflow.{spelled})"
            assert ours
        elif not re.match(rf"TypeError: \w+: no parameter '{word}'", said):  # of the method, which others of the driver's have
            assert said.startswith(f"TypeError: {word}: ")
            sentences.add(said)
    assert looked
    assert len(sentences) <= 1, sentences


@pytest.mark.parametrize("word", sorted(foreign.NOTHING))
def test_what_asks_for_nothing_may_ask_for_something(word: str) -> None:
    quick = [driver for driver in DRIVERS if driver not in {"sweep", "basins"} and word not in taken(driver)]
    assert any("has no argument" not in answer(driver, word) for driver in quick)


@pytest.mark.parametrize("driver", sorted(set(DRIVERS) - {"sweep", "basins"}))
def test_what_asks_for_nothing_is_left_out(driver: str) -> None:
    """All such words in one call, once for each value that they have."""
    DRIVERS[driver](**dict.fromkeys(foreign.NOTHING))
    for values in itertools.zip_longest(*foreign.NOTHING.values()):
        DRIVERS[driver](**dict(zip(foreign.NOTHING, values, strict=True)))


def test_what_is_no_number_asks_for_something() -> None:
    for value in ([[1, 2], [3]], {"maxiter": 3}, np.ones(2), "x"):
        assert not foreign.asks_nothing("verbose", value)
        with pytest.raises(ValueError, match=r"^verbose: expected 0, got .*; print the result"):
            mflow.least_squares(lambda b: b, [1.0], verbose=value)  # type: ignore[arg-type]


def test_the_tables_name_what_is_here() -> None:
    known = set.union(
        *map(taken, DRIVERS),
        {*inspect.signature(mflow.line_search).parameters, *inspect.signature(mflow.response_spectrum).parameters},
        *(set(inspect.signature(type(method)).parameters) for method in mflow.methods()),
    )
    assert {name for names in foreign.ARGUMENTS.values() for name in names.split()} <= known
    for text in foreign.NAMES.values():
        for part in text.split("mflow.")[1:]:
            assert operator.attrgetter(re.split(r"[^\w.]", part)[0].strip("."))(mflow) is not None
    assert all(isinstance(mflow.get_method(name), Method) for name in foreign.METHODS)


def test_a_name_of_first_and_second_order_leads_to_both() -> None:
    with pytest.raises(
        ValueError, match="'esdirk43' is made for the same problems; 'bathe' is the trapezoidal rule followed by BDF2 for M"
    ):
        mflow.get_method("TRBDF2")


@pytest.mark.parametrize("name", ["wilson", "Wilson-theta", "houbolt"])
def test_methods_of_structural_dynamics_lead_to_one(name: str) -> None:
    with pytest.raises(ValueError, match="one of structural dynamics; 'newmark' is made for the same M x'' = F"):
        mflow.solve_dynamics(x0=[1.0], **SPRING, method=name)
    with pytest.raises(ValueError, match="no method") as told:
        mflow.minimize(BOWL, [1.0, 1.0], method=name)
    assert "newmark" not in str(told.value)


def test_an_optimizer_lists_all_that_it_takes() -> None:
    with pytest.raises(TypeError, match=r"there are: lr, .* clip_value, maximize, clip_norm, check_finite, threads$"):
        mflow.optim.SGD(np.ones(2), quite_unknown=1.0)
    with pytest.raises(TypeError, match="did you mean 'clip_norm'"):
        mflow.optim.Adam(np.ones(2), clip_nrm=1.0)
    with pytest.raises(TypeError, match=r"params: clip_norm is one for all groups; give it beside them, as in clip_norm=1\.0"):
        mflow.optim.Adam([{"params": np.ones(2), "clip_norm": 1.0}])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"method": "TRBDF2"}, "one of structural dynamics; 'bathe' is the trapezoidal rule followed by BDF2"),
        ({"method": "linear_acceleration"}, r"one of structural dynamics; it is mflow.Newmark\(beta=1/6\)"),
        ({"method": "KRAlphaExplicit"}, "'generalized_alpha' has the same damping of fast vibrations"),
        ({"method": "qqqq"}, "there are .*'newmark', 'central_difference'"),
        ({"M": [1.0]}, "M: the mass matrix is mass="),
        ({"K": [1.0]}, "K: the stiffness matrix is stiffness="),
        ({"C": [1.0]}, "C: the damping matrix is damping="),
        ({"ground_motion": 1}, r"the table load=\(rec.t, rec.a, -masses\)"),
        ({"damping_ratio": 0.05}, r"damping_matrix\(ratio\) has that ratio in each mode"),
    ],
)
def test_words_of_structures_lead_to_ours(given: dict[str, Any], words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        mflow.solve_dynamics(x0=[1.0], **SPRING, **given)


def test_names_of_structures_lead_to_ours() -> None:
    for name, lead in {"eigen": "mflow.modes", "rayleigh": "rayleigh=", "Steel01": "with memory", "recorder": "s.x"}.items():
        with pytest.raises(AttributeError, match=lead):
            getattr(mflow, name)


def test_the_alpha_of_opensees_is_named() -> None:
    with pytest.raises(ValueError, match=r"alpha: expected a number in .* got 0.9; OpenSees' 0.9 is alpha = -0.1 here"):
        mflow.HHT(0.9)
    with pytest.raises(ValueError, match=r"got 0.5$"):
        mflow.HHT(0.5)
