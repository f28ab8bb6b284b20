"""Names and attributes of other libraries' that are not here: each error says what there is in their place."""

from __future__ import annotations

import pickle
import re
from typing import Any

import numpy as np
import pytest

import mflow
from mflow.base import foreign

X = np.linspace(0.0, 1.0, 9)


def line(x: Any, a: Any, b: Any) -> Any:
    return a * x + b


def objects() -> dict[str, Any]:
    return {
        "Average": mflow.optim.EMA(np.zeros(2)),
        "Schedule": mflow.schedules.StepLR(0.1, 2),
        "Optimizer": mflow.optim.AdamW(np.zeros(2)),
        "GroundMotion": mflow.data.GroundMotion("r", X, X),
        "CurveFit": mflow.curve_fit(line, X, 2.0 * X + 0.01 * np.sin(30.0 * X)),
        "Modes": mflow.modes([1.0, 2.0], [[2.0, -1.0], [-1.0, 1.0]]),
        "ResponseSpectrum": mflow.response_spectrum((0.1, np.sin(X)), [0.5, 1.0]),
        "DynamicsResult": mflow.solve_dynamics(stiffness=1.0, t_span=(0, 1), x0=[1.0], dt=0.5),
        "IVPResult": mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0]),
        "OptimizeResult": mflow.minimize(lambda x: x @ x, [1.0]),
        "TrainResult": mflow.train(lambda w, x: (float(w @ w), 2 * w), np.ones(2), np.ones((4, 1)), "sgd", jac=True, epochs=1),
    }


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("solve_bvp", "SciPy has it: scipy.integrate.solve_bvp"),  # "did you mean 'solve_ivp'"
        ("basinhopping", "SciPy has it: scipy.optimize.basinhopping"),  # "did you mean 'Training'"
        ("quad", "scipy.integrate.quad"),
        ("fmin_l_bfgs_b", "here it is mflow.minimize"),
        ("DataLoader", r"here it is mflow.minibatches\(X, y"),
        ("AveragedModel", "mflow.optim.SWA and mflow.optim.EMA"),
        ("Parameters", "p0=, bounds= and fixed= of mflow.curve_fit"),  # "did you mean 'best_parameters'"
        ("report_fit", r"print\(fit\)"),
        ("warmup_cosine_decay_schedule", "SequentialLR"),  # of optax: a list of all schedules
        ("version", "mflow.__version__"),  # "did you mean 'dispersion'"
        ("vmap", "mflow.solve_ivp_batch"),
        ("LogisticRegression", "mflow.ImplicitSGDClassifier"),
        ("ode45", "here it is mflow.solve_ivp"),
        ("solve_ipv", "did you mean 'solve_ivp'"),
        ("qqqq", r"dir\(mflow\) lists what there is$"),  # it was a list of 140 names
    ],
)
def test_a_name_of_another_library_is_answered(name: str, words: str) -> None:
    with pytest.raises(AttributeError, match=words):
        getattr(mflow, name)


@pytest.mark.parametrize("place", foreign.ELSEWHERE)
def test_what_is_said_to_be_in_scipy_is_there(place: str) -> None:
    pytest.importorskip("scipy")
    module = __import__(f"scipy.{place}", fromlist=["_"])
    names = foreign.ELSEWHERE[place].split()
    assert not [name for name in names if not hasattr(module, name)]
    assert not [name for name in names if name in mflow.__all__]


@pytest.mark.parametrize(
    ("name", "words"), [("StepLR", "here it is mflow.schedules.StepLR"), ("AveragedModel", "SWA"), ("Adams", "did you mean 'Adam")]
)
def test_of_optim(name: str, words: str) -> None:
    with pytest.raises(AttributeError, match=words):
        getattr(mflow.optim, name)
    with pytest.raises(AttributeError, match="did you mean 'CosineAnnealingLR'"):
        mflow.schedules.CosineAnnealing


@pytest.mark.parametrize("kind", foreign.FIELDS)
def test_an_attribute_of_another_librarys_is_answered(kind: str) -> None:
    one = objects()[kind]
    for name, here in foreign.FIELDS[kind].items():
        with pytest.raises(AttributeError, match="here it is") as told:
            getattr(one, name)
        assert str(told.value).endswith(here)
    with pytest.raises(AttributeError, match=r"has no (attribute|field) 'qqqq'(; it has|$)"):
        one.qqqq
    again = pickle.loads(pickle.dumps(one))
    assert type(again) is type(one)


def test_what_a_lead_names_is_there() -> None:
    """Each first word behind "fit.", "opt." and their like is an attribute."""
    made = objects()
    kinds = {"fit": "CurveFit", "mean": "Average", "opt": "Optimizer", "modes": "Modes", "spectrum": "ResponseSpectrum"}
    kinds |= {"s": "DynamicsResult", "result": "TrainResult"}
    for kind, texts in foreign.FIELDS.items():
        for text in texts.values():
            for name, attribute in re.findall(rf"\b({'|'.join([*kinds, 'r'])})\.([a-z_]+)", text):
                assert hasattr(made[kinds.get(name, kind)], attribute), (text, attribute)
    fit = made["CurveFit"]
    chi = float(np.sum(fit.residuals**2))
    assert 2 * fit.cost == pytest.approx(chi)
    assert 2 * fit.cost / fit.dof == pytest.approx(fit.s**2)


def test_the_names_of_ours_in_a_lead_exist() -> None:
    for text in foreign.NAMES.values():
        for word in re.findall(r"mflow((?:\.[A-Za-z]\w*)+)", text):
            one: Any = mflow
            for name in word[1:].split("."):
                if name.endswith("_"):  # mflow.data, whose load_... read the tables
                    break
                if name == "ImplicitSGDClassifier" or name == "ImplicitSGDRegressor":
                    pytest.importorskip("sklearn")
                one = getattr(one, name)


def test_optax_names_in_the_room_of_schedules() -> None:
    with pytest.raises(AttributeError, match=r"here it is mflow\.schedules\.CosineAnnealingLR\(lr, T_max=decay_steps\)"):
        mflow.schedules.cosine_decay_schedule
    with pytest.raises(AttributeError, match=r"here it is mflow\.schedules\.LinearLR\(lr, start_factor=1\.0, end_factor="):
        mflow.schedules.linear_schedule
    with pytest.raises(AttributeError, match=r"here it is mflow\.schedules\.Schedule"):
        mflow.schedules.LRScheduler


def test_the_span_of_an_equation_given_to_a_flow_is_answered() -> None:
    with pytest.raises(TypeError, match=r"^t_end: expected a finite number \(the flow begins at t = 0\), got \(0, 1\)"):
        mflow.gradient_flow(lambda c: c, [1.0], (0, 1))
    with pytest.raises(TypeError, match=r"^t_end: expected a finite number .*, got \[\[1, 2\], \[3\]\]"):
        mflow.gradient_flow(lambda c: c, [1.0], [[1, 2], [3]])


def test_a_schedule_made_of_an_optimizer_says_that_the_optimizer_takes_it() -> None:
    """It was "lr: expected a finite number of at least 0, got <mflow.optim.AdamW [..."."""
    opt = mflow.optim.SGD(np.zeros(2), lr=0.1)
    for name in mflow.schedules.__all__:
        if name in ("ChainedScheduler", "SequentialLR", "Schedule"):
            continue
        for call in (lambda kind: kind(opt), lambda kind: kind(optimizer=opt)):
            with pytest.raises(TypeError, match=rf"{name}: expected lr first, got an optimizer, .*lr=mflow.schedules.{name}\("):
                call(getattr(mflow.schedules, name))


def test_arguments_of_other_libraries_are_answered_by_optimizers_and_fits() -> None:
    with pytest.raises(TypeError, match=r"^learning_rate: here it is lr="):
        mflow.optim.Adam(np.zeros(2), learning_rate=0.1)
    for name, words in (("vary", "fixed="), ("weights", "sigma=1/weights"), ("params", "p0="), ("expr", "into the model")):
        with pytest.raises(TypeError, match=words):
            mflow.curve_fit(line, X, X, **{name: [1.0]})


def test_the_rates_of_the_next_step_are_numbers() -> None:
    """A group's lr is its schedule, and opt.lr the rate of the step before."""
    opt = mflow.optim.SGD([{"params": np.zeros(1)}, {"params": np.zeros(1), "lr": mflow.schedules.StepLR(0.1, 2)}], lr=0.5)
    seen = []
    for _ in range(5):
        seen.append(opt.rates)
        before = [a.copy() for a in opt.arrays]
        opt.step([np.ones(1), np.ones(1)])
        moved = [float((b - a)[0]) for a, b in zip(opt.arrays, before, strict=True)]
        np.testing.assert_allclose(moved, seen[-1], rtol=1e-12)
    np.testing.assert_allclose([rates[1] for rates in seen], [0.1, 0.1, 0.01, 0.01, 0.001], rtol=1e-12)
    assert {rates[0] for rates in seen} == {0.5}


def test_a_name_that_differs_by_case_alone_is_the_first_one_offered() -> None:
    """`mflow.optim.adamw` led to Nadam, Adam and RAdam."""
    for name in mflow.optim.__all__:
        if name.lower() != name and name.lower() not in mflow.optim.__all__:
            with pytest.raises(AttributeError, match="did you mean") as told:
                getattr(mflow.optim, name.lower())
            assert str(told.value).split("'")[3].lower() == name.lower()


@pytest.mark.parametrize(("given", "meant"), [("gaussian", "gaussian_peak"), ("Exponential", "exponential"), ("sin", "sine")])
def test_a_curve_is_offered_by_the_name_that_others_give_it(given: str, meant: str) -> None:
    with pytest.raises(ValueError, match=f"did you mean '{meant}'"):
        mflow.curve_fit(given, X, X)


@pytest.mark.parametrize("name", ["GaussianModel", "ExponentialModel", "SineModel", "PowerLawModel"])
def test_a_ready_made_model_of_another_library_is_answered_by_a_call_that_runs(name: str) -> None:
    with pytest.raises(AttributeError, match=r"here it is mflow\.curve_fit") as told:
        getattr(mflow, name)
    curve = str(told.value).split('"')[1]
    assert len(mflow.starting_values(curve, X + 1.0, np.exp(-X) + 0.01 * np.cos(9.0 * X))) > 1


@pytest.mark.parametrize(("name", "ours"), [("wd", "weight_decay"), ("b1", "betas"), ("beta2", "betas")])
def test_short_names_of_parameters_of_optimizers(name: str, ours: str) -> None:
    with pytest.raises(TypeError, match=f"^{name}: here it is {ours}="):
        mflow.optim.AdamW(np.zeros(2), **{name: 0.9})
